package e2e

import (
	"syscall"
	"testing"
	"time"
)

// An app that crashes is asked back, finds its stream by checkExistingStream and
// goes on with it by starting again; meanwhile viewers notice nothing.
//
// B44
func TestAppCrash(t *testing.T) {
	parallel(t, others)
	together(t, styles, func(t *testing.T, style string) {
		const user, pkg = "wearer@example.com", "com.example.crash"
		port := freePort(t)
		c := startCloud(t, "apps:\n"+appConfig(pkg, port, "CAMERA")+"users:\n  - {id: "+user+"}\n")
		c.startGlasses(t, user)
		a := startApp(t, style, pkg, port)
		c.startSession(a, user)
		var before, after urls
		a.do(&before, "managed", map[string]any{})

		// Its grace of 8 s is for an app, not for what Node takes on a busy machine.
		next := launchApp(t, style, pkg, port, "STANDBY=1")
		within(t, 3*patience, "the next process stands by", func() bool { return next.count(`^@\{"event":"standby"`) > 0 })
		if err := syscall.Kill(-a.cmd.Process.Pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		<-a.done
		if err := next.cmd.Process.Signal(syscall.SIGUSR2); err != nil {
			t.Fatal(err)
		}
		next.ready()
		a = next
		a.wait("session", func(e event) bool { return e.Event == "session" }) // asked back
		fetchOK(t, before.HLS)
		var found struct {
			HasActiveStream bool `json:"hasActiveStream"`
			StreamInfo      struct{ StreamID string }
		}
		a.do(&found, "check")
		if !found.HasActiveStream || found.StreamInfo.StreamID != before.StreamID {
			t.Errorf("a check says %+v, want stream %s", found, before.StreamID)
		}
		a.do(&after, "managed", map[string]any{})
		if after.StreamID != before.StreamID || after.HLS != before.HLS {
			t.Errorf("went on with %+v, want %+v", after, before)
		}
		a.do(nil, "stopManaged")
		eventually(t, "the links are gone", func() bool { code, _, _ := get(t, before.HLS); return code == 404 })
	})
}

// Apps that crash for good with a share in a stream lose it after their grace,
// once; those that live hear nothing of it, and the stream ends once, with its
// last holder.
//
// D14 F20
func TestAppsCrashForGood(t *testing.T) {
	parallel(t, others)
	const user = "wearer@example.com"
	f := newFour(t, "", "CAMERA")
	c := startCloud(t, f.config+"users:\n  - {id: "+user+"}\n")
	w := c.startGlasses(t, user)
	f.run(t, c, "", always(user))
	h := c.follow(t)
	links := f.share(t)
	kill := func(style string) {
		t.Helper()
		if err := syscall.Kill(-f.apps[style].cmd.Process.Pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		<-f.apps[style].done
	}
	held := func(style string) int {
		return h.count(happened{Type: "hold.began", App: f.apps[style].pkg}) - h.count(happened{Type: "hold.ended", App: f.apps[style].pkg})
	}
	for i, gone := range [][]string{styles[:2], styles[2:]} {
		began := time.Now()
		for _, style := range gone {
			kill(style)
		}
		for _, style := range gone {
			h.await(1, happened{Type: "hold.ended", App: f.apps[style].pkg, Status: "stopped"})
		}
		if took := time.Since(began); took < 8*time.Second {
			t.Errorf("the holds of %v ended after %v, before the grace of 8 s", gone, took)
		}
		if i == 0 {
			for _, style := range styles[2:] {
				a := f.apps[style]
				if found := a.existing(); found.StreamInfo.StreamID != links.StreamID || held(style) != 1 {
					t.Errorf("%s finds %+v and holds %d times", style, found, held(style))
				}
				if n := a.statuses() - f.heard[style]; n != 0 {
					t.Errorf("%s was told %d statuses of the crash of others", style, n)
				}
			}
			wantMoving(t, links.HLS)
		}
	}
	h.await(1, happened{Type: "stream.ended"})
	eventually(t, "the links are gone", func() bool { code, _, _ := get(t, links.HLS); return code == 404 })
	w.waitLine(`○ recording light off`, 0)
	for _, style := range styles {
		if n := h.count(happened{Type: "hold.ended", App: f.apps[style].pkg}); n != 1 {
			t.Errorf("the hold of %s ended %d times", style, n)
		}
	}
	if n, m := h.count(happened{Type: "stream.ended"}), w.count(`: stopping`); n != 1 || m != 1 {
		t.Errorf("the stream ended %d times, the glasses were told to stop %d times", n, m)
	}
}
