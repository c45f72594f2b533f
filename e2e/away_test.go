package e2e

import (
	"syscall"
	"testing"
	"time"
)

// The wearer's phone dies and is back after a little less, and a little more,
// than a minute, while apps of every style share a stream. Within the grace all
// goes on: same sessions, id and links. After it each app is told once that the
// stream is over and is stopped once; when the wearer is back the apps that ran
// are started anew.
//
// F19
func TestWearerAwayLong(t *testing.T) {
	if !long {
		t.Skip("takes a minute of nothing: make test-long")
	}
	parallel(t, others)
	away := map[string]time.Duration{"within the grace": 56 * time.Second, "after it": 64 * time.Second}
	together(t, []string{"within the grace", "after it"}, func(t *testing.T, name string) {
		const user = "wearer@example.com"
		f := newFour(t, "", "CAMERA")
		c := startCloud(t, f.config+"users:\n  - {id: "+user+"}\n")
		w := c.startGlasses(t, user)
		f.run(t, c, "", always(user))
		links := f.share(t)
		for _, a := range f.apps {
			a.mark()
		}
		if err := syscall.Kill(-w.cmd.Process.Pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		time.Sleep(away[name]) // how long they are away is what is tested
		c.startGlasses(t, user)
		if name == "within the grace" {
			for style, a := range f.apps {
				if e := a.status("active"); e.StreamID != links.StreamID || e.HLS != links.HLS {
					t.Errorf("%s: active again with %+v, want %+v", style, e, links)
				}
			}
			wantMovingSoon(t, links.HLS)
			f.wantUntold(t)
			f.leave(t, links)
			return
		}
		for style, a := range f.apps {
			a.wait("a session again", func(e event) bool { return e.Event == "session" })
			if n := a.count(`^@\{"event":"status","kind":"managed".*"status":"(stopped|error|timeout)"`); n != 1 {
				t.Errorf("%s was told of %d ends", style, n)
			}
			if n, m := a.stops("system_stop"); n != 1 || m != 0 {
				t.Errorf("%s: onStop ran %d times, and %d for another reason", style, n, m)
			}
			if a.existing().HasActiveStream {
				t.Errorf("%s: a stream is left", style)
			}
		}
		after := f.share(t)
		if after.StreamID == links.StreamID || after.HLS == links.HLS {
			t.Error("the stream that ended goes on")
		}
	})
}
