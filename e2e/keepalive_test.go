package e2e

import (
	"fmt"
	"testing"
)

// Four pairs of glasses stream to somewhere and answer keep-alives badly. Deaf
// ones are given up after the third: the SDK hears "timeout" once, knows that it
// does not stream any more, the glasses are told to stop, what they answer later
// changes nothing, and the app may start again. Those that miss two, always
// answer one too late, or answer twice and in strange words, keep their streams.
//
// F21
func TestGlassesAnswerBadly(t *testing.T) {
	parallel(t, waiting)
	const pkg, target = "com.example.deaf", "rtmp://127.0.0.1:9/live/k"
	port := freePort(t)
	bad := map[string]func(n int, id string) []string{
		"deaf@example.com": func(int, string) []string { return nil },
		"two@example.com": func(n int, id string) []string {
			if n < 3 {
				return nil
			}
			return []string{id}
		},
		"strange@example.com": func(_ int, id string) []string { return []string{"zzzzzz", id, id, "", id} },
	}
	late := ""
	bad["late@example.com"] = func(n int, id string) []string { // called by one goroutine
		former := late
		if late = id; n == 1 {
			return nil
		}
		return []string{former}
	}
	var users []string
	config := "users:\n"
	for user := range bad {
		users = append(users, user)
		config += "  - {id: " + user + "}\n"
	}
	f := newFleet(t, []string{"com.example.plain"}, users)
	c := startCloud(t, f.config+appConfig(pkg, port, "CAMERA")+config)
	glasses := map[string]*raw{}
	for user, how := range bad {
		glasses[user] = c.rawGlasses(t, user, false)
		glasses[user].answers(how)
	}
	f.startFleet(c)
	a := startApp(t, "sdk2", pkg, port)
	c.startSession(a, "deaf@example.com")
	a.do(nil, "direct", target)
	for user, g := range glasses {
		m := f.members[user+"-com.example.plain"]
		if user != "deaf@example.com" {
			m.send(`{"type":"rtmp_stream_request","packageName":%q,"rtmpUrl":%q}`, m.pkg, target)
		}
		g.send(fmt.Sprintf(`{"type":"stream_status","streamId":%q,"status":"streaming"}`, g.first("start_stream").StreamID))
	}
	a.status("active")
	for user, g := range glasses {
		if user != "deaf@example.com" {
			m := f.members[user+"-com.example.plain"]
			if _, ok := m.wait(nil, func(s told) bool { return s.Status == "active" }); !ok {
				t.Fatalf("%s is not told that it streams", user)
			}
		}
		for n := 1; n <= 3; n++ { // one each 15 s
			eventually(t, "another keep-alive", func() bool { return g.count("keep_stream_alive") >= n })
		}
	}
	deaf := glasses["deaf@example.com"]
	if e := a.status("timeout"); e.Details == "" {
		t.Errorf("no word of why: %+v", e)
	}
	if a.streaming() {
		t.Error("the SDK still believes that it streams")
	}
	eventually(t, "the glasses are told to stop", func() bool { return deaf.count("stop_stream") == 1 })
	last := deaf.newest("keep_stream_alive")
	deaf.send(fmt.Sprintf(`{"type":"keep_alive_ack","streamId":%q,"ackId":%q}`, last.StreamID, last.AckID))
	if a.existing().HasActiveStream {
		t.Error("a late answer brought the stream back")
	}
	for user, g := range glasses {
		if user == "deaf@example.com" {
			continue
		}
		eventually(t, "a fourth keep-alive", func() bool { return g.count("keep_stream_alive") >= 4 })
		if ends := f.members[user+"-com.example.plain"].unasked(); len(ends) > 0 || g.count("stop_stream") > 0 {
			t.Errorf("%s: told %+v", user, ends)
		}
	}
	a.do(nil, "direct", target)
	a.status("initializing")
	if n := a.count(`"status":"timeout"`); n != 1 {
		t.Errorf("%d times timeout", n)
	}
}
