package e2e

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// A thousand requests of twelve apps of four wearers, as fast as they are
// answered: starts, joins, stops, replacements and lost sockets. Each is answered
// as the model says, the count is the model's to the end, and the last word to
// the glasses is a stop.
//
// F20
func TestStorm(t *testing.T) {
	parallel(t, others)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	var users []string
	config := "users:\n"
	for i := range 4 {
		users = append(users, fmt.Sprintf("wearer%d@example.com", i))
		config += "  - {id: " + users[i] + "}\n"
	}
	pkgs := []string{"com.example.a", "com.example.b", "com.example.c"}
	f := newFleet(t, pkgs, users)
	c := startCloud(t, f.config+config)
	var wearers []*played
	glasses := map[string]*raw{}
	for i, user := range users {
		glasses[user] = c.rawGlasses(t, user, false)
		p := &played{user: user, target: "rtmp://127.0.0.1:9/live/", keys: []string{"a", "b"}, rand: rand.New(rand.NewPCG(seed, uint64(i)))}
		for _, pkg := range pkgs {
			p.members = append(p.members, f.members[user+"-"+pkg])
		}
		wearers = append(wearers, p)
	}
	f.startFleet(c)
	var wg sync.WaitGroup
	for _, p := range wearers {
		wg.Go(func() {
			for range 250 {
				p.wantUntold(t)
				if !p.request(t, nil) {
					return
				}
			}
		})
	}
	wg.Wait()
	for _, p := range wearers {
		p.leave(t, c)
		p.wantUntold(t)
		g := glasses[p.user]
		eventually(t, "the last stream is stopped", func() bool { return g.newest("stop_stream").StreamID == g.started() })
	}
	eventually(t, "no stream is left", func() bool { return len(c.wearersOf()) == 0 })
	fetchOK(t, c.url+"/healthz")
}

// From the moment of SIGTERM new sessions are refused with 503, phones' and
// apps' alike, while those that are there go on; their sockets are closed with
// 1012 and only after the last answer.
//
// F14
func TestDrainRefusesSessions(t *testing.T) {
	parallel(t, others)
	const user, pkg = "wearer@example.com", "com.example.plain"
	f := newFleet(t, []string{pkg}, []string{user})
	c := startCloud(t, f.config+"users:\n  - {id: "+user+"}\n  - {id: second@example.com}\n")
	g := c.rawGlasses(t, user, false)
	f.startFleet(c)
	m := f.members[user+"-"+pkg]
	token := c.userToken(t, "second@example.com")

	type answers struct {
		codes map[int]int
		last  time.Time
	}
	ask := map[string]func() (int, error){
		"readyz": func() (int, error) { return status(http.Get(c.url + "/readyz")) },
		"glasses-ws": func() (int, error) {
			return dialStatus(t, c.url+"/glasses-ws?token="+token)
		},
		"app-ws": func() (int, error) { return dialStatus(t, c.url+"/app-ws") },
		"start": func() (int, error) {
			req, err := http.NewRequest("POST", c.url+"/apps/"+pkg+"/start", nil)
			if err != nil {
				return 0, err
			}
			req.Header.Set("Authorization", "Bearer "+token)
			return status(http.DefaultClient.Do(req))
		},
	}
	got := map[string]*answers{}
	var mu sync.Mutex
	if err := c.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	c.waitLine(`msg=draining`, 0)
	began := time.Now()
	var wg sync.WaitGroup
	for name, do := range ask {
		got[name] = &answers{codes: map[int]int{}}
		wg.Go(func() {
			for {
				asked := time.Now()
				code, err := do()
				if err != nil {
					return
				}
				mu.Lock()
				got[name].codes[code]++
				got[name].last = asked
				mu.Unlock()
				time.Sleep(10 * time.Millisecond)
			}
		})
	}
	m.send(`{"type":"rtmp_stream_request","packageName":%q,"rtmpUrl":"rtmp://127.0.0.1:9/live/k"}`, pkg)
	if _, ok := m.wait(nil, func(s told) bool { return s.Status == "initializing" }); !ok {
		t.Error("an app that was there is not served while the server drains")
	}
	code := g.closed()
	closed := time.Now()
	wg.Wait()
	<-c.done
	if took := time.Since(began); c.err != nil || took > 10*time.Second {
		t.Errorf("ended with %v after %v, want 0 within 10 s", c.err, took)
	}
	if code != websocket.StatusServiceRestart {
		t.Errorf("the phone was closed with %d, want 1012", code)
	}
	for name, a := range got {
		if a.codes[http.StatusServiceUnavailable] == 0 || len(a.codes) != 1 {
			t.Errorf("%s while draining: answers %v, want only 503", name, a.codes)
		}
		if a.last.After(closed) {
			t.Errorf("%s took a request %v after the sockets were closed", name, a.last.Sub(closed))
		}
	}
	if g.count("stop_stream") != 0 {
		t.Error("the glasses were told to stop")
	}
}

func status(res *http.Response, err error) (int, error) {
	if err != nil {
		return 0, err
	}
	res.Body.Close()
	return res.StatusCode, nil
}

// dialStatus opens a websocket and returns the HTTP status of the handshake.
func dialStatus(t *testing.T, url string) (int, error) {
	ws, res, err := websocket.Dial(t.Context(), url, nil)
	if err == nil {
		_ = ws.CloseNow()
	}
	if res == nil {
		return 0, err
	}
	return res.StatusCode, nil
}
