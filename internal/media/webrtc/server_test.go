package webrtc

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/webrtc/v4"

	"glimpse/internal/media/codec"
	"glimpse/internal/media/frame"
	"glimpse/internal/media/hub"
	"glimpse/internal/media/webrtc/transport"
)

// rig is a server with one stream that a publisher feeds.
type rig struct {
	t      *testing.T
	hub    *hub.Hub
	stream *hub.Stream
	server *Server
	web    *httptest.Server
	sent   sync.Map // number of a picture to when it was published
	count  atomic.Uint64
}

// tones is an AudioSource that emits a packet each 20 ms and knows how many
// conversions run.
type tones struct{ running, begun atomic.Int32 }

func (s *tones) Opus(ctx context.Context, run *hub.Run, emit func(*frame.Frame)) error {
	s.running.Add(1)
	defer s.running.Add(-1)
	s.begun.Add(1)
	track := &frame.Track{Codec: &codec.Opus{Channels: 2}}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-run.Done():
			return nil
		case <-tick.C:
			emit(&frame.Frame{Track: track, PTS: time.Since(run.Start()).Round(20 * time.Millisecond), Payload: []byte{0xfc, 0xff, 0xfe}})
		}
	}
}

func newRig(t *testing.T, audio AudioSource) *rig {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	r := &rig{t: t, hub: hub.New(hub.Config{}, log)}
	var err error
	r.stream, err = r.hub.Open(hub.Spec{ID: "s1", IngestKey: "key", PlaybackID: "play", Standing: true, ResumeWindow: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	if r.server, err = New(Config{Addr: "127.0.0.1:0"}, r.hub, audio, log); err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	r.server.Register(mux)
	r.web = httptest.NewServer(mux)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.server.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
		r.web.CloseClientConnections()
		r.web.Close()
		http.DefaultClient.CloseIdleConnections()
		r.hub.Close()
	})
	return r
}

// publish feeds the stream with 50 pictures a second, a key picture every
// second, until the returned function is called. A picture's first eight bytes
// after the NAL header are its number.
func (r *rig) publish() (stop func()) {
	r.t.Helper()
	pub, err := r.hub.Publish("key", hub.PublisherInfo{Protocol: "test"})
	if err != nil {
		r.t.Fatal(err)
	}
	if err := pub.SetTrack(testTrack); err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer pub.Close()
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for n := 0; ; n++ {
			number := r.count.Add(1)
			nal := unit(0x41, 4000)
			if n%50 == 0 {
				nal = unit(0x65, 20_000)
			}
			for i := range 8 {
				nal[1+i] = byte(number >> (56 - 8*i))
			}
			r.sent.Store(number, time.Now())
			pts := time.Duration(n) * 20 * time.Millisecond
			if pub.Video(pts, pts, n%50 == 0, payload(nal)) != nil {
				return
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
	}()
	var once sync.Once
	stop = func() { once.Do(func() { cancel(); <-done }) }
	r.t.Cleanup(stop)
	eventually(r.t, "a run", func() bool { return r.stream.Run() != nil })
	return stop
}

// eventually waits for a condition.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.NewTimer(30 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("no %s within 30 s", what)
		}
	}
}

// do makes a request.
func (r *rig) do(method, path, body string) (*http.Response, string) {
	r.t.Helper()
	return r.doWith(method, path, body, nil)
}

func (r *rig) doWith(method, path, body string, header http.Header) (*http.Response, string) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), method, r.web.URL+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	if header != nil {
		req.Header = header.Clone()
	}
	req.Header.Set("Content-Type", "application/sdp")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return res, string(text)
}

// code of a problem.
func (r *rig) code(body string) string {
	r.t.Helper()
	var p struct{ Code, Detail string }
	if err := json.Unmarshal([]byte(body), &p); err != nil || p.Detail == "" {
		r.t.Fatalf("not a problem: %q", body)
	}
	return p.Code
}

// B15 B21: the WebRTC endpoint says what it is or why it is not.
func TestRefusals(t *testing.T) {
	r := newRig(t, nil)
	offer := chromiumOffer(t)
	want := func(path, body string, status int, code string) *http.Response {
		t.Helper()
		res, text := r.do("POST", path, body)
		if res.StatusCode != status || r.code(text) != code {
			t.Errorf("POST %s: %d %s, want %d %s", path, res.StatusCode, text, status, code)
		}
		if res.Header.Get("Access-Control-Allow-Origin") != "*" {
			t.Error("no CORS header on a refusal")
		}
		return res
	}
	want("/live/nobody/whep", offer, 404, "NO_STREAM")
	if res := want("/live/play/whep", offer, 503, "NOT_LIVE"); res.Header.Get("Retry-After") != "1" {
		t.Error("no Retry-After")
	}
	r.publish()
	want("/live/play/whep", "hello", 400, "BAD_SDP")
	want("/live/play/whep", offer+strings.Repeat("a=x\r\n", 20_000), 413, "BAD_SDP")
	want("/live/play/whep", strings.ReplaceAll(offer, "H264", "VP8"), 406, "NO_H264")
	for _, method := range []string{"PATCH", "DELETE"} {
		if res, text := r.do(method, "/live/play/whep/unknown", ""); res.StatusCode != 404 || r.code(text) != "NO_SESSION" {
			t.Errorf("%s: %d %s", method, res.StatusCode, text)
		}
	}
	if res, _ := r.do("OPTIONS", "/live/play/whep", ""); res.StatusCode != 204 ||
		!strings.Contains(res.Header.Get("Access-Control-Allow-Methods"), "POST") {
		t.Errorf("OPTIONS: %d %v", res.StatusCode, res.Header)
	}
}

