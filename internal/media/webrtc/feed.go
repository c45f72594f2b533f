package webrtc

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/opus"

	"glimpse/internal/media/codec"
	"glimpse/internal/media/frame"
	"glimpse/internal/media/hub"
	"glimpse/internal/media/webrtc/packets"
)

const (
	// linger is how long a feed, and the sound conversion, outlives its last
	// viewer: a page that reloads finds it running.
	linger = 10 * time.Second
	// soundSlack is how far sound may be off its counted timestamp before it is
	// counted anew: packets of exact length must have exact timestamps.
	soundSlack = 40 * packets.AudioClock / 1000
	// soundBurst apart, packets come one by one.
	soundBurst = 10 * time.Millisecond
	// soundPause is a pause after which sound begins anew.
	soundPause = time.Second
	// pastHold ago, a held picture is one of a silence that is over: a hold makes a
	// key frame in that time.
	pastHold = 2 * time.Second
	// straightLag behind live, pictures that are made of others have caught up.
	straightLag = 400 * time.Millisecond
)

// feed turns one run into RTP packets while somebody watches it.
type feed struct {
	server *Server
	run    *hub.Run
	log    *slog.Logger
	cancel context.CancelFunc

	video, audio         *packets.History
	videoBase, audioBase uint32 // timestamps of time 0 of the timeline
	rtx                  uint32 // SSRC of retransmissions

	shards []*shard
	ready  chan struct{} // closed when the cached pictures are in
	origin atomic.Int64  // wall clock of time 0, Unix nanoseconds
	failed atomic.Pointer[refusal]

	mu     sync.Mutex
	users  users              // sessions, connected or not
	ears   users              // those that accepted sound
	silent context.CancelFunc // ends the sound conversion; nil when there is none
	heard  chan struct{}      // closed when the newest conversion has ended

	tone tone // of the sound conversion's goroutine
}

// tone is the state of a feed's sound.
type tone struct {
	next    uint32 // the timestamp that follows
	started bool   // next is valid
	live    bool   // this conversion's first burst is over
	begun   time.Time
	last    time.Time // when a packet came
}

// caughtUp reports whether sound is live. A conversion begins with the sound
// since before it was started, all at once, and so comes what fills a publisher's
// silence. Receivers would take that for delay and keep it for many seconds, so it
// is left out: up to the first packet that comes by itself, or for a second.
func (t *tone) caughtUp(now time.Time) bool {
	if t.live && now.Sub(t.last) > soundPause {
		t.live, t.begun, t.last = false, now, time.Time{}
	}
	if !t.live {
		t.live = !t.last.IsZero() && now.Sub(t.last) > soundBurst || now.Sub(t.begun) > time.Second
	}
	t.last = now
	return t.live
}

// past finds the pictures that fill a publisher's silence when it is over: they come
// all at once, which receivers take for delay, and show what is shown already. What
// refers to them goes with them, up to a key frame.
type past struct{ leaving bool }

// has reports whether a picture that comes now is one of them.
func (p *past) has(f *frame.Frame, now time.Time) bool {
	if f.Hold && now.Sub(f.Wall) > pastHold {
		p.leaving = true
	} else if f.Key {
		p.leaving = false
	}
	return p.leaving
}

// users counts who needs something and since when nobody does.
type users struct {
	count int
	since time.Time
}

// idle reports whether nobody has needed it for the linger time.
func (u users) idle(now time.Time) bool { return u.count == 0 && now.Sub(u.since) >= linger }

func newFeed(s *Server, run *hub.Run) *feed {
	f := &feed{
		server: s, run: run, log: s.log.With("stream", run.Stream().ID()),
		video:     packets.NewPictures(rand.Uint32()),
		audio:     packets.NewSound(rand.Uint32()),
		videoBase: run.RTPBase(), audioBase: rand.Uint32(), rtx: rand.Uint32(),
		ready: make(chan struct{}),
	}
	f.origin.Store(run.Start().UnixNano())
	for _, sender := range s.senders {
		f.shards = append(f.shards, &shard{sender: sender})
	}
	return f
}

// follow reads the run and fills the history until ctx ends or the run is over.
// It returns why the viewers must go.
func (f *feed) follow(ctx context.Context) (why error) {
	defer func() {
		if fault := recover(); fault != nil { // ends this feed only
			f.server.fault(fault)
			why = &refusal{500, "INTERNAL", "WebRTC playback of this stream failed."}
		}
	}()
	shown := time.Duration(-1)
	err := f.read(ctx, f.run, &shown)
	if !errors.Is(err, errReordered) {
		return err
	}
	straight, release, err := f.run.Straight()
	if err != nil {
		return reordered(err)
	}
	defer release()
	return f.read(ctx, straight, &shown)
}

// errReordered says that a run's pictures are not in the order of their times.
var errReordered = errors.New("pictures are reordered")

// read follows a run: that of the feed, or what is made of it. Pictures of the
// second come later than the first's did: what was shown already is squeezed
// behind it. shown is the time of the newest.
func (f *feed) read(ctx context.Context, run *hub.Run, shown *time.Duration) error {
	rd := run.Subscribe(hub.ReaderOptions{PictureWake: true})
	defer rd.Close()
	var frames []*frame.Frame
	var cut [][]byte
	var over past
	for cached := true; ; cached = false { // the cached pictures are of the past, and wanted
		var err error
		if frames, err = rd.Next(ctx, frames); err != nil {
			return err
		}
		for _, fr := range frames {
			if !fr.IsVideo() || !cached && over.has(fr, time.Now()) {
				continue
			}
			if err := playable(fr.Track); err != nil {
				return err
			}
			pts := fr.PTS
			if run != f.run {
				pts = max(pts, *shown+time.Millisecond)
			} else if pts < *shown || fr.Key && fr.CTS() > 0 && fr.Track.Codec.(*codec.H264).Reorder {
				return errReordered
			}
			*shown = pts
			f.origin.Store(fr.Wall.Add(-fr.PTS).UnixNano())
			cut = packets.Packetise(cut[:0], fr, f.video.SSRC(), f.videoBase+packets.Ticks(pts, packets.VideoClock))
			f.video.Add(cut, pts, fr.Key, time.Now())
		}
		clear(cut)
		clear(frames)
		// Pictures that are made of cached ones come one by one.
		if run == f.run || f.position(time.Now())-*shown < straightLag {
			f.begin()
		}
		f.wake()
	}
}

