package e2e

import "testing"

// The wearer's network goes away and comes back, and later another device takes
// over: the same stream goes on under the same links, and the app is told of the
// interruption but not of an end.
func TestWearerDrops(t *testing.T) {
	t.Parallel()
	const user, pkg = "wearer@example.com", "com.example.drop"
	port := freePort(t)
	c := startCloud(t, "apps:\n"+appConfig(pkg, port, "CAMERA")+"users:\n  - {id: "+user+"}\n")
	w := c.startGlasses(t, user)
	a := startApp(t, "sdk2", pkg, port)
	c.startSession(a, user)
	var before urls
	a.do(&before, "managed", map[string]any{})
	wantMoving(t, before.HLS)

	a.mark()
	w.say("drop 6s")
	if e := a.status("preparing"); e.Message != "Reconnecting…" {
		t.Errorf("told %q", e.Message)
	}
	fetchOK(t, before.HLS)
	if e := a.status("active"); e.StreamID != before.StreamID || e.HLS != before.HLS {
		t.Errorf("active again with %+v, want %+v", e, before)
	}
	wantMoving(t, before.HLS)

	second := c.startGlasses(t, user)
	w.waitLine(`(?i)superseded by another device`, 0)
	<-w.done
	second.waitLine(`(?i)stream`, 0)
	wantMoving(t, before.HLS)
	if n := a.count(`"status":"(stopped|error|timeout)"`); n != 0 {
		t.Errorf("the app was told of %d ends", n)
	}
	if n := a.count(`^@\{"event":"(stop|session)"`); n != 1 {
		t.Errorf("%d starts and stops of the app's session, want the first only", n)
	}
}
