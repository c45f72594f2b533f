package viewers

import (
	"log/slog"
	"net/http/httptest"
	"testing"

	"go.uber.org/goleak"

	"glimpse/internal/media/hub"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A session's name comes back from the path that it stands in, with its protocol.
func TestName(t *testing.T) {
	seen := map[string]bool{}
	for range 50 {
		for _, p := range []Protocol{HLS, DASH} {
			name := Name(p)
			session, rest, ok := Split("~" + name + "/video.m3u8")
			if !ok || session != name || rest != "video.m3u8" || Protocol(session[0]) != p || seen[name] {
				t.Errorf("%q: %q, %q, %v", name, session, rest, ok)
			}
			seen[name] = true
		}
	}
}

// A player that asks for the index anew without a session, and takes media without
// one, is one viewer; two who take media are two, from one address too.
func TestAgain(t *testing.T) {
	h := hub.New(hub.Config{}, slog.New(slog.DiscardHandler))
	defer h.Close()
	stream, err := h.Open(hub.Spec{ID: "a", IngestKey: "k", PlaybackID: "p"})
	if err != nil {
		t.Fatal(err)
	}
	v := New()
	defer v.Close()
	ask := func(agent string) string {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("User-Agent", agent)
		name := v.Again(r, stream, DASH)
		v.See(httptest.NewRecorder(), r, stream, name, false) // it follows the redirection
		return name
	}
	v.Again(httptest.NewRequest("GET", "/", nil), stream, DASH) // who does not follow it is no viewer
	count := func() int { return stream.Stats().Viewers["dash"] }
	first := ask("Lavf")
	for range 20 {
		if got := ask("Lavf"); got != first {
			t.Fatalf("it got %s, then %s", first, got)
		}
	}
	if n := count(); n != 1 {
		t.Errorf("one player counts as %d", n)
	}
	browser := ask("Mozilla")
	w := v.See(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil), stream, browser, true)
	if _, err := w.Write(make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	if again := ask("Mozilla"); again == browser {
		t.Error("somebody else with the same browser got a session that is in use")
	}
	if n := count(); n != 3 {
		t.Errorf("%d viewers, want 3", n)
	}
	bytes := uint64(0)
	for _, seen := range stream.Viewers() {
		bytes += seen.Bytes
	}
	if bytes != 100 {
		t.Errorf("%d bytes were counted, 100 were sent", bytes)
	}
}

func FuzzSplit(f *testing.F) {
	for _, seed := range []string{"index.m3u8", "~hbcdefghij234567/video.m3u8", "~/x", "~a", "~hbcdefghij234567", "~../../../../../../etc", "~hbcdefghij234567/../x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, path string) {
		session, rest, ok := Split(path)
		switch {
		case !ok && (session != "" || rest != ""):
			t.Errorf("%q: %q, %q beside false", path, session, rest)
		case ok && session != "" && Protocol(session[0]) != HLS && Protocol(session[0]) != DASH:
			t.Errorf("%q: protocol %q", path, session[0])
		case ok && session == "" && rest != path:
			t.Errorf("%q became %q", path, rest)
		case ok && session != "" && "~"+session+"/"+rest != path:
			t.Errorf("%q became %q and %q", path, session, rest)
		}
	})
}
