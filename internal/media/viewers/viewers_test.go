package viewers

import (
	"testing"

	"go.uber.org/goleak"
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
