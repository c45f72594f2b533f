package hub

import (
	"context"
	"log/slog"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"glimpse/internal/media/codec"
	"glimpse/internal/media/frame"
)

// Stream is one key's stream: its publishers, its run, its viewers. All methods
// may be called concurrently.
type Stream struct {
	hub  *Hub
	spec Spec
	log  *slog.Logger
	done chan struct{}
	wake chan struct{} // tells the watchdog to look again
	wg   sync.WaitGroup
	lost atomic.Uint64 // frames lost by readers that have left

	mu    sync.Mutex
	state State
	current
	line       timeline
	publishers []*Publisher // all that are connected
	source     *Publisher   // the one that is written, nil while interrupted
	lastByte   time.Time
	lostAt     time.Time   // since when the stream is interrupted
	takeovers  []time.Time // the newest few
	events     []Event     // to be delivered
	refused    time.Time   // when that was last an event
	meter      meter
	audience   audience
}

// current is the run of now.
type current struct {
	run    *Run               // nil before the first key frame and when idle or ended
	endRun context.CancelFunc // ends the outputs of run
	begun  chan struct{}      // closed when there is a run, made anew when it is over

	hold      *hold        // while the publisher is away
	intra     *frame.Frame // the newest picture that a hold can promote to a key frame
	lastSound []byte       // the newest sound frame's payload
	starving  bool         // no key frame came for long, and that was an event

	silenced   *Publisher // fell silent and was the last source
	staleSince time.Time  // when its backlog began
}

func newStream(h *Hub, spec Spec) *Stream {
	s := &Stream{
		hub: h, spec: spec, log: h.log.With("stream", spec.ID),
		done: make(chan struct{}), wake: make(chan struct{}, 1),
		current: current{begun: make(chan struct{})},
	}
	s.wg.Add(1)
	go s.watch()
	return s
}

// ID of the stream.
func (s *Stream) ID() string { return s.spec.ID }

// Name is for people and may be empty.
func (s *Stream) Name() string { return s.spec.Name }

// PlaybackID is what viewers know the stream by.
func (s *Stream) PlaybackID() string { return s.spec.PlaybackID }

// IngestKey is secret: whoever knows it may publish. For the operator only.
func (s *Stream) IngestKey() string { return s.spec.IngestKey }

// Passphrase is secret: what publishers and readers by SRT encrypt with, or "".
func (s *Stream) Passphrase() string { return s.spec.Passphrase }

// Standing reports whether the stream outlives its publishers.
func (s *Stream) Standing() bool { return s.spec.Standing }

// Done is closed when the stream has ended for good.
func (s *Stream) Done() <-chan struct{} { return s.done }

// State of the stream.
func (s *Stream) State() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state
}

// Run returns the current run, live or interrupted, or nil.
func (s *Stream) Run() *Run {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.run
}

