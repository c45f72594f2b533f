package restream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"glimpse/internal/media/codec"
	"glimpse/internal/media/frame"
	"glimpse/internal/media/hub"
	"glimpse/internal/outbound"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	good    = "rtmp://good.example/live/secret-1"
	bad     = "rtmp://bad.example/live/secret-2"
	stalled = "srt://stalled.example:4201?streamid=publish:secret-3"
)

// world is a stream, its supervisor and a network in which destinations behave
// as the test says.
type world struct {
	t      *testing.T
	hub    *hub.Hub
	stream *hub.Stream
	sup    *Supervisor

	mu      sync.Mutex
	refuse  map[string]error           // by address: what Dial answers
	dials   map[string][]time.Duration // when, since the start
	links   map[string][]*link
	changes []string // "id state"
	check   Check
	start   time.Time
}

// link is a connection of the fake network.
type link struct {
	done    chan struct{}
	once    sync.Once
	stall   chan struct{} // WriteFrame blocks until it is closed, or Close; nil: never
	mu      sync.Mutex
	frames  []*frame.Frame
	silence int // frames of it
	drained bool
}

// draining is how long the end of a stream is under way to a destination.
const draining = 700 * time.Millisecond

var errCut = errors.New("cut")

func (l *link) WriteFrames(frames []*frame.Frame) error {
	for _, f := range frames {
		if err := l.write(f); err != nil {
			return err
		}
	}
	return nil
}

func (l *link) write(f *frame.Frame) error {
	if l.stall != nil {
		select {
		case <-l.stall:
		case <-l.done:
		}
	}
	select {
	case <-l.done:
		return errCut
	default:
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if f.Derived {
		l.silence++
		return nil
	}
	l.frames = append(l.frames, f)
	return nil
}

func (l *link) Done() <-chan struct{} { return l.done }

// Drain takes its time, as a destination does that has the end still under way.
func (l *link) Drain(ctx context.Context) {
	select {
	case <-time.After(draining):
		l.mu.Lock()
		l.drained = true
		l.mu.Unlock()
	case <-ctx.Done():
	}
}

func (l *link) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

func (l *link) got() []*frame.Frame {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.frames)
}

func newWorld(t *testing.T) *world {
	w := &world{
		t: t, hub: hub.New(hub.Config{}, slog.New(slog.DiscardHandler)), start: time.Now(),
		refuse: map[string]error{}, dials: map[string][]time.Duration{}, links: map[string][]*link{},
	}
	var err error
	w.stream, err = w.hub.Open(hub.Spec{ID: "s1", IngestKey: "key", PlaybackID: "play", Standing: true, ResumeWindow: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	w.sup = New(w.stream, Config{Dial: w.dial, Check: w.ask, Random: func() float64 { return 0.5 }, Notify: func(s Status) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.changes = append(w.changes, s.ID+" "+string(s.State))
	}})
	return w
}

func (w *world) close() {
	w.sup.Close()
	w.hub.Close()
}

// ask is the pre-flight, when the test has one.
func (w *world) ask(ctx context.Context, to Destination) (*Preflight, error) {
	if w.check == nil {
		return nil, nil
	}
	return w.check(ctx, to)
}

func (w *world) dial(_ context.Context, to Destination, _ []*frame.Track) (Pusher, error) {
	address := to.URL
	w.mu.Lock()
	defer w.mu.Unlock()
	w.dials[address] = append(w.dials[address], time.Since(w.start))
	if err := w.refuse[address]; err != nil {
		return nil, err
	}
	l := &link{done: make(chan struct{})}
	if address == stalled {
		l.stall = make(chan struct{})
	}
	w.links[address] = append(w.links[address], l)
	return l, nil
}

func (w *world) add(id, address string) {
	w.t.Helper()
	if err := w.sup.Add(Destination{ID: id, URL: address}); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) link(address string, n int) *link {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.links[address]) <= n {
		w.t.Fatalf("%d connections to %s, want more", len(w.links[address]), address)
	}
	return w.links[address][n]
}

