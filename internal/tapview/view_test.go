package tapview

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"glimpse/internal/control/tap"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestLine(t *testing.T) {
	at := time.Date(2026, 11, 21, 10, 30, 0, 5e6, time.Local)
	cases := map[string]struct {
		event tap.Event
		want  string
	}{
		"message": {
			tap.Event{Kind: tap.Message, From: tap.App, To: tap.Cloud, Package: "com.x", Type: "ping", Body: []byte(`{"a":1}`)},
			"10:30:00.005  app → cloud      com.x                     ping                          {\"a\":1}",
		},
		"audio": {
			tap.Event{Kind: tap.Message, From: tap.Glasses, To: tap.Cloud, Type: tap.Binary, Size: 640},
			"10:30:00.005  glasses → cloud                            (binary)                      640 bytes",
		},
		"close": {
			tap.Event{Kind: tap.Close, From: tap.Cloud, To: tap.App, Package: strings.Repeat("p", 30), Code: 1008, Reason: "bad\x1b[2Jkey"},
			"10:30:00.005  cloud → app      ppppppppppppppppppppppp…  ⏹ closed 1008                 bad·[2Jkey",
		},
		"connect": {
			tap.Event{Kind: tap.Connect, From: tap.Glasses, To: tap.Cloud},
			"10:30:00.005  glasses → cloud                            ⏵ connected",
		},
		"refused": {
			tap.Event{Kind: tap.Refused, From: tap.Cloud, To: tap.App, Package: "com.x", Reason: "wrong API key"},
			"10:30:00.005  cloud → app      com.x                     ✗ refused                     wrong API key",
		},
		"lost": {
			tap.Event{Kind: tap.Lost, Lost: 7},
			"10:30:00.005                                             … lost                        7 lines: this tap was too slow",
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			c.event.Time = at
			if got := Line(&c.event, false); got != c.want {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
			if got := Line(&c.event, true); strings.Count(got, "\x1b")%2 != 0 || !strings.Contains(got, reset) {
				t.Errorf("coloured: %q", got)
			}
		})
	}
}

// output is what was printed, with a signal for each write.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
	more chan struct{}
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text.Write(b)
	select {
	case o.more <- struct{}{}:
	default:
	}
	return len(b), nil
}

func (o *output) wait(t *testing.T, text string) {
	t.Helper()
	for deadline := time.After(10 * time.Second); ; {
		o.mu.Lock()
		got := o.text.String()
		o.mu.Unlock()
		if strings.Contains(got, text) {
			return
		}
		select {
		case <-o.more:
		case <-deadline:
			t.Fatalf("no %q in %q", text, got)
		}
	}
}

// The command survives a server that goes away, also one that goes silent, and
// ends without an error.
func TestRunReconnects(t *testing.T) {
	var calls int
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls++ // one after the other
		if r.URL.EscapedPath() != "/api/v1/wearers/a@b.c/tap" || r.Header.Get("Authorization") != "Bearer secret" {
			t.Errorf("asked for %s", r.URL)
		}
		switch calls {
		case 2:
			http.Error(w, "shutting down", http.StatusServiceUnavailable)
			return
		default:
			fmt.Fprintf(w, "\n{\"kind\":\"message\",\"type\":\"call-%d\"}\n", calls)
			w.(http.Flusher).Flush()
		}
		if calls >= 3 {
			<-r.Context().Done() // silent, until the peer has enough of it
		}
	}))
	defer server.Close()
	ctx, cancel := context.WithCancel(t.Context())
	out := &output{more: make(chan struct{}, 1)}
	ended := make(chan error, 1)
	go func() {
		ended <- Run(ctx, Config{
			Server: server.URL, Token: "secret", User: "a@b.c", JSON: true, Notes: io.Discard,
			Silence: 300 * time.Millisecond, Pause: time.Millisecond,
		}, out)
	}()
	for _, n := range []int{1, 3, 4} {
		out.wait(t, fmt.Sprintf("call-%d", n))
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("ended with %v", err)
	}
	http.DefaultClient.CloseIdleConnections()
}

// What asking again does not change is an error at once.
func TestRunRefused(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, `{"detail":"The admin token is wrong."}`)
	}))
	defer server.Close()
	gone := httptest.NewServer(nil)
	gone.Close()
	for address, want := range map[string]string{
		server.URL: "The admin token is wrong.", gone.URL: "refused", "localhost:8002": "is no address", "": "is no address",
	} {
		err := Run(t.Context(), Config{Server: address, Token: "x", User: "u", Notes: io.Discard}, io.Discard)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", address, err, want)
		}
	}
	http.DefaultClient.CloseIdleConnections()
}