// WaitRun returns the current run, waiting for one until ctx ends. Errors:
// ErrEnded when the stream has ended, ctx.Err().
func (s *Stream) WaitRun(ctx context.Context) (*Run, error) {
	for {
		s.mu.Lock()
		run, begun := s.run, s.begun
		s.mu.Unlock()
		if run != nil {
			return run, nil
		}
		select {
		case <-begun:
		case <-s.done:
			return nil, ErrEnded
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// connect adds a pending publisher.
func (s *Stream) connect(info PublisherInfo) (*Publisher, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	switch {
	case s.state == StateEnded:
		return nil, ErrEnded
	case len(s.publishers) >= s.hub.cfg.MaxPublisher:
		return nil, ErrBusy
	case s.source != nil && s.flapping(now):
		s.refuse(now)
		return nil, ErrRefused
	}
	p := &Publisher{stream: s, info: info, since: now, done: make(chan struct{})}
	s.publishers = append(s.publishers, p)
	s.signal()
	return p, nil
}

// flapping says whether the newest takeovers lie within the window.
func (s *Stream) flapping(now time.Time) bool {
	n := len(s.takeovers)
	return n >= maxTakeovers && now.Sub(s.takeovers[n-1]) < s.hub.cfg.FlapWindow &&
		s.takeovers[n-1].Sub(s.takeovers[n-maxTakeovers]) < s.hub.cfg.FlapWindow
}

// refuse tells, once in a while, that newcomers are refused.
func (s *Stream) refuse(now time.Time) {
	if now.Sub(s.refused) >= s.hub.cfg.FlapWindow {
		s.refused = now
		s.emit(EventRefused, ErrRefused.Error(), now)
	}
}

// touch counts a unit that is not published (before the first key frame).
func (s *Stream) touch(p *Publisher, u unit) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.source == p || s.source == nil {
		s.lastByte = u.at
	}
	s.meter.bytes(len(u.payload))
	return nil
}

// heard notes that p lives.
func (s *Stream) heard(p *Publisher) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.source == p {
		s.lastByte = time.Now()
	}
}

// AskKey asks the source for a key frame and reports whether it can be asked.
func (s *Stream) AskKey() bool {
	s.mu.Lock()
	var ask func()
	if s.source != nil {
		ask = s.source.info.AskKey
	}
	s.mu.Unlock()
	if ask == nil {
		return false
	}
	ask()
	return true
}

// write publishes a unit of p; the first key frame makes p the source. The clock
// is that of the unit's arrival: one that was held back is not the later for it.
func (s *Stream) write(p *Publisher, u unit) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := p.Err(); err != nil {
		return err
	}
	discontinuity := false
	if s.source != p {
		if !u.key || s.state == StateInterrupted && s.stale(p, u) {
			return nil // was lost as silent and came back: waits for a key frame of now
		}
		if err := s.activate(p, u.at); err != nil {
			return err
		}
		elapsed := u.at.Sub(s.run.start)
		held := s.hold != nil || s.line.lags(elapsed) // or a takeover from one that had stopped
		if held {
			s.fill(elapsed)
		}
		discontinuity = s.line.begin(u.pts, u.dts, elapsed) && !held
		if held {
			s.fillSilence(s.line.offset+u.dts, elapsed)
			s.hold = nil
		}
	}
	s.lastByte = u.at
	s.publish(u, discontinuity)
	return nil
}

// activate makes p the source: a new run, a resume or a takeover.
func (s *Stream) activate(p *Publisher, now time.Time) error {
	if s.source != nil {
		if s.flapping(now) {
			s.refuse(now)
			p.stop(ErrRefused)
			return ErrRefused
		}
		s.takeovers = append(s.takeovers, now)
		if len(s.takeovers) > maxTakeovers {
			s.takeovers = s.takeovers[1:]
		}
		s.emit(EventTakeover, "a newer publisher took over", now)
	}
	for _, old := range s.publishers { // the source, and those that fell silent before it
		if old.active && old != p {
			old.stop(ErrSuperseded)
		}
	}
	s.source, p.active = p, true
	s.silenced, s.staleSince = nil, time.Time{}
	s.meter.publisher()
	switch s.state {
	case StateIdle:
		s.begin(now)
	case StateInterrupted:
		s.state = StateLive
		s.emit(EventResumed, "", now)
	}
	s.signal()
	return nil
}

// begin starts a run and its outputs.
func (s *Stream) begin(now time.Time) {
	ctx, cancel := context.WithCancel(context.Background())
	s.run, s.endRun, s.line = newRun(s, now), cancel, timeline{}
	s.hold, s.intra, s.lastSound, s.starving = nil, nil, nil, false
	s.meter.keyAt, s.meter.lastPTS = 0, 0
	s.audience.begin(now)
	if t := s.source.video; t != nil {
		s.run.video = t
	} else if b := s.source.black; b != nil {
		s.run.video = b.track
	}
	s.run.audio = s.source.audio
	s.state = StateLive
	close(s.begun)
	for _, out := range s.hub.outputs {
		s.wg.Add(1)
		go func(run *Run) {
			defer s.wg.Done()
			defer func() {
				if v := recover(); v != nil { // ends this output of this run only
					s.log.Error("an output failed", "panic", v, "stack", string(debug.Stack()))
				}
			}()
			out(ctx, run)
		}(s.run)
	}
	s.emit(EventLive, "", now)
}