func (w *world) state(id string) Status {
	w.t.Helper()
	for _, s := range w.sup.Status() {
		if s.ID == id {
			return s
		}
	}
	w.t.Fatalf("no output %s", id)
	return Status{}
}

// publish sends pictures for a time, a key frame each second.
func (w *world) publish(d time.Duration) {
	w.t.Helper()
	p, err := w.hub.Publish("key", hub.PublisherInfo{Protocol: "test"})
	if err != nil {
		w.t.Fatal(err)
	}
	defer p.Close()
	track := &frame.Track{Codec: &codec.H264{SPS: []byte{0x67, 66, 0xc0, 31}, PPS: []byte{0x68}}}
	if err := p.SetTrack(track); err != nil {
		w.t.Fatal(err)
	}
	for i := range int(d / (40 * time.Millisecond)) {
		at, key, payload := time.Duration(i)*40*time.Millisecond, i%25 == 0, []byte{0, 0, 0, 2, 0x41, 1}
		if key {
			payload = []byte{0, 0, 0, 2, 0x65, 1}
		}
		if err := p.Video(at, at, key, payload); err != nil {
			w.t.Fatal(err)
		}
		time.Sleep(40 * time.Millisecond)
	}
}

// A destination that refuses or stalls costs the good one no frame, and is tried
// again after 1, 2, 4, 8, 16, 30, 30 s.
func TestIsolation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.close()
		w.refuse[bad] = errors.New("refused")
		w.add("a", good)
		w.add("b", bad)
		w.add("c", stalled)
		w.publish(70 * time.Second)
		frames := w.link(good, 0).got()
		if len(frames) != 70*25 || !frames[0].Key {
			t.Errorf("the good destination got %d of %d frames", len(frames), 70*25)
		}
		want := []time.Duration{0, 1, 3, 7, 15, 31, 61}
		for i := range want {
			want[i] *= time.Second
		}
		synctest.Wait()
		if diff := cmp.Diff(want, w.dials[bad]); diff != "" {
			t.Error(diff)
		}
		if s := w.state("b"); s.State != Retrying || s.Error != "refused" || s.Attempts != len(want) {
			t.Errorf("the refusing destination: %+v", s)
		}
		if s := w.state("a"); s.State != Active || s.Sent != 70*25 || s.Dropped != 0 {
			t.Errorf("the good destination: %+v", s)
		}
	})
}

// A slow destination falls back to the newest key frame, and the loss is counted.
// The last of the frames is the first of the hold.
func TestSlowDestinationDropsToKeyFrame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.close()
		w.add("c", stalled)
		var wg sync.WaitGroup
		wg.Go(func() { w.publish(12 * time.Second) })
		time.Sleep(6500 * time.Millisecond)
		close(w.link(stalled, 0).stall)
		wg.Wait()
		synctest.Wait()
		frames := w.link(stalled, 0).got()
		s := w.state("c")
		if s.State != Active || s.Dropped == 0 || s.Sent+s.Dropped != 12*25 || len(frames) != int(s.Sent)+1 {
			t.Errorf("%+v with %d frames", s, len(frames))
		}
		for i, f := range frames[1:] {
			if f.DTS-frames[i].DTS > 40*time.Millisecond && !f.Key {
				t.Errorf("after a loss it goes on at %v, which is no key frame", f.DTS)
			}
		}
	})
}

