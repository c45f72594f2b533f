package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

// webhookAgain asks an app's server to connect once more, as a second cloud or a
// repeated webhook would.
func (c *cloud) webhookAgain(t *testing.T, port int, user, pkg string) {
	t.Helper()
	ws := "ws" + strings.TrimPrefix(c.url, "http") + "/app-ws"
	body, err := json.Marshal(map[string]string{
		"type": "session_request", "sessionId": user + "-" + pkg, "userId": user, "timestamp": "2026-11-20T23:10:12.950Z",
		"mentraOSWebsocketUrl": ws, "augmentOSWebsocketUrl": ws, "websocketUrl": ws,
	})
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.Post(fmt.Sprintf("http://127.0.0.1:%d/webhook", port), "application/json", strings.NewReader(string(body)))
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Errorf("%s: webhook answered %d", pkg, res.StatusCode)
	}
}

// The webhook comes again while an app runs and holds a stream: the SDK gives its
// session away, connects anew and runs onSession again. The newest connection is
// the session; the late end of the old one is no end of anything. The stream is
// held, the fresh process is told nothing before it asks, and joins.
//
// B40 B44
func TestWebhookAgain(t *testing.T) {
	parallel(t, others)
	const user = "wearer@example.com"
	f := newFour(t, "", "CAMERA")
	c := startCloud(t, f.config+"users:\n  - {id: "+user+"}\n")
	c.startGlasses(t, user)
	f.run(t, c, "", always(user))
	h := c.follow(t)
	links := f.share(t)
	for _, style := range styles {
		a := f.apps[style]
		a.mark()
		c.webhookAgain(t, f.ports[style], user, a.pkg)
		a.wait("a session again", func(e event) bool { return e.Event == "session" })
		h.await(1, happened{Type: "app.released", App: a.pkg})
		h.await(2, happened{Type: "app.started", App: a.pkg})
		if found := a.existing(); found.StreamInfo.StreamID != links.StreamID {
			t.Errorf("%s finds %+v, want stream %s", style, found, links.StreamID)
		}
		if n := a.statuses() - f.heard[style]; n != 0 {
			t.Errorf("%s was told %d statuses before it asked", style, n)
		}
		fetchOK(t, links.HLS)
	}
	if again := f.share(t); again != links {
		t.Errorf("went on with %+v, want %+v", again, links)
	}
	for typ, want := range map[string]int{
		"app.stopped": 0, "app.given_up": 0, "app.resurrected": 0, "stream.began": 1, "stream.ended": 0, "hold.began": 4, "hold.ended": 0,
	} {
		if n := h.count(happened{Type: typ}); n != want {
			t.Errorf("%d times %s, want %d", n, typ, want)
		}
	}
	ends := map[string]int{}
	for style, a := range f.apps {
		ends[style] = a.count(`^@\{"event":"stop"`)
		a.mark()
	}
	time.Sleep(time.Second)       // sessions are written behind what apps are answered
	c.restart(t, syscall.SIGKILL) // who gave a session away and took it again is one who runs
	for style, a := range f.apps {
		if e := a.status("active"); e.StreamID != links.StreamID {
			t.Errorf("%s goes on with %+v after a restart, want %+v", style, e, links)
		}
		if n := a.count(`^@\{"event":"stop"`) - ends[style]; n != 0 {
			t.Errorf("%s ran onStop %d times at a restart", style, n)
		}
	}
	eventually(t, "the links play again", func() bool { code, _, _ := get(t, links.HLS); return code == 200 })
	f.leave(t, links)
}
