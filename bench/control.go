package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
	"golang.org/x/sync/errgroup"

	"glimpse/internal/control/auth"
	"glimpse/protocol"
)

// The crowd of the control scenario.
const (
	wearers        = 1000
	appsOfWearer   = 3
	dialling       = 32              // connections made at a time
	displayEvery   = 3 * time.Second // of each app
	calm           = 5 * time.Second // after everybody has come
	controlAPIKey  = "key-of-the-benchmark"
	controlPackage = "com.example.bench"
)

// control measures the control plane alone: wearers with glasses and apps that
// show texts. Latency is from an app's send to the glasses' receipt; all peers
// live in this process.
func control(ctx context.Context, i *instance, t trial) ([]figure, error) {
	ctx, cancel := context.WithCancel(ctx)
	c := &people{ctx: ctx, server: i.ours}
	defer c.wg.Wait()
	defer cancel()
	hooks, err := c.serveApps()
	if err != nil {
		return nil, err
	}
	defer func() { _ = hooks.Close() }()
	before, err := i.memory()
	if err != nil {
		return nil, err
	}
	if err := c.comeIn(); err != nil {
		return nil, err
	}
	if err := c.startApps(0); err != nil {
		return nil, err
	}
	time.Sleep(calm)
	one, err := i.memory()
	if err != nil {
		return nil, err
	}
	for n := 1; n < appsOfWearer; n++ {
		if err := c.startApps(n); err != nil {
			return nil, err
		}
	}
	c.show()
	time.Sleep(calm)
	c.counting.Store(true)
	figures, err := i.cost(ctx, t.window(), wearers)
	c.counting.Store(false)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return append(figures,
		figure{"app_to_glasses_p50", quantile(c.ages, 0.5), "ms"},
		figure{"app_to_glasses_p99", quantile(c.ages, 0.99), "ms"},
		figure{"memory_per_wearer_with_one_app", (one - before) / 1024 / wearers, "KiB"},
	), nil
}

// people is every wearer's glasses and apps.
type people struct {
	ctx    context.Context
	server *server
	wg     sync.WaitGroup

	glasses  []*websocket.Conn
	counting atomic.Bool
	arrived  atomic.Int64 // apps that were acknowledged

	mu   sync.Mutex
	apps []*websocket.Conn
	ages []time.Duration
}

// serveApps registers the apps and answers their webhooks.
func (c *people) serveApps() (*http.Server, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	hooks := &http.Server{Handler: http.HandlerFunc(c.webhook), ReadHeaderTimeout: 5 * time.Second}
	c.wg.Go(func() { _ = hooks.Serve(l) })
	for n := range appsOfWearer {
		app := map[string]any{
			"package": packageName(n), "api_key": controlAPIKey, "permissions": []string{"CAMERA"},
			"url": fmt.Sprintf("http://%s/%d", l.Addr(), n),
		}
		body, _ := json.Marshal(app)
		if err := c.server.call(c.ctx, "POST", "/api/v1/apps", body, &struct{}{}); err != nil {
			return nil, errors.Join(err, hooks.Close())
		}
	}
	return hooks, nil
}

func packageName(n int) string { return controlPackage + strconv.Itoa(n) }

// webhook connects an app as the SDKs do.
func (c *people) webhook(w http.ResponseWriter, r *http.Request) {
	var req protocol.SessionRequest
	if json.NewDecoder(r.Body).Decode(&req) != nil || req.Type != protocol.WebhookSession {
		w.WriteHeader(http.StatusOK)
		return
	}
	pkg := controlPackage + strings.Split(r.URL.Path, "/")[1]
	ws, _, err := websocket.Dial(c.ctx, req.WebsocketURL, nil)
	if err != nil {
		http.Error(w, "no socket", http.StatusInternalServerError)
		return
	}
	init, _ := json.Marshal(protocol.AppInit{
		Type: protocol.TypeAppInit, SessionID: req.SessionID, PackageName: pkg, APIKey: controlAPIKey,
	})
	if err := ws.Write(c.ctx, websocket.MessageText, init); err != nil {
		http.Error(w, "no socket", http.StatusInternalServerError)
		return
	}
	c.mu.Lock()
	c.apps = append(c.apps, ws)
	c.mu.Unlock()
	c.wg.Go(func() {
		defer func() { _ = ws.CloseNow() }()
		for {
			_, frame, err := ws.Read(c.ctx)
			if err != nil {
				return
			}
			if typeIs(frame, protocol.TypeAppAck) {
				c.arrived.Add(1)
			}
		}
	})
	w.WriteHeader(http.StatusOK)
}