// A destination that flaps every 20 s waits longer each time; after a minute
// without a fault the next wait is the shortest again.
func TestFlapping(t *testing.T) {
	for name, c := range map[string]struct {
		lives time.Duration
		waits []time.Duration
	}{
		"20 s": {20 * time.Second, []time.Duration{1, 2, 4}},
		"61 s": {61 * time.Second, []time.Duration{1, 1, 1}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				defer w.close()
				w.add("a", good)
				var wg sync.WaitGroup
				wg.Go(func() { w.publish(200 * time.Second) })
				ends := []time.Duration{}
				for i := range 3 {
					synctest.Wait()
					time.Sleep(c.lives)
					_ = w.link(good, i).Close()
					ends = append(ends, time.Since(w.start))
					time.Sleep(c.waits[i]*time.Second + 100*time.Millisecond)
				}
				w.mu.Lock()
				for i, at := range w.dials[good][1:] {
					if got := at - ends[i]; got < c.waits[i]*time.Second || got > c.waits[i]*time.Second+50*time.Millisecond {
						t.Errorf("attempt %d came %v after the end, want %d s", i+2, got, c.waits[i])
					}
				}
				w.mu.Unlock()
				wg.Wait()
			})
		})
	}
}

// An output follows the stream: idle until it is live, connected once per run,
// through an interruption, and again in the next run.
func TestFollowsTheStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.close()
		w.add("a", good)
		synctest.Wait()
		if s := w.state("a"); s.State != Idle {
			t.Errorf("before the stream: %+v", s)
		}
		w.publish(3 * time.Second)
		time.Sleep(5 * time.Second) // within the resume window
		w.publish(3 * time.Second)
		time.Sleep(11 * time.Second) // over
		synctest.Wait()
		if s := w.state("a"); s.State != Idle || len(w.links[good]) != 1 || !w.link(good, 0).drained {
			t.Errorf("after the run: %+v, %d connections", s, len(w.links[good]))
		}
		w.publish(time.Second)
		time.Sleep(20 * time.Second)
		synctest.Wait()
		want := []string{"a connecting", "a active", "a idle", "a connecting", "a active", "a idle"}
		if diff := cmp.Diff(want, w.changes); diff != "" {
			t.Error(diff)
		}
	})
}

// Pausing hangs up and says stopped; going on connects at once; removing is over
// for good. The others do not notice.
func TestPauseAndRemove(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.close()
		w.add("a", good)
		w.add("c", stalled)
		var wg sync.WaitGroup
		wg.Go(func() { w.publish(10 * time.Second) })
		time.Sleep(2 * time.Second)
		a, c := Destination{ID: "a", URL: good}, Destination{ID: "c", URL: stalled}
		set := func(list ...Destination) {
			t.Helper()
			if err := w.sup.Set(list); err != nil {
				t.Fatal(err)
			}
		}
		a.Paused, c.Paused = true, true
		set(a, c)
		set(a, c)
		synctest.Wait()
		if x, y := w.state("a"), w.state("c"); x.State != Stopped || y.State != Stopped {
			t.Errorf("paused: %+v and %+v", x, y)
		}
		select {
		case <-w.link(good, 0).Done():
		default:
			t.Error("a paused output keeps its connection")
		}
		if w.link(good, 0).drained {
			t.Error("a pause waits for what is under way")
		}
		time.Sleep(2 * time.Second)
		a.Paused = false
		set(a, c)
		time.Sleep(100 * time.Millisecond)
		if s := w.state("a"); s.State != Active {
			t.Errorf("after the pause: %+v", s)
		}
		set(c)
		wg.Wait()
		select {
		case <-w.link(good, 1).Done():
		default:
			t.Error("a removed output keeps its connection")
		}
		if list := w.sup.Status(); len(list) != 1 || list[0].ID != "c" || list[0].State != Stopped {
			t.Errorf("left over: %+v", list)
		}
	})
}

