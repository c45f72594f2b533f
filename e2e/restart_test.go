package e2e

import (
	"maps"
	"net/url"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// restart ends the server with a signal and starts it again on the same ports
// and data.
func (c *cloud) restart(t *testing.T, signal syscall.Signal) {
	t.Helper()
	c.keepPorts(t)
	if err := c.cmd.Process.Signal(signal); err != nil {
		t.Fatal(err)
	}
	<-c.done
	c.again(t)
}

// keepPorts puts the ports that the server got into its configuration.
func (c *cloud) keepPorts(t *testing.T) {
	t.Helper()
	b, err := os.ReadFile(c.config)
	if err != nil {
		t.Fatal(err)
	}
	config := string(b)
	for key, at := range map[string]string{"http": c.url, "rtmp": c.rtmp} {
		u, err := url.Parse(at)
		if err != nil {
			t.Fatal(err)
		}
		config = strings.Replace(config, key+`: {addr: "127.0.0.1:0"}`, key+`: {addr: "`+u.Host+`"}`, 1)
	}
	if err := os.WriteFile(c.config, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
}

// again starts the server after its end.
func (c *cloud) again(t *testing.T) {
	t.Helper()
	c.process = start(t, "glimpse serve again", nil, binary, "serve", "--config", c.config)
	c.waitLine(`(http://127\.0\.0\.1:\d+)`, 0)
}

// restartLate is restart after everybody has given up.
func (c *cloud) restartLate(t *testing.T, signal syscall.Signal) {
	t.Helper()
	c.keepPorts(t)
	if err := c.cmd.Process.Signal(signal); err != nil {
		t.Fatal(err)
	}
	<-c.done
	time.Sleep(outage) // how long the cloud is away is what is tested
	c.again(t)
}

// The server is away for a moment, and later for so long that every SDK gives up;
// it ends well once and is killed once, in both orders.
//
// B44 F13 F14 (the parts about apps)
func TestRestart(t *testing.T) {
	parallel(t, others)
	signals := map[string][2]syscall.Signal{
		"SIGTERM then SIGKILL": {syscall.SIGTERM, syscall.SIGKILL}, "SIGKILL then SIGTERM": {syscall.SIGKILL, syscall.SIGTERM},
	}
	together(t, slices.Sorted(maps.Keys(signals)), func(t *testing.T, name string) {
		const user = "wearer@example.com"
		f := newFour(t, "", "CAMERA")
		c := startCloud(t, f.config+"users:\n  - {id: "+user+"}\n")
		w := c.startGlasses(t, user)
		f.run(t, c, "", always(user))
		links := f.share(t)
		wantMoving(t, links.HLS)
		restartSoon(t, c, f, w, links, signals[name][0])
		restartLate(t, c, f, w, links, signals[name][1])
	})
}

// restartSoon: nothing ends. Every app style keeps its session without an onStop,
// the stream that they share keeps its id and links, each is told that it goes
// on, and pictures move again by themselves.
func restartSoon(t *testing.T, c *cloud, f *four, w *wearer, links urls, signal syscall.Signal) {
	t.Helper()
	for _, a := range f.apps {
		a.mark()
	}
	c.restart(t, signal)
	for style, a := range f.apps {
		if e := a.status("active"); e.StreamID != links.StreamID || e.HLS != links.HLS { // told again after its reconnect
			t.Errorf("%s goes on with %+v, want %+v", style, e, links)
		}
	}
	eventually(t, "the same links play again", func() bool { code, _, _ := get(t, links.HLS); return code == 200 })
	wantMoving(t, links.HLS)
	for style, a := range f.apps {
		if found := a.existing(); found.StreamInfo.StreamID != links.StreamID {
			t.Errorf("%s sees %+v, want stream %s", style, found, links.StreamID)
		}
		a.do(nil, "text", "still here: "+a.pkg)
		w.waitLine("still here: "+a.pkg, 0)
	}
	f.wantUntold(t)
	f.note()
}

// restartLate: every SDK has given up, and its onStop has run. The cloud asks the
// apps back by itself. The stream that they held was held for them: links play, a
// check finds it, nobody is told anything before asking, a start joins it, and
// the last stop ends it.
func restartLate(t *testing.T, c *cloud, f *four, w *wearer, links urls, signal syscall.Signal) {
	t.Helper()
	for _, a := range f.apps {
		a.mark()
	}
	c.restartLate(t, signal)
	const gaveUp = "Maximum reconnection attempts exceeded"
	eventually(t, "the same links play before any app is back", func() bool { code, _, _ := get(t, links.HLS); return code == 200 })
	for style, a := range f.apps {
		if e := a.wait("onStop", func(e event) bool { return e.Event == "stop" }); !strings.Contains(e.Reason, gaveUp) {
			t.Errorf("%s: onStop says %q", style, e.Reason)
		}
		a.wait("a session again", func(e event) bool { return e.Event == "session" })
	}
	wantMoving(t, links.HLS)
	for style, a := range f.apps {
		found := a.existing()
		if found.StreamInfo.StreamID != links.StreamID || found.StreamInfo.Type != "managed" {
			t.Errorf("%s sees %+v, want stream %s", style, found, links.StreamID)
		}
		if n := a.statuses() - f.heard[style]; n != 0 {
			t.Errorf("%s was told %d statuses before it asked", style, n)
		}
		if a.streaming() {
			t.Errorf("%s: a fresh session believes that it streams", style)
		}
	}
	lit := w.count(`○ recording light off`)
	if after := f.share(t); after != links {
		t.Errorf("went on with %+v, want %+v", after, links)
	}
	f.leave(t, links)
	eventually(t, "the recording light goes off", func() bool { return w.count(`○ recording light off`) > lit })
	if n := w.count(`○ recording light off`) - lit; n != 1 {
		t.Errorf("the glasses stopped %d times", n)
	}
	for style, a := range f.apps {
		if n, m := a.count(`^@\{"event":"session"`), a.count(`^@\{"event":"stop"`)-a.count(gaveUp+`"\}$`); n != 2 || m != 0 {
			t.Errorf("%s: %d sessions, want 2; %d ends that are not the SDK's own", style, n, m)
		}
	}
}