// typeIs reads no more of a frame than its type.
func typeIs(frame []byte, typ string) bool {
	return strings.Contains(string(frame[:min(len(frame), 80)]), `"type":"`+typ+`"`)
}

// comeIn connects the glasses of every wearer.
func (c *people) comeIn() error {
	tokens := auth.NewCoreTokens(coreSecret, time.Now)
	c.glasses = make([]*websocket.Conn, wearers)
	var group errgroup.Group
	group.SetLimit(dialling)
	for n := range c.glasses {
		group.Go(func() error {
			token, err := tokens.Sign(fmt.Sprintf("wearer-%d@example.com", n))
			if err != nil {
				return err
			}
			ws, _, err := websocket.Dial(c.ctx, "ws"+strings.TrimPrefix(c.server.url, "http")+"/glasses-ws?token="+token, nil)
			if err != nil {
				return fmt.Errorf("glasses %d: %w", n, err)
			}
			c.glasses[n] = ws
			c.wg.Go(func() { c.wear(ws) })
			return ws.Write(c.ctx, websocket.MessageText,
				[]byte(`{"type":"glasses_connection_state","modelName":"Mentra Live","status":"CONNECTED","wifi":{"connected":true}}`))
		})
	}
	return group.Wait()
}

// wear reads what glasses are sent and how old the texts are.
func (c *people) wear(ws *websocket.Conn) {
	defer func() { _ = ws.CloseNow() }()
	for {
		_, frame, err := ws.Read(c.ctx)
		if err != nil {
			return
		}
		now := time.Now()
		if !c.counting.Load() || !typeIs(frame, protocol.TypeDisplay) {
			continue
		}
		var m struct{ Layout protocol.TextWall }
		if json.Unmarshal(frame, &m) != nil {
			continue
		}
		if sent, err := strconv.ParseInt(m.Layout.Text, 10, 64); err == nil {
			c.mu.Lock()
			c.ages = append(c.ages, now.Sub(time.Unix(0, sent)))
			c.mu.Unlock()
		}
	}
}

// startApps starts one more app of every wearer and waits until all are here.
func (c *people) startApps(n int) error {
	var group errgroup.Group
	group.SetLimit(dialling)
	start := []byte(`{"type":"start_app","packageName":"` + packageName(n) + `"}`)
	want := int64(wearers * (n + 1))
	for i, ws := range c.glasses {
		group.Go(func() error {
			for c.arrived.Load() < int64(wearers*n+i-dialling) && c.ctx.Err() == nil { // not all webhooks at once
				time.Sleep(time.Millisecond)
			}
			return ws.Write(c.ctx, websocket.MessageText, start)
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for deadline := time.Now().Add(time.Minute); c.arrived.Load() < want; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) || c.ctx.Err() != nil {
			return fmt.Errorf("%d apps are connected, want %d", c.arrived.Load(), want)
		}
	}
	return nil
}

// show lets every app show a text now and then, evenly over time.
func (c *people) show() {
	c.mu.Lock()
	defer c.mu.Unlock()
	pause := displayEvery / time.Duration(len(c.apps))
	for i, ws := range c.apps {
		c.wg.Go(func() {
			tick := time.NewTimer(time.Duration(i) * pause)
			defer tick.Stop()
			for {
				select {
				case <-tick.C:
				case <-c.ctx.Done():
					return
				}
				tick.Reset(displayEvery)
				text := fmt.Appendf(nil, `{"type":"display_event","view":"main","layout":{"layoutType":"text_wall","text":"%d"}}`, time.Now().UnixNano())
				if ws.Write(c.ctx, websocket.MessageText, text) != nil {
					return
				}
			}
		})
	}
}