// Limits, and no address in anything that is shown.
func TestAdd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.close()
		for _, d := range []struct {
			id, url string
			want    error
		}{
			{"a", good, nil}, {"a", bad, ErrDuplicate}, {"b", good, ErrDuplicate}, {"b", "http://x/a/b", nil},
		} {
			if err := w.sup.Add(Destination{ID: d.id, URL: d.url}); !errors.Is(err, d.want) {
				t.Errorf("%s %s: %v, want %v", d.id, d.url, err, d.want)
			}
		}
		synctest.Wait()
		if s := w.state("b"); s.State != Failed || s.Error != ErrAddress.Error() {
			t.Errorf("an address that cannot be one: %+v", s)
		}
		for i := range MaxOutputs - 2 {
			w.add(string(rune('c'+i)), good+string(rune('c'+i)))
		}
		if err := w.sup.Add(Destination{ID: "z", URL: bad}); !errors.Is(err, ErrFull) {
			t.Errorf("one too many: %v", err)
		}
		for _, s := range w.sup.Status() {
			if strings.Contains(s.URL, "secret") {
				t.Errorf("the status shows %s", s.URL)
			}
		}
		w.sup.Close()
		if err := w.sup.Add(Destination{ID: "z", URL: bad}); !errors.Is(err, ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
	})
}

// A refused address ends the output for good: trying again cannot help.
func TestHopelessAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.close()
		w.refuse[bad], w.refuse[good] = ErrAddress, fmt.Errorf("connect: %w", outbound.ErrPrivate)
		w.add("b", bad)
		w.add("a", good)
		w.publish(5 * time.Second)
		synctest.Wait()
		if s := w.state("b"); s.State != Failed || len(w.dials[bad]) != 1 {
			t.Errorf("%+v after %d attempts", s, len(w.dials[bad]))
		}
		if s := w.state("a"); s.State != Failed || len(w.dials[good]) != 1 {
			t.Errorf("%+v after %d attempts", s, len(w.dials[good]))
		}
		delete(w.refuse, good) // its name leads elsewhere now
		for _, paused := range []bool{true, false} {
			if err := w.sup.Set([]Destination{{ID: "a", URL: good, Paused: paused}}); err != nil {
				t.Fatal(err)
			}
		}
		w.publish(time.Second)
		synctest.Wait()
		if s := w.state("a"); s.State != Active {
			t.Errorf("after a pause: %+v", s)
		}
	})
}

// A destination that accepts and then takes nothing is told of within 2 s, and
// again when it goes on.
//
// FAULTS F17
func TestStalledIsSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.close()
		w.add("c", stalled)
		var wg sync.WaitGroup
		wg.Go(func() { w.publish(5 * time.Second) })
		time.Sleep(2 * time.Second)
		if s := w.state("c"); s.State != Retrying || s.Error != errStalled.Error() {
			t.Errorf("2 s after it stalled: %+v", s)
		}
		close(w.link(stalled, 0).stall)
		time.Sleep(100 * time.Millisecond)
		if s := w.state("c"); s.State != Active || s.Error != "" || s.Connects != 1 {
			t.Errorf("when it goes on: %+v", s)
		}
		wg.Wait()
	})
}

// Before the stream is live the destination is asked, and what it says stands in
// the status; asking ends when there is something to send.
func TestPreflightBeforeLive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.close()
		var asked atomic.Int32
		w.check = func(ctx context.Context, to Destination) (*Preflight, error) {
			asked.Add(1)
			if to.URL == stalled {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return &Preflight{At: time.Now(), Stages: []Stage{{Name: "dns"}, {Name: "tcp", Error: "refused"}}}, nil
		}
		w.add("a", good)
		w.add("c", stalled)
		synctest.Wait()
		if s := w.state("a"); s.State != Idle || s.Error != "refused" || len(s.Preflight.Stages) != 2 || len(w.dials) != 0 {
			t.Errorf("before the stream: %+v, %v", s, w.dials)
		}
		w.publish(2 * time.Second)
		if s := w.state("a"); s.State != Active || s.Error != "" {
			t.Errorf("live: %+v", s)
		}
		w.link(stalled, 0) // it was not waited for
		w.add("d", good+"2")
		synctest.Wait()
		if n := asked.Load(); n != 2 {
			t.Errorf("%d were asked; one was added to a live stream", n)
		}
	})
}

