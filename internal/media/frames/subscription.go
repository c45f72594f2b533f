package frames

import (
	"context"
	"errors"
	"time"

	"glimpse/internal/media/hub"
	"glimpse/internal/media/transcode"
	"glimpse/protocol"
)

// maxQueued pictures wait for a subscriber; when one more comes, all that wait are
// lost: what is newest counts.
const maxQueued = 5

// The reasons for which there is no subscription.
var (
	ErrCrowded = errors.New("too many subscribers are served")
	ErrClosed  = errors.New("the server is shutting down")
)

// ErrOver is Next's last word.
var ErrOver = errors.New("the subscription is over")

// Subscription is one app's queue of pictures. Its methods are for one goroutine,
// Close for any.
type Subscription struct {
	tap     *tap
	app     string
	options Options
	since   time.Time
	wake    chan struct{}

	// Guarded by channel.mu.
	pace    pace
	run     *hub.Run // that it keeps the pace of
	queue   []queued
	seq     uint64
	sent    uint64
	dropped uint64 // not yet told
	lost    uint64 // in all
	over    bool
	greeted bool
	epoch   *epoch    // that was told
	told    condition // likewise
}

type queued struct {
	picture *Picture
	seq     uint64
}

// News is one of: the beginning of an epoch, a change of state, a picture.
type News struct {
	Hello   *protocol.FramesHello
	State   *protocol.State
	Picture *Picture
	Header  protocol.FrameHeader // of the picture; Age is the sender's to set
}

// Subscribe gives an app pictures of a stream from now on. Close the subscription.
// Errors: ErrCrowded, ErrClosed.
func (s *Service) Subscribe(stream *hub.Stream, app string, o Options) (*Subscription, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, ErrClosed
	}
	if s.subs >= s.cfg.MaxSubscribers {
		return nil, ErrCrowded
	}
	c := s.channelOf(stream)
	c.mu.Lock()
	defer c.mu.Unlock()
	width := o.Width
	if e := c.now(); e != nil {
		width, _ = transcode.Fit(width, e.width, e.height) // more than the source has is the source's size
	}
	t := c.taps[width]
	if t == nil {
		if s.taps >= s.cfg.MaxTaps {
			return nil, ErrCrowded
		}
		s.taps++
		made, ctx := newTap(c, width)
		t, c.taps[width] = made, made
		s.work.Go(func() { made.run(ctx) })
	}
	sub := &Subscription{tap: t, app: app, options: o, since: time.Now(), wake: make(chan struct{}, 1), over: t.ended}
	t.subs[sub] = struct{}{}
	s.subs++
	if p := t.newest; p != nil && time.Since(p.arrived) < recent {
		sub.offer(p)
	}
	t.stir()
	s.cfg.Notify(Event{Kind: EventSubscribed, Stream: stream, App: app})
	return sub, nil
}

// offer queues a picture if it is due. channel.mu is held.
func (s *Subscription) offer(p *Picture) {
	if s.run != p.epoch.run {
		s.run, s.pace = p.epoch.run, pace{}
	}
	if s.over || !s.pace.take(p.Frame.PTS, s.options.FPS) {
		return
	}
	if len(s.queue) == maxQueued {
		s.lose(len(s.queue))
		clear(s.queue)
		s.queue = s.queue[:0]
	}
	s.seq++
	s.queue = append(s.queue, queued{p, s.seq})
	s.signal()
}

// lose counts pictures that were queued and never sent. channel.mu is held.
func (s *Subscription) lose(n int) {
	s.dropped += uint64(n)
	s.lost += uint64(n)
	s.tap.channel.service.counts.dropped.Add(uint64(n))
}

// signal wakes Next.
func (s *Subscription) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Next waits for news. Errors: ErrOver after the last, ctx.Err().
func (s *Subscription) Next(ctx context.Context) (News, error) {
	for {
		n, ok, over := s.take()
		if ok {
			return n, nil
		}
		if over {
			return News{}, ErrOver
		}
		select {
		case <-s.wake:
		case <-ctx.Done():
			return News{}, ctx.Err()
		}
	}
}

// take returns the next news, if there is any: what a picture begins comes before
// it, that it is over after everything.
func (s *Subscription) take() (_ News, ok, over bool) {
	c := s.tap.channel
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case !s.greeted, len(s.queue) > 0 && s.queue[0].picture.epoch != s.epoch:
		s.greeted = true
		s.epoch = c.now()
		if len(s.queue) > 0 {
			s.epoch = s.queue[0].picture.epoch
		}
		return News{Hello: s.hello(s.epoch)}, true, false
	case s.told != s.tap.told:
		s.told = s.tap.told
		return News{State: &protocol.State{Type: protocol.TypeState, State: s.told.state, Reason: s.told.reason}}, true, false
	case len(s.queue) > 0:
		q := s.queue[0]
		s.queue = append(s.queue[:0], s.queue[1:]...)
		n := News{Picture: q.picture, Header: q.picture.header(q.seq, s.dropped, s.options.Format)}
		s.dropped, s.sent = 0, s.sent+1
		c.service.counts.sent.Add(1)
		return n, true, false
	}
	return News{}, false, s.over
}

// hello describes an epoch, nil before the first. channel.mu is held.
func (s *Subscription) hello(e *epoch) *protocol.FramesHello {
	h := s.tap.channel.hello(e)
	h.FPS, h.Format = s.options.FPS, string(s.options.Format)
	if e != nil {
		h.Width, h.Height = transcode.Fit(s.tap.width, e.width, e.height)
	}
	return h
}

// header describes a picture.
func (p *Picture) header(seq, dropped uint64, f Format) protocol.FrameHeader {
	pts := p.Frame.PTS
	return protocol.FrameHeader{
		Type: protocol.TypeFrame, Seq: seq, Epoch: p.epoch.number, PTS: millis(pts), RTP: p.epoch.rtp(pts),
		Wall: unixMillis(p.Frame.Wall), Dropped: dropped, Width: p.Width, Height: p.Height, Format: string(f),
	}
}

// millis is a time in milliseconds, exact to the nanosecond for months.
func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// unixMillis is a moment in milliseconds since 1970, to the microsecond.
func unixMillis(t time.Time) float64 { return float64(t.UnixMicro()) / 1000 }

// Close ends the subscription. It is idempotent.
func (s *Subscription) Close() {
	t := s.tap
	service := t.channel.service
	service.mu.Lock()
	defer service.mu.Unlock()
	t.channel.mu.Lock()
	defer t.channel.mu.Unlock()
	if _, here := t.subs[s]; !here {
		return
	}
	delete(t.subs, s)
	service.subs--
	if len(t.subs) == 0 {
		t.idle = time.Now()
	}
	s.lose(len(s.queue))
	s.queue = nil
	t.channel.parted(s.app, time.Now())
	t.stir()
	service.cfg.Notify(Event{Kind: EventUnsubscribed, Stream: t.channel.stream, App: s.app})
}
