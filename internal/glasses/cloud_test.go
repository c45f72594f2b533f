package glasses

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/goleak"

	"glimpse/internal/glasses/clip"
	"glimpse/internal/glasses/source"
	"glimpse/internal/media/frame"
	"glimpse/internal/memnet"
	"glimpse/protocol"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// wearing is one test: glasses, a cloud that a test speaks for, a place to
// publish to, and what the wearer sees.
type wearing struct {
	t      *testing.T
	cloud  *cloud
	rtmp   *rtmpServer
	lines  chan string
	out    *strings.Builder
	outMu  sync.Mutex
	result chan error
}

func (w *wearing) Write(p []byte) (int, error) {
	w.outMu.Lock()
	defer w.outMu.Unlock()
	return w.out.Write(p)
}

func (w *wearing) screen() string {
	w.outMu.Lock()
	defer w.outMu.Unlock()
	return w.out.String()
}

func clipSource(t *testing.T) *source.File {
	r := clip.Open()
	f, err := source.Read(r, r.Size())
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// wear runs f in a synctest bubble with connected glasses.
func wear(t *testing.T, f func(w *wearing)) {
	t.Helper()
	film := clipSource(t)
	synctest.Test(t, func(t *testing.T) {
		w := &wearing{
			t: t, cloud: newCloud(t), rtmp: &rtmpServer{}, lines: make(chan string),
			out: new(strings.Builder), result: make(chan error, 1),
		}
		ctx, cancel := context.WithCancel(t.Context())
		g, err := New(Config{
			Server: "http://cloud", Token: "good", Source: film, Publish: w.rtmp.publish, Dial: w.cloud.net.Dial,
		}, w, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		go func() { w.result <- g.Run(ctx, w.lines); close(w.result) }()
		defer func() {
			cancel()
			<-w.result
			w.cloud.close()
			synctest.Wait()
		}()
		f(w)
	})
}

// message is what the glasses sent, with the time since the test began.
type message struct {
	protocol.GlassesStatus
	AckID    string
	Model    string `json:"modelName"`
	Text     string
	IsFinal  bool
	Language string `json:"transcribeLanguage"`
	Press    string `json:"pressType"`
	Level    float64
	Package  string `json:"packageName"`
	at       time.Duration
	frame    string // as it came
}

func (m message) String() string {
	s := m.Type
	if m.Status != "" {
		s += " " + m.StreamID + " " + m.Status
	}
	if m.Attempt > 0 {
		s += fmt.Sprintf(" %d/%d", m.Attempt, m.MaxAttempts)
	}
	if m.ErrorDetails != "" {
		s += ": " + m.ErrorDetails
	}
	return strings.Join(strings.Fields(s), " ")
}

// cloud is a /glasses-ws of the test's own.
type cloud struct {
	t        *testing.T
	net      *memnet.Listener
	srv      *http.Server
	began    time.Time
	messages chan message
	conns    chan *websocket.Conn
	ws       *websocket.Conn
	away     atomic.Bool // answers 503
}

func newCloud(t *testing.T) *cloud {
	c := &cloud{t: t, began: time.Now(), messages: make(chan message, 10_000), conns: make(chan *websocket.Conn, 16)}
	c.net = memnet.New(0)
	c.srv = &http.Server{Handler: http.HandlerFunc(c.serve)}
	go c.srv.Serve(c.net)
	return c
}

func (c *cloud) close() {
	if c.ws != nil {
		c.ws.CloseNow()
	}
	c.srv.Close()
}

func (c *cloud) serve(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/glasses-ws" || r.Header.Get("Authorization") != "Bearer good" {
		w.WriteHeader(http.StatusUnauthorized)
		io.WriteString(w, `{"type":"connection_error","message":"Invalid core token"}`)
		return
	}
	if c.away.Load() {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	ws, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	c.conns <- ws
	var pings sync.WaitGroup
	defer pings.Wait()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	pings.Go(func() {
		for ctx.Err() == nil {
			ws.Ping(ctx)
			select {
			case <-time.After(10 * time.Second):
			case <-ctx.Done():
			}
		}
	})
	for {
		_, b, err := ws.Read(context.Background())
		if err != nil {
			ws.CloseNow()
			return
		}
		m := message{at: time.Since(c.began), frame: string(b)}
		var odd *json.UnmarshalTypeError // a status that is no word is VAD's
		if err := json.Unmarshal(b, &m); err != nil && !errors.As(err, &odd) {
			c.t.Errorf("the glasses sent %s: %v", b, err)
		}
		c.messages <- m
	}
}

// accept waits for the glasses and their greeting.
func (c *cloud) accept() {
	c.t.Helper()
	c.ws = <-c.conns
	c.send(`{"type":"connection_ack","sessionId":"me@example.com"}`)
	c.expect("connection_init")
	if m := c.expect("glasses_connection_state CONNECTED"); m.Model != "Mentra Live" {
		c.t.Errorf("model %q", m.Model)
	}
}

func (c *cloud) send(text string) {
	c.t.Helper()
	if err := c.ws.Write(c.t.Context(), websocket.MessageText, []byte(text)); err != nil {
		c.t.Fatal(err)
	}
}

// next waits for a message, passing over repeated statistics.
func (c *cloud) next() message {
	c.t.Helper()
	for {
		if m := c.raw(); m.Status != protocol.StatusStreaming || m.Stats == nil || m.Stats.Duration == 0 {
			return m
		}
	}
}

// raw waits for any message.
func (c *cloud) raw() message {
	c.t.Helper()
	select {
	case m := <-c.messages:
		return m
	case <-time.After(70 * time.Second):
		c.t.Fatal("the glasses say nothing")
		return message{}
	}
}

// expect waits for a message and compares its text.
func (c *cloud) expect(want string) message {
	c.t.Helper()
	m := c.next()
	if m.String() != want {
		c.t.Fatalf("the glasses sent %q, want %q", m, want)
	}
	return m
}

// quiet fails if the glasses say anything but statistics for d.
func (c *cloud) quiet(d time.Duration) {
	c.t.Helper()
	end := time.After(d)
	for {
		select {
		case m := <-c.messages:
			if m.Status != protocol.StatusStreaming {
				c.t.Fatalf("the glasses sent %q", m)
			}
		case <-end:
			return
		}
	}
}

// live starts a stream and waits until it is on the air.
func (c *cloud) live(id, more string) message {
	c.t.Helper()
	c.send(`{"type":"start_stream","streamUrl":"rtmp://cloud/live/key","streamId":"` + id + `","sound":true` + more + `}`)
	c.expect("stream_status " + id + " initializing")
	c.expect("stream_status " + id + " connecting")
	return c.expect("stream_status " + id + " streaming")
}

// rtmpServer takes streams; a test can make it refuse and break them.
type rtmpServer struct {
	mu     sync.Mutex
	refuse error
	pubs   []*publication
}

func (s *rtmpServer) publish(_ context.Context, url string, tracks []*frame.Track, _ *Network) (Publisher, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refuse != nil {
		return nil, s.refuse
	}
	p := &publication{url: url, tracks: len(tracks)}
	s.pubs = append(s.pubs, p)
	return p, nil
}

func (s *rtmpServer) set(refuse error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuse = refuse
}

func (s *rtmpServer) last() *publication {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pubs[len(s.pubs)-1]
}

// publication is one connection as the server sees it.
type publication struct {
	url    string
	tracks int

	mu     sync.Mutex
	frames []*frame.Frame
	times  []time.Time
	err    error
	delay  time.Duration // of each write
	closed bool
}

func (p *publication) WriteFrame(f *frame.Frame) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err == nil && p.closed {
		p.err = net.ErrClosed
	}
	if p.err != nil {
		return p.err
	}
	if p.delay > 0 {
		d := p.delay
		p.delay = 0
		p.mu.Unlock()
		time.Sleep(d)
		p.mu.Lock()
	}
	p.frames = append(p.frames, f)
	p.times = append(p.times, time.Now())
	return nil
}

func (p *publication) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	return nil
}

func (p *publication) breakNow(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.err = err
}

func (p *publication) state() (frames []*frame.Frame, closed bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.frames, p.closed
}
