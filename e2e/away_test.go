package e2e

import (
	"testing"
	"time"
)

// The wearer disappears for 59 s and, another time, for 61 s, while apps of every
// style share a stream. Within the grace all goes on: same sessions, id and
// links. After it each app is told once that the stream is over and is stopped
// once; when the wearer is back the apps that ran are started anew.
//
// F19
func TestWearerAwayLong(t *testing.T) {
	if !long {
		t.Skip("takes a minute of nothing: make test-long")
	}
	t.Parallel()
	for name, back := range map[string]bool{"59s": true, "61s": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const user = "wearer@example.com"
			f := newFour(t, "", "CAMERA")
			c := startCloud(t, f.config+"users:\n  - {id: "+user+"}\n")
			w := c.startGlasses(t, user)
			f.run(t, c, "", always(user))
			h := c.follow(t)
			links := f.share(t)
			for _, a := range f.apps {
				a.mark()
			}
			w.say("drop " + name)
			h.await(1, happened{Type: "phone.disconnected"})
			time.Sleep(time.Minute) // the absence is what is tested
			h.await(2, happened{Type: "phone.connected"})
			if back {
				for style, a := range f.apps {
					if e := a.status("active"); e.StreamID != links.StreamID || e.HLS != links.HLS {
						t.Errorf("%s: active again with %+v, want %+v", style, e, links)
					}
				}
				wantMoving(t, links.HLS)
				f.wantUntold(t)
				return
			}
			for style, a := range f.apps {
				a.wait("a session again", func(e event) bool { return e.Event == "session" })
				if n := a.count(`^@\{"event":"status","kind":"managed".*"status":"(stopped|error|timeout)"`); n != 1 {
					t.Errorf("%s was told of %d ends", style, n)
				}
				if n := a.count(`^@\{"event":"stop"`); n != 1 {
					t.Errorf("%s: onStop ran %d times", style, n)
				}
				if a.existing().HasActiveStream {
					t.Errorf("%s: a stream is left", style)
				}
			}
			after := f.share(t)
			if after.StreamID == links.StreamID {
				t.Error("the stream that ended goes on")
			}
		})
	}
}
