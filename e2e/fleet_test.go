package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// told is what the cloud said to a member: a status, an answer to a check, an
// acknowledgement.
type told struct {
	Type            string
	Status          string
	StreamID        string
	ErrorDetails    string
	Message         string
	RequestID       string
	HasActiveStream bool
	StreamInfo      struct{ Type, StreamID, Status, RequestingAppID, RTMPURL string }
	HLS             string `json:"hlsUrl"`
}

func (m told) isStatus() bool { return strings.HasSuffix(m.Type, "stream_status") }

func (m told) isEnd() bool {
	return m.isStatus() && (m.Status == "stopped" || m.Status == "error" || m.Status == "timeout")
}

// member is an app of a wearer as a plain websocket, with an SDK's manners: when
// its socket breaks, the same process comes back by itself, at once.
type member struct {
	fleet     *fleet
	user, pkg string
	session   string

	mu    sync.Mutex
	ws    *websocket.Conn
	heard []told
	read  int // of heard, by wait and idle
	backs int // connections so far
	asked int // webhooks
	more  chan struct{}
}

// fleet is the app servers of several packages, and the apps that run on them.
type fleet struct {
	t       *testing.T
	ctx     context.Context
	wg      sync.WaitGroup
	config  string // the apps list
	members map[string]*member

	mu  sync.Mutex
	url string // of the cloud
}

// newFleet serves the packages; every wearer may run each of them.
func newFleet(t *testing.T, pkgs, users []string) *fleet {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	f := &fleet{t: t, ctx: ctx, config: "apps:\n", members: map[string]*member{}}
	for _, pkg := range pkgs {
		for _, user := range users {
			id := user + "-" + pkg
			f.members[id] = &member{fleet: f, user: user, pkg: pkg, session: id, more: make(chan struct{})}
		}
		s := httptest.NewServer(http.HandlerFunc(f.webhook))
		t.Cleanup(s.Close)
		var port int
		if _, err := fmt.Sscanf(s.URL, "http://127.0.0.1:%d", &port); err != nil {
			t.Fatal(err)
		}
		f.config += appConfig(pkg, port, "CAMERA")
	}
	t.Cleanup(func() { cancel(); f.wg.Wait() })
	return f
}

func (f *fleet) webhook(w http.ResponseWriter, r *http.Request) {
	var request struct{ Type, SessionID string }
	_ = json.NewDecoder(r.Body).Decode(&request)
	if m := f.members[request.SessionID]; m != nil && request.Type == "session_request" {
		m.mu.Lock()
		m.asked++
		first := m.asked == 1
		m.mu.Unlock()
		if first {
			f.wg.Go(m.live)
		}
	}
	fmt.Fprint(w, `{"status":"success"}`)
}

// live keeps the member connected.
func (m *member) live() {
	for m.fleet.ctx.Err() == nil {
		m.connect()
		select {
		case <-time.After(50 * time.Millisecond):
		case <-m.fleet.ctx.Done():
		}
	}
}

// connect runs one connection. The check after the init marks the end of what
// the cloud says of itself to one who is back.
func (m *member) connect() {
	ctx := m.fleet.ctx
	m.fleet.mu.Lock()
	url := m.fleet.url
	m.fleet.mu.Unlock()
	ws, _, err := websocket.Dial(ctx, url+"/app-ws", nil)
	if err != nil {
		return
	}
	defer func() { _ = ws.CloseNow() }()
	ws.SetReadLimit(1 << 20)
	m.mu.Lock()
	m.backs++
	back := m.backs
	m.mu.Unlock()
	init := fmt.Sprintf(`{"type":"tpa_connection_init","packageName":%q,"apiKey":%q,"sessionId":%q}`, m.pkg, apiKey, m.session)
	check := fmt.Sprintf(`{"type":"stream_status_check","requestId":"back-%d"}`, back)
	if ws.Write(ctx, websocket.MessageText, []byte(init)) != nil || ws.Write(ctx, websocket.MessageText, []byte(check)) != nil {
		return
	}
	m.mu.Lock()
	m.ws = ws
	m.mu.Unlock()
	for {
		_, frame, err := ws.Read(ctx)
		if err != nil {
			return
		}
		var s told
		if json.Unmarshal(frame, &s) != nil || s.Type == "device_state_update" {
			continue
		}
		m.mu.Lock()
		m.heard = append(m.heard, s)
		close(m.more)
		m.more = make(chan struct{})
		m.mu.Unlock()
	}
}

// send writes on the present connection; one that is broken loses it.
func (m *member) send(format string, args ...any) {
	m.mu.Lock()
	ws := m.ws
	m.mu.Unlock()
	ctx, cancel := context.WithTimeout(m.fleet.ctx, patience)
	defer cancel()
	_ = ws.Write(ctx, websocket.MessageText, fmt.Appendf(nil, format, args...))
}

// drop breaks the member's connection without a word.
func (m *member) drop() {
	m.mu.Lock()
	defer m.mu.Unlock()
	_ = m.ws.CloseNow()
}

// wait returns the first that fits of what was not looked at yet; not when the
// patience or quit is over first.
func (m *member) wait(quit <-chan struct{}, fits func(told) bool) (told, bool) {
	deadline := time.After(patience)
	for {
		m.mu.Lock()
		for m.read < len(m.heard) {
			s := m.heard[m.read]
			m.read++
			if fits(s) {
				m.mu.Unlock()
				return s, true
			}
		}
		more := m.more
		m.mu.Unlock()
		select {
		case <-more:
		case <-quit:
			return told{}, false
		case <-deadline:
			return told{}, false
		}
	}
}

// unasked returns the ends of streams that came since the last wait.
func (m *member) unasked() (ends []told) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for ; m.read < len(m.heard); m.read++ {
		if m.heard[m.read].isEnd() {
			ends = append(ends, m.heard[m.read])
		}
	}
	return ends
}

// back waits until the member has connected again after connection number last,
// and returns whether the cloud then told it that it holds the wearer's stream,
// and what it says of that stream.
func (m *member) back(last int) (holds bool, check told, ok bool) {
	check, ok = m.wait(nil, func(s told) bool {
		switch {
		case s.Type == "tpa_connection_ack":
			holds = false
		case s.isStatus():
			holds = !s.isEnd()
		}
		var n int
		_, err := fmt.Sscanf(s.RequestID, "back-%d", &n)
		return err == nil && n > last
	})
	return holds, check, ok
}

func (m *member) connections() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.backs
}

// startFleet starts every member on the cloud.
func (f *fleet) startFleet(c *cloud) {
	f.t.Helper()
	f.mu.Lock()
	f.url = c.url
	f.mu.Unlock()
	var wg sync.WaitGroup
	for _, m := range f.members {
		wg.Go(func() {
			if code := c.api("POST", "/api/v1/users/"+m.user+"/apps/"+m.pkg+"/start", nil, nil); code != http.StatusOK {
				f.t.Errorf("start %s: %d", m.session, code)
			}
		})
	}
	wg.Wait()
	for _, m := range f.members {
		if _, _, ok := m.back(0); !ok {
			f.t.Fatalf("%s is not connected", m.session)
		}
	}
}