// begin lets viewers in: the cached pictures are there. For the feed's goroutine.
func (f *feed) begin() {
	select {
	case <-f.ready:
	default:
		close(f.ready)
	}
}

// playable refuses what browsers cannot be sent.
func playable(t *frame.Track) error {
	if why := codec.Unplayable(t.Codec)["webrtc"]; why != "" {
		return &refusal{422, "CODEC", why}
	}
	return nil
}

// reordered is the refusal of streams with B-frames, which WebRTC's receivers
// do not put in order, when nothing can be made of them.
func reordered(why error) *refusal {
	return &refusal{422, "B_FRAMES", "This stream has B-frames, which WebRTC cannot carry, and cannot be converted: " + why.Error() +
		". Play it by LL-HLS, or switch B-frames off in the encoder."}
}

// serve runs the feed: follow, and afterwards its sessions end. A feed that
// failed stays to say why until nobody has asked for the linger time.
func (f *feed) serve(ctx context.Context) {
	err := f.follow(ctx)
	var why *refusal
	if errors.As(err, &why) {
		f.failed.Store(why)
	} else {
		f.failed.CompareAndSwap(nil, &refusal{503, "NOT_LIVE", "The stream is over or about to start again."})
	}
	if ctx.Err() != nil {
		return
	}
	f.begin()
	reason := "run over"
	if !errors.Is(err, io.EOF) {
		reason = err.Error()
		f.log.Warn("webrtc playback stopped", "reason", reason)
	}
	f.server.dropFeed(f, reason)
}

// listen starts the sound conversion, after the one before has ended. f.mu is held.
func (f *feed) listen() {
	ctx, cancel := context.WithCancel(f.server.ctx)
	before, done := f.heard, make(chan struct{})
	f.silent, f.heard = cancel, done
	started := f.server.spawn(func() {
		defer close(done)
		defer cancel()
		if before != nil {
			<-before
		}
		f.tone.live, f.tone.begun, f.tone.last = false, time.Now(), time.Time{}
		if err := f.server.audio.Opus(ctx, f.run, f.sound); err != nil && ctx.Err() == nil {
			f.log.Warn("no sound for webrtc viewers", "error", err)
		}
	})
	if !started {
		cancel()
		close(done)
	}
}

// sound adds one Opus packet; only the AudioSource's goroutine calls it.
func (f *feed) sound(fr *frame.Frame) {
	t, now := &f.tone, time.Now()
	if !t.caughtUp(now) {
		return
	}
	ts := f.audioBase + packets.Ticks(fr.PTS, packets.AudioClock)
	if off := int32(ts - t.next); t.started && off > -soundSlack && off < soundSlack {
		ts = t.next
	}
	p := packets.Sound(fr.Payload, f.audio.SSRC(), ts)
	if p == nil || t.started && int32(ts-t.next) < 0 { // a timestamp must not go back
		f.server.stats.dropSound.Add(1)
		return
	}
	t.next, t.started = ts+uint32(opus.PacketDuration2(fr.Payload)), true
	f.audio.Add([][]byte{p}, fr.PTS, false, now)
	f.wake()
}

// position is the place of a wall clock on the run's timeline.
func (f *feed) position(now time.Time) time.Duration {
	return time.Duration(now.UnixNano() - f.origin.Load())
}

// wake makes all senders look.
func (f *feed) wake() {
	for _, s := range f.shards {
		s.mark()
	}
}

// touch starts the linger time anew.
func (f *feed) touch(now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.users.since = now
}

// enter counts a session in; hears is whether it accepted sound.
func (f *feed) enter(hears bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.users.count++
	if !hears || f.server.audio == nil {
		return
	}
	f.ears.count++
	if f.silent == nil {
		f.listen()
	}
}

// leave counts it out.
func (f *feed) leave(hears bool, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.users.count--
	f.users.since = now
	if hears && f.server.audio != nil {
		f.ears.count--
		f.ears.since = now
	}
}

// sweep ends the sound conversion that nobody hears, and reports whether the
// whole feed has become idle.
func (f *feed) sweep(now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.silent != nil && f.ears.idle(now) {
		f.silent()
		f.silent = nil
	}
	return f.users.idle(now)
}

// add puts a viewer on the sender with the fewest.
func (f *feed) add(v *viewer) {
	f.mu.Lock()
	defer f.mu.Unlock()
	least := slices.MinFunc(f.shards, func(a, b *shard) int { return a.size() - b.size() })
	least.replace(func(list []*viewer) []*viewer { return append(list, v) })
	least.mark()
}

// remove takes a viewer off.
func (f *feed) remove(v *viewer) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range f.shards {
		if list := s.viewers.Load(); list != nil && slices.Contains(*list, v) {
			s.replace(func(list []*viewer) []*viewer {
				return slices.DeleteFunc(list, func(o *viewer) bool { return o == v })
			})
		}
	}
}
