package e2e

import (
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"
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

// A restart of the server, orderly or not, ends nothing: every app style keeps
// its session without an onStop, the stream keeps its id and links, and pictures
// move again by themselves.
func TestRestart(t *testing.T) {
	t.Parallel()
	for name, signal := range map[string]syscall.Signal{"SIGTERM": syscall.SIGTERM, "SIGKILL": syscall.SIGKILL} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const user = "wearer@example.com"
			styles := []string{"sdk2", "hono", "alpha", "mini"}
			config, ports := "apps:\n", map[string]int{}
			for _, style := range styles {
				ports[style] = freePort(t)
				config += appConfig("com.example."+style, ports[style], "CAMERA")
			}
			c := startCloud(t, config+"users:\n  - {id: "+user+"}\n")
			w := c.startGlasses(t, user)
			apps := map[string]*app{}
			for _, style := range styles {
				a := startApp(t, style, "com.example."+style, ports[style])
				c.startSession(a, user)
				apps[style] = a
			}
			first := apps["sdk2"]
			var before urls
			first.do(&before, "managed", map[string]any{})
			apps["mini"].do(nil, "managed", map[string]any{})
			wantMoving(t, before.HLS)

			c.restart(t, signal)
			first.mark()
			first.status("active") // told again after its reconnect
			eventually(t, "the same links play again", func() bool { code, _, _ := get(t, before.HLS); return code == 200 })
			wantMoving(t, before.HLS)
			for _, a := range apps {
				var found struct {
					HasActiveStream bool `json:"hasActiveStream"`
					StreamInfo      struct{ StreamID string }
				}
				a.do(&found, "check")
				if found.StreamInfo.StreamID != before.StreamID {
					t.Errorf("%s sees %+v, want stream %s", a.name, found, before.StreamID)
				}
				a.do(nil, "text", "still here: "+a.pkg)
				w.waitLine("still here: "+a.pkg, 0)
				if n := a.count(`^@\{"event":"stop"`); n != 0 {
					t.Errorf("%s ran onStop", a.name)
				}
				if n := a.count(`^@\{"event":"session"`); n != 1 {
					t.Errorf("%s had %d sessions, want the first only", a.name, n)
				}
			}
		})
	}
}
