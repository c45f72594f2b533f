package api

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"glimpse/protocol"
)

// fakeRecordings keeps recordings in a list.
type fakeRecordings struct {
	mu    sync.Mutex
	list  []Recording
	now   map[string]*Recording
	err   error
	calls []string
	asked ClipSpec
}

func (f *fakeRecordings) List() []Recording {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.list
}

func (f *fakeRecordings) Policy(stream string) (string, *Recording) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return "on-demand", f.now[stream]
}

func (f *fakeRecordings) Delete(id string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, "delete "+id)
	return f.err
}

func (f *fakeRecordings) Record(_ context.Context, stream, by string, on bool) (*Recording, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	rec := f.now[stream]
	if on && f.err == nil && rec == nil {
		rec = &Recording{Kind: "recording", Stream: stream, Status: "waiting"}
	}
	return rec, f.err
}

func (f *fakeRecordings) Serve(w http.ResponseWriter, r *http.Request, id string) {
	w.Header().Set("Content-Type", "video/mp4")
	http.ServeContent(w, r, "", time.Time{}, strings.NewReader("file of "+id))
}

func (f *fakeRecordings) Clip(_ context.Context, of ClipSpec) (Recording, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = of
	return Recording{ID: "made", Kind: "clip", Stream: of.Stream, Status: "finished", Key: "k3"}, f.err
}

// Clips are made of the newest seconds, between two times, or of a recording.
func TestClips(t *testing.T) {
	b := newBench(t, Config{})
	from := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	b.recordings.list = []Recording{{ID: "rec", Kind: "recording", Stream: "gone", Status: "finished", Started: &from}}
	for _, c := range []struct {
		path, body string
		status     int
		want       ClipSpec
	}{
		{"/streams/" + fixedStream, `{"last":30}`, 201, ClipSpec{Stream: fixedStream, Last: 30 * time.Second}},
		{"/streams/" + fixedStream, `{"from":"2026-11-28T12:00:00Z","to":"2026-11-28T12:00:09.5Z"}`, 201, ClipSpec{Stream: fixedStream, From: from, To: from.Add(9500 * time.Millisecond)}},
		{"/recordings/rec", `{"from":1.5,"to":3}`, 201, ClipSpec{Recording: "rec", From: from.Add(1500 * time.Millisecond), To: from.Add(3 * time.Second)}},
		{"/streams/" + fixedStream, `{}`, 422, ClipSpec{}},
		{"/streams/" + fixedStream, `{"last":30,"to":"2026-11-28T12:00:00Z"}`, 422, ClipSpec{}},
		{"/streams/" + fixedStream, `{"last":601}`, 422, ClipSpec{}},
		{"/streams/none", `{"last":30}`, 404, ClipSpec{}},
		{"/recordings/none", `{"from":0,"to":3}`, 404, ClipSpec{}},
	} {
		b.recordings.asked = ClipSpec{}
		made := b.expect(b.call("POST", "/api/v1"+c.path+"/clips", c.body), c.status, "")
		if b.recordings.asked != c.want || c.status == 201 && made["page"] != "http://cloud.test:8002/recordings/k3/" {
			t.Errorf("%s %s: asked for %+v, %v", c.path, c.body, b.recordings.asked, made)
		}
	}
	for err, code := range map[error]string{ErrClipRange: "NOTHING_OF_THAT_TIME", ErrClipNotLive: "NOT_LIVE", ErrClipMany: "TOO_MANY_REQUESTS", ErrRecordingQuota: "QUOTA_REACHED"} {
		b.recordings.err = err
		if said := b.expect(b.call("POST", "/api/v1/streams/"+fixedStream+"/clips", `{"last":5}`), map[string]int{
			"NOTHING_OF_THAT_TIME": 422, "NOT_LIVE": 409, "TOO_MANY_REQUESTS": 429, "QUOTA_REACHED": 507}[code], ""); said["code"] != code {
			t.Errorf("%v: %v", err, said)
		}
	}
	b.recordings.list = append(b.recordings.list, Recording{ID: "c", Kind: "clip", Stream: "gone"})
	if list, _ := b.expect(b.call("GET", "/api/v1/streams/gone/clips", ""), 200, "")["recordings"].([]any); len(list) != 1 {
		t.Errorf("%v", list)
	}
}