// FAULTS F5: B-frames are refused with the way out, before a browser shows
// pictures in the wrong order.
func TestBFramesAreRefused(t *testing.T) {
	r := newRig(t, nil)
	pub, err := r.hub.Publish("key", hub.PublisherInfo{Protocol: "test"})
	if err != nil {
		t.Fatal(err)
	}
	defer pub.Close()
	if err := pub.SetTrack(testTrack); err != nil {
		t.Fatal(err)
	}
	const ms = time.Millisecond
	for i, pts := range []time.Duration{80 * ms, 200 * ms, 120 * ms, 160 * ms} { // I P B B
		if err := pub.Video(pts, time.Duration(i)*40*ms, i == 0, picturePayload(i == 0, 500)); err != nil {
			t.Fatal(err)
		}
	}
	res, text := r.do("POST", "/live/play/whep", chromiumOffer(t))
	if res.StatusCode != 422 || r.code(text) != "B_FRAMES" || !strings.Contains(text, "LL-HLS") {
		t.Errorf("%d %s", res.StatusCode, text)
	}
}

// FAULTS 1: offers that never connect are bounded per address and end after 10 s.
func TestPendingSessionsAreBounded(t *testing.T) {
	r := newRig(t, nil)
	r.publish()
	offer := chromiumOffer(t)
	const maxPending = 64 // of one address
	for range maxPending {
		if res, text := r.do("POST", "/live/play/whep", offer); res.StatusCode != 201 {
			t.Fatalf("%d %s", res.StatusCode, text)
		}
	}
	res, text := r.do("POST", "/live/play/whep", offer)
	if res.StatusCode != 429 || res.Header.Get("Retry-After") == "" {
		t.Errorf("%d %s", res.StatusCode, text)
	}
	if s := r.server.Stats(); s.Pending != maxPending {
		t.Errorf("%d pending", s.Pending)
	}
	r.server.sweep(time.Now().Add(10*time.Second - 2*time.Second))
	if s := r.server.Stats(); s.Pending != maxPending {
		t.Errorf("%d pending after 8 s", s.Pending)
	}
	r.server.sweep(time.Now().Add(10 * time.Second))
	if s := r.server.Stats(); s.Pending != 0 || s.Failed != maxPending {
		t.Errorf("%d pending, %d failed after 10 s", s.Pending, s.Failed)
	}
	if res, _ := r.do("POST", "/live/play/whep", offer); res.StatusCode != 201 {
		t.Errorf("%d after that", res.StatusCode)
	}
}

// A session that a fault of ours hits ends; the server goes on.
func TestPanicEndsOneSession(t *testing.T) {
	r := newRig(t, nil)
	r.publish()
	v := r.join(true)
	defer v.close()
	eventually(t, "the viewer", func() bool { return r.server.Stats().Viewers == 1 })
	broken := r.only().viewer.Load()
	broken.mu.Lock()
	broken.keys = &transport.Keys{} // nothing works with these
	broken.mu.Unlock()
	eventually(t, "the sender's fault", broken.over)
	r.server.sweep(time.Now())
	if s := r.server.Stats(); s.Dropped.Panics == 0 || s.Viewers != 0 {
		t.Errorf("%+v", s)
	}
	w := r.join(true)
	defer w.close()
	eventually(t, "the next viewer", func() bool { return w.newest.Load() > 0 })
}

// only returns the only session.
func (r *rig) only() *session {
	r.t.Helper()
	r.server.mu.Lock()
	defer r.server.mu.Unlock()
	for _, s := range r.server.sessions {
		return s
	}
	r.t.Fatal("no session")
	return nil
}

// watcher is a pion client: a PeerConnection that plays.
type watcher struct {
	r        *rig
	pc       *webrtc.PeerConnection
	location string
	state    chan webrtc.PeerConnectionState
	ssrc     atomic.Uint32 // of the video
	video    atomic.Uint64 // RTP packets
	audio    atomic.Uint64
	frames   sync.Map // number of a picture to when it was there
	newest   atomic.Uint64
	gaps     *gaps
}

// gaps counts sequence numbers that are still missing.
type gaps struct {
	mu      sync.Mutex
	seen    map[uint16]bool
	first   uint16
	highest uint16
}

func (g *gaps) add(seq uint16) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.seen) == 0 {
		g.first, g.highest = seq, seq
	}
	if seq-g.highest < 1<<15 {
		g.highest = seq
	}
	g.seen[seq] = true
}

// missing counts the holes older than the newest packets.
func (g *gaps) missing(newest uint16) (holes, total int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.highest-g.first < newest {
		return 0, 0
	}
	for s := g.first; s != g.highest-newest; s++ {
		total++
		if !g.seen[s] {
			holes++
		}
	}
	return holes, total
}
