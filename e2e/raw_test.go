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

// raw is a websocket without any SDK behind it: a peer that does as it likes.
type raw struct {
	t  *testing.T
	ws *websocket.Conn

	mu     sync.Mutex
	answer func(n int, ackID string) []string // the answers to the nth keep-alive
	types  map[string]int                     // messages of the cloud so far
	last   map[string]rawMsg                  // of each type
	kinds  []string                           // in order
	code   websocket.StatusCode
	done   chan struct{} // closed when the socket is
}

// rawMsg is what tests look at in a message of the cloud.
type rawMsg struct{ Type, StreamID, StreamURL, AppID, AckID, Message string }

// dialRaw opens /app-ws or /glasses-ws.
func (c *cloud) dialRaw(t *testing.T, path, token string, deaf bool) *raw {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	header := http.Header{}
	if token != "" {
		header.Set("Authorization", "Bearer "+token)
	}
	ws, _, err := websocket.Dial(ctx, c.url+path, &websocket.DialOptions{HTTPHeader: header})
	if err != nil {
		t.Fatal(err)
	}
	ws.SetReadLimit(4 << 20)
	r := &raw{t: t, ws: ws, types: map[string]int{}, last: map[string]rawMsg{}, done: make(chan struct{})}
	r.answers(func(_ int, ackID string) []string {
		if deaf {
			return nil
		}
		return []string{ackID}
	})
	go r.read()
	t.Cleanup(func() { ws.CloseNow(); <-r.done })
	return r
}

func (r *raw) read() {
	defer close(r.done)
	for {
		_, b, err := r.ws.Read(context.Background())
		if err != nil {
			r.mu.Lock()
			r.code = websocket.CloseStatus(err)
			r.mu.Unlock()
			return
		}
		var m rawMsg
		if json.Unmarshal(b, &m) != nil {
			continue
		}
		r.mu.Lock()
		r.types[m.Type]++
		r.last[m.Type] = m
		r.kinds = append(r.kinds, m.Type)
		answer, n := r.answer, r.types["keep_stream_alive"]
		r.mu.Unlock()
		if m.Type == "keep_stream_alive" {
			for _, id := range answer(n, m.AckID) {
				_ = r.write(fmt.Sprintf(`{"type":"keep_alive_ack","streamId":%q,"ackId":%q}`, m.StreamID, id)) // a closed one needs none
			}
		}
	}
}

func (r *raw) write(text string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return r.ws.Write(ctx, websocket.MessageText, []byte(text))
}

func (r *raw) send(text string) {
	r.t.Helper()
	if err := r.write(text); err != nil {
		r.t.Fatalf("send %.60s: %v", text, err)
	}
}

func (r *raw) count(kind string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.types[kind]
}

// started returns the id in the cloud's last start_stream.
func (r *raw) started() string { return r.newest("start_stream").StreamID }

// newest returns the last message of a type.
func (r *raw) newest(kind string) rawMsg {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last[kind]
}

// answers decides how keep-alives are answered from now on.
func (r *raw) answers(how func(n int, ackID string) []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = how
}

// first waits for the first message of a type and returns it.
func (r *raw) first(kind string) rawMsg {
	r.t.Helper()
	eventually(r.t, "a "+kind, func() bool { return r.count(kind) > 0 })
	return r.newest(kind)
}

// closed waits for the cloud's close code.
func (r *raw) closed() websocket.StatusCode {
	r.t.Helper()
	select {
	case <-r.done:
	case <-time.After(patience):
		r.t.Fatal("the cloud did not close the socket")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.code
}

// userToken is a wearer's core token.
func (c *cloud) userToken(t *testing.T, user string) string {
	t.Helper()
	return strings.TrimSpace(runCommand(t, binary, "user", "token", user, "--config", c.config))
}

// rawGlasses are a phone with connected glasses that answer keep-alives, unless
// they are deaf, and do nothing else.
func (c *cloud) rawGlasses(t *testing.T, user string, deaf bool) *raw {
	t.Helper()
	r := c.dialRaw(t, "/glasses-ws", c.userToken(t, user), deaf)
	r.send(`{"type":"glasses_connection_state","modelName":"Mentra Live","status":"CONNECTED","wifi":{"connected":true,"ssid":"lab"},"supportedStreamTypes":["rtmp"]}`)
	return r
}

// webhook is an app server that says yes and connects nowhere.
func webhook(t *testing.T) (port int) {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"status":"success"}`))
	}))
	t.Cleanup(s.Close)
	if _, err := fmt.Sscanf(s.URL, "http://127.0.0.1:%d", &port); err != nil {
		t.Fatal(err)
	}
	return port
}

// rawApp starts an app for a user and connects it.
func (c *cloud) rawApp(t *testing.T, user, pkg string) *raw {
	t.Helper()
	r := c.dialRaw(t, "/app-ws", "", false)
	started := make(chan int, 1)
	go func() { started <- c.api("POST", "/api/v1/users/"+user+"/apps/"+pkg+"/start", nil, nil) }()
	eventually(t, "the cloud waits for "+pkg, func() bool {
		return c.process.count("app asked to connect.*app="+pkg) > 0
	})
	r.send(fmt.Sprintf(`{"type":"tpa_connection_init","sessionId":"%s-%s","packageName":%q,"apiKey":%q}`, user, pkg, pkg, apiKey))
	if code := <-started; code != http.StatusOK {
		t.Fatalf("start %s: %d", pkg, code)
	}
	return r
}