// Recordings are listed with their links, played with ranges, deleted; streams
// say when they are recorded, and start and stop it.
//
// C27 E41
func TestRecordings(t *testing.T) {
	b := newBench(t, Config{})
	b.recordings.list = []Recording{
		{ID: "two", Kind: "clip", Stream: "s2", Status: "finished", Key: "k2", Wearer: "a@b.c"},
		{ID: "one", Kind: "recording", Stream: fixedStream, Status: "recording", Key: "k1"},
	}
	b.recordings.now = map[string]*Recording{fixedStream: &b.recordings.list[1]}

	all := b.expect(b.call("GET", "/api/v1/recordings", ""), 200, "")
	if list, _ := all["recordings"].([]any); len(list) != 2 {
		t.Fatalf("%v", all)
	}
	for query, want := range map[string]string{"?stream=" + fixedStream: "one", "?kind=clip": "two", "?wearer=a@b.c": "two", "?limit=1": "two"} {
		some := b.expect(b.call("GET", "/api/v1/recordings"+query, ""), 200, "")
		if list, _ := some["recordings"].([]any); len(list) != 1 || list[0].(map[string]any)["id"] != want {
			t.Errorf("%s: %v", query, some)
		}
	}
	one := b.expect(b.call("GET", "/api/v1/recordings/one", ""), 200, "")
	const page = "http://cloud.test:8002/recordings/k1/"
	if one["page"] != page || one["hls"] != page+"index.m3u8" || one["file"] != page+"video.mp4" || one["gaps"] == nil {
		t.Errorf("%v", one)
	}
	if w := b.call("GET", "/api/v1/recordings/one/file", "", "Range", "bytes=5-6"); w.Code != 206 || w.Body.String() != "of" {
		t.Errorf("a range of the file: %d %q", w.Code, w.Body)
	}
	b.expect(b.call("GET", "/api/v1/recordings/none/file", ""), 404, codeRecordingGone)
	if w := b.call("DELETE", "/api/v1/recordings/two", ""); w.Code != 204 {
		t.Errorf("delete: %d %s", w.Code, w.Body)
	}

	stream := b.expect(b.call("GET", "/api/v1/streams/"+fixedStream, ""), 200, "")
	if stream["record"] != "on-demand" || at(t, stream, "recording", "id") != "one" {
		t.Errorf("%v", stream)
	}
	if made := b.expect(b.call("POST", "/api/v1/streams/"+fixedStream+"/recording", ""), 201, ""); made["id"] != "one" {
		t.Errorf("%v", made)
	}
	if done := b.expect(b.call("DELETE", "/api/v1/streams/"+fixedStream+"/recording", ""), 200, ""); done["id"] != "one" {
		t.Errorf("%v", done)
	}
	b.recordings.now = nil
	if armed := b.expect(b.call("POST", "/api/v1/streams/"+fixedStream+"/recording", ""), 201, ""); armed["status"] != "waiting" || armed["page"] != nil {
		t.Errorf("%v", armed)
	}
	b.expect(b.call("DELETE", "/api/v1/streams/"+fixedStream+"/recording", ""), 409, codeNotRecorded)
	b.expect(b.call("POST", "/api/v1/streams/none/recording", ""), 404, protocol.CodeStreamNotFound)
}

// A stream's wish to be recorded is a policy, or true.
func TestRecordPolicy(t *testing.T) {
	for body, want := range map[string]string{
		`{"record":true}`: "always", `{"record":"always"}`: "always", `{"record":"never"}`: "never", `{"record":"on-demand"}`: "on-demand",
		`{"record":false}`: "", `{"record":""}`: "", `{}`: "",
	} {
		b := newBench(t, Config{})
		made := b.expect(b.call("POST", "/api/v1/streams", body), 201, "")
		s, _ := b.deps.Standing.Get(made["id"].(string))
		if s.Record != want {
			t.Errorf("%s: %q, want %q", body, s.Record, want)
		}
	}
}

// Why nothing is recorded is a code and a sentence.
func TestRecordingRefusals(t *testing.T) {
	for _, c := range []struct {
		err    error
		status int
		code   string
	}{
		{ErrRecordingOff, 409, "RECORDING_OFF"}, {ErrRecordingQuota, 507, "QUOTA_REACHED"}, {ErrRecordingDisk, 507, "DISK_FULL"},
	} {
		b := newBench(t, Config{})
		b.recordings.err = c.err
		said := b.expect(b.call("POST", "/api/v1/streams/"+fixedStream+"/recording", ""), c.status, "")
		if said["code"] != c.code {
			t.Errorf("%v: %v", c.err, said)
		}
	}
	b := newBench(t, Config{})
	b.recordings.err = ErrRecordingOpen
	b.expect(b.call("DELETE", "/api/v1/recordings/x", ""), 409, codeInProgress)
	b.recordings.err = ErrRecordingUnknown
	b.expect(b.call("DELETE", "/api/v1/recordings/x", ""), 404, codeRecordingGone)
}

// An app that knows a stream's address and shows its key records it and makes
// clips of it; nobody else does.
func TestAppsKeep(t *testing.T) {
	b := newBench(t, Config{})
	call := func(method, rest, body, auth string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, "http://cloud.test:8002/live/x/"+rest, strings.NewReader(body))
		r.Header.Set("Authorization", auth)
		w := httptest.NewRecorder()
		b.api.ServeKept(w, r, "s1", rest)
		return w
	}
	const app = "Bearer com.fixed:fixed-key"
	if w := call("POST", "clips", `{"last":30}`, app); w.Code != 201 || b.recordings.asked != (ClipSpec{Stream: "s1", Last: 30 * time.Second, By: "com.fixed"}) {
		t.Errorf("%d %s, %+v", w.Code, w.Body, b.recordings.asked)
	}
	if w := call("POST", "recording", "", app); w.Code != 201 || !strings.Contains(w.Body.String(), "waiting") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	for _, c := range []struct {
		method, rest, body, auth string
		status                   int
	}{
		{"POST", "clips", `{"last":30}`, "Bearer com.fixed:wrong-key", 401},
		{"POST", "clips", `{"last":30}`, "", 401},
		{"POST", "clips", `{`, app, 400},
		{"POST", "clips", `{}`, app, 422},
		{"GET", "clips", "", app, 405},
		{"DELETE", "recording", "", app, 409},
		{"DELETE", "recording", "", "Bearer " + adminToken, 409},
	} {
		if w := call(c.method, c.rest, c.body, c.auth); w.Code != c.status || !strings.Contains(w.Body.String(), `"code"`) {
			t.Errorf("%+v: %d %s", c, w.Code, w.Body)
		}
	}
}