// publish maps u onto the timeline and hands it to the run.
func (s *Stream) publish(u unit, discontinuity bool) {
	u.track = s.run.inForce(u.track)
	f := &frame.Frame{Track: u.track, Key: u.key, Discontinuity: discontinuity, Payload: u.payload}
	if u.key {
		f.Payload = s.run.announce(u.track, u.payload)
	}
	elapsed := u.at.Sub(s.run.start)
	if u.track.Kind() == frame.Video {
		f.PTS, f.DTS = s.line.picture(u.pts, u.dts, elapsed)
	} else {
		f.PTS = s.line.sound(u.track, u.payload, u.pts, elapsed)
		f.DTS, s.lastSound = f.PTS, u.payload
	}
	f.Epoch = s.line.epoch
	f.Wall = s.run.start.Add(f.PTS)
	s.meter.frame(f, u.at)
	s.run.append(f, elapsed)
	if f.IsVideo() {
		s.survey(f, u.at)
	}
}

// survey looks at a picture for what a later hold can show, and for how long no
// key frame came.
func (s *Stream) survey(f *frame.Frame, now time.Time) {
	if f.Key {
		s.intra, s.starving = nil, false
		return
	}
	if codec.Promotable(f.Track.Codec, f.Payload) {
		s.intra = f
	}
	if !s.starving && (f.DTS-s.meter.keyAt > starvedAfter || !s.run.joinable()) {
		s.starving = true
		s.emit(EventStarving, noticeStarving, now)
	}
}

// disconnect removes a publisher; the stream is interrupted if it was the source.
func (s *Stream) disconnect(p *Publisher) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.Index(s.publishers, p); i >= 0 {
		s.publishers = slices.Delete(s.publishers, i, i+1)
	}
	if s.source == p {
		s.interrupt("the publisher disconnected", time.Now())
	}
}

// interrupt begins the resume window; the watchdog begins the hold.
func (s *Stream) interrupt(reason string, now time.Time) {
	s.source = nil
	if s.state != StateLive {
		return
	}
	s.state, s.lostAt = StateInterrupted, now
	s.emit(EventInterrupted, reason, now)
	s.signal()
}

// emit queues an event for the watchdog to deliver.
func (s *Stream) emit(kind EventKind, reason string, now time.Time) {
	s.events = append(s.events, Event{Kind: kind, Stream: s, Run: s.run, Reason: reason, At: now})
	s.log.Info("stream "+kind.String(), "reason", reason)
	s.signal()
}

func (s *Stream) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Close ends the stream: publishers and readers are let go, one EventEnded is
// delivered. It waits for the stream's goroutines, so it must not be called
// from Notify or an Output. Idempotent.
func (s *Stream) Close(reason string) {
	s.mu.Lock()
	s.finish(reason, time.Now())
	s.mu.Unlock()
	s.wg.Wait()
}

// finish makes the stream end for good.
func (s *Stream) finish(reason string, now time.Time) {
	if s.state == StateEnded {
		return
	}
	for _, p := range s.publishers {
		p.stop(ErrEnded)
	}
	s.source = nil
	s.stopRun()
	s.emit(EventEnded, reason, now)
	s.state, s.run = StateEnded, nil
	close(s.done)
}

// stopRun ends the current run and its outputs.
func (s *Stream) stopRun() {
	if s.run != nil {
		s.run.end()
		s.endRun()
		s.begun = make(chan struct{})
		s.hold = nil
	}
}