func TestRetry(t *testing.T) {
	lo, _ := retry{}.after(0, 0)
	hi, _ := retry{}.after(0, 0.999999)
	if lo != 800*time.Millisecond || hi < 1199*time.Millisecond || hi > 1200*time.Millisecond {
		t.Errorf("the first wait is %v to %v, want 1 s ± 20 %%", lo, hi)
	}
	var r retry
	for i, want := range []struct{ lived, wait time.Duration }{
		{0, 1}, {0, 2}, {59 * time.Second, 4}, {0, 8}, {0, 16}, {0, 30}, {0, 30}, {20 * time.Second, 30}, {60 * time.Second, 1}, {0, 2},
	} {
		var wait time.Duration
		if wait, r = r.after(want.lived, 0.5); wait != want.wait*time.Second {
			t.Errorf("wait %d, after %v: %v, want %d s", i, want.lived, wait, want.wait)
		}
	}
}

func TestAddresses(t *testing.T) {
	for _, c := range []struct{ url, shown string }{ // shown empty: refused
		{"rtmp://a.rtmp.youtube.com/live2/KEY", "rtmp://a.rtmp.youtube.com/live2/…"},
		{"rtmps://x.example:443/app/inst/KEY?backup=1", "rtmps://x.example:443/app/…"},
		{"rtmp://x.example/app/?key=KEY", "rtmp://x.example/app/…"},
		{"srt://x.example:4201?streamid=publish:KEY", "srt://x.example:4201?…"},
		{"srt://x.example:4201?streamid=#!::r=KEY,m=publish&passphrase=KEY", "srt://x.example:4201?…"},
		{"rtmp://[::1]:1935/live/KEY", "rtmp://[::1]:1935/live/…"},
		{"rtmp://x.example/KEY", ""}, {"rtmp://x.example", ""}, {"rtmp:///live/KEY", ""}, {"http://x.example/live/KEY", ""},
		{"srt://x.example?streamid=KEY", ""}, {"rtmp://user:KEY@x.example/live/k", ""}, {"", ""}, {"KEY", ""},
		{"rtmp://x.example/live/a b", ""}, {"rtmp://x.example/live/" + strings.Repeat("k", maxAddress), ""},
	} {
		err := CheckAddress(c.url)
		if (err == nil) != (c.shown != "") {
			t.Errorf("%.60s: %v", c.url, err)
		}
		if got := Redact(c.url); c.shown != "" && got != c.shown || strings.Contains(got, "KEY") {
			t.Errorf("%.60s is shown as %s, want %s", c.url, got, c.shown)
		}
	}
}

// Destinations insist on sound: a stream of pictures alone is sent with silence.
func TestSilenceForPicturesAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.close()
		w.add("a", good)
		w.publish(10 * time.Second)
		synctest.Wait()
		l := w.link(good, 0)
		l.mu.Lock()
		defer l.mu.Unlock()
		if want := 10 * 48000 / 1024; l.silence < want-30 || l.silence > want+30 {
			t.Errorf("%d frames of silence in 10 s", l.silence)
		}
	})
}

// Whatever an address is, showing it never shows what comes after the application,
// and what is taken for one can be taken apart.
func FuzzAddress(f *testing.F) {
	for _, seed := range []string{good, stalled, "rtmps://x.example:443/app/inst/KEY?backup=1", "rtmp://b.example/live2?backup=1/KEY", "rtmp://[::1]/a/KEY", "srt://h:1?streamid=#!::r=KEY,m=publish", "RTMP://h/a/k", "://", "rtmp://u:p@h/a/KEY", "://host///host"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, address string) {
		address = Normal(address)
		shown := Redact(address)
		_, place, _ := strings.Cut(shown, "://")
		kept, cut := strings.CutSuffix(place, "…")
		if strings.Count(kept, "/") > 2 || !cut && strings.Contains(kept, "/") || strings.Contains(strings.TrimSuffix(kept, "?"), "?") {
			t.Errorf("%q is shown as %q", address, shown)
		}
		if CheckAddress(address) != nil {
			return
		}
		if host, _ := hostOf(address); host == "" {
			t.Errorf("%q is an address without a host", address)
		}
		PlatformOf(address)
	})
}
