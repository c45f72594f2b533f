package frames

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"glimpse/internal/glasses/clip"
	"glimpse/internal/glasses/source"
	"glimpse/internal/media/frame"
	"glimpse/internal/media/hub"
	"glimpse/internal/media/transcode"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// everyone is a Grants that lets everybody in.
type everyone struct{}

func (everyone) FramesApp(r *http.Request) (string, error) { return r.Header.Get("App"), nil }

// easel is a Decoder whose pictures a test makes.
type easel struct {
	mu       sync.Mutex
	children []*drawing
	news     chan *drawing
}

// drawing is one child of an easel.
type drawing struct {
	ctx  context.Context
	run  *hub.Run
	d    transcode.Decoding
	sink transcode.DecodeSink
}

func newEasel() *easel { return &easel{news: make(chan *drawing, 16)} }

func (e *easel) Decode(ctx context.Context, run *hub.Run, d transcode.Decoding, sink transcode.DecodeSink) error {
	c := &drawing{ctx, run, d, sink}
	e.mu.Lock()
	e.children = append(e.children, c)
	e.mu.Unlock()
	e.news <- c
	select {
	case <-ctx.Done():
	case <-run.Done():
	}
	return ctx.Err()
}

// draw gives a picture at a time, of the run's newest access unit's kind.
func (c *drawing) draw(pts time.Duration) {
	key := *c.run.KeyFrame()
	key.PTS, key.Wall = pts, c.run.Start().Add(pts)
	w, h := transcode.Fit(c.d.Width, 1280, 720)
	c.sink.Picture(transcode.Decoded{Frame: &key, Came: time.Now(), Width: w, Height: h, Planes: make([]byte, 3*w*h)})
}

// started counts the children so far.
func (e *easel) started() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.children)
}

func (e *easel) next(t *testing.T) *drawing {
	t.Helper()
	select {
	case c := <-e.news:
		return c
	case <-time.After(patience):
		t.Fatal("no decoder was started")
		return nil
	}
}

// patience is for what comes soon, on a machine that may be busy.
const patience = 20 * time.Second

// studio is a Service on a hub with one live stream of the clip's first pictures.
type studio struct {
	*Service
	hub       *hub.Hub
	stream    *hub.Stream
	publisher *hub.Publisher
}

func newStudio(t testing.TB, cfg Config) *studio {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	st := &studio{hub: hub.New(hub.Config{}, log)}
	t.Cleanup(st.hub.Close)
	var err error
	if st.stream, err = st.hub.Open(hub.Spec{ID: "a", IngestKey: "k", PlaybackID: "p", Standing: true, ResumeWindow: time.Minute}); err != nil {
		t.Fatal(err)
	}
	cfg.Streams, cfg.Grants = st.hub, everyone{}
	st.Service = New(cfg, log)
	t.Cleanup(st.Close)
	return st
}

// connect makes a publisher with the clip's picture.
func (s *studio) connect(t testing.TB) {
	t.Helper()
	var err error
	if s.publisher, err = s.hub.Publish("k", hub.PublisherInfo{Protocol: "test"}); err != nil {
		t.Fatal(err)
	}
}

// live publishes the clip's first picture, ten times a second, until the publisher
// is closed.
func (s *studio) live(t testing.TB) {
	t.Helper()
	s.connect(t)
	p, f := s.publisher, picture(t, player(t))
	show := func() error { return p.Video(f.PTS, f.DTS, f.Key, f.Payload) }
	if err := errors.Join(p.SetTrack(f.Track), show()); err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			select {
			case <-p.Done():
				return
			case <-time.After(100 * time.Millisecond):
			}
			f.PTS, f.DTS = f.PTS+100*time.Millisecond, f.DTS+100*time.Millisecond
			_ = show() // it was closed meanwhile
		}
	}()
}

func player(t testing.TB) *source.Player {
	t.Helper()
	r := clip.Open()
	f, err := source.Read(r, r.Size())
	if err != nil {
		t.Fatal(err)
	}
	return f.Player()
}

// picture is the player's next one.
func picture(t testing.TB, p *source.Player) *frame.Frame {
	t.Helper()
	for {
		f, err := p.Next()
		if err != nil {
			t.Fatal(err)
		}
		if f.IsVideo() {
			return f
		}
	}
}

// subscribe is Subscribe for tests.
func (s *studio) subscribe(t testing.TB, app string, o Options) *Subscription {
	t.Helper()
	sub, err := s.Subscribe(s.stream, app, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sub.Close)
	return sub
}

// await reads until news that fit.
func await(t testing.TB, sub *Subscription, what string, fits func(News) bool) News {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		n, err := sub.Next(ctx)
		if err != nil {
			t.Fatalf("waiting for %s: %v", what, err)
		}
		if fits(n) {
			return n
		}
	}
}

func isPicture(n News) bool { return n.Picture != nil }

func isState(state string) func(News) bool {
	return func(n News) bool { return n.State != nil && n.State.State == state }
}
