package frames

import (
	"context"
	"log/slog"
	"net/http"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"glimpse/internal/media/hub"
	"glimpse/internal/media/transcode"
)

// Streams finds a stream by its playback id; nil when there is none.
type Streams interface {
	ByPlayback(playbackID string) *hub.Stream
}

// Decoder makes pictures of a run: transcode.Transcoder.
type Decoder interface {
	Decode(ctx context.Context, run *hub.Run, d transcode.Decoding, sink transcode.DecodeSink) error
}

// Grants says who may have pictures and post results.
type Grants interface {
	// FramesApp returns the name of the app that makes a request, or a *Refusal.
	FramesApp(r *http.Request) (app string, err error)
}

// Config of a Service. Zero fields take the defaults.
type Config struct {
	MaxDecoders    int           // that decode all pictures at once; default two a core, at least 4
	MaxTaps        int           // decoders in all, the others of key frames only; default four times as many
	MaxSubscribers int           // of pictures, of all streams; default 256
	MaxReaders     int           // of detections, of all streams; default 2048
	Linger         time.Duration // how long a decoder outlives its last subscriber; default 5 s
	Notify         func(Event)   // may be nil; must not block
	Streams        Streams       // needed
	Decoder        Decoder       // needed
	Grants         Grants        // needed
}

func (c Config) withDefaults() Config {
	set := func(to *int, n int) {
		if *to == 0 {
			*to = n
		}
	}
	set(&c.MaxDecoders, max(2*runtime.NumCPU(), 4))
	set(&c.MaxTaps, 4*c.MaxDecoders)
	set(&c.MaxSubscribers, 256)
	set(&c.MaxReaders, 2048)
	if c.Linger == 0 {
		c.Linger = 5 * time.Second
	}
	if c.Notify == nil {
		c.Notify = func(Event) {}
	}
	return c
}

// EventKind is what an Event tells.
type EventKind string

// The kinds of events.
const (
	EventSubscribed   EventKind = "frames.subscribed"
	EventUnsubscribed EventKind = "frames.unsubscribed"
	EventOverloaded   EventKind = "frames.overloaded"
)

// Event is something that happened to a stream's pictures.
type Event struct {
	Kind    EventKind
	Stream  *hub.Stream
	App     string
	Message string
}

// Service gives pictures and passes on results. Its methods may be called
// concurrently. Make it with New, and Close it before the hub.
type Service struct {
	cfg    Config
	log    *slog.Logger
	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	work   sync.WaitGroup // taps, the sweeper
	visits sync.WaitGroup // handlers

	mu       sync.Mutex // before channel.mu
	closed   bool
	channels map[*hub.Stream]*channel
	taps     int
	subs     int
	readers  int

	full   atomic.Int32 // taps that decode all pictures
	epochs atomic.Uint32
	counts counts
}

// counts are since the beginning.
type counts struct {
	pictures, sent, dropped, results, resultsLost, refused atomic.Uint64
}

// New returns a Service.
func New(cfg Config, log *slog.Logger) *Service {
	s := &Service{cfg: cfg.withDefaults(), log: log, channels: map[*hub.Stream]*channel{}}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.work.Go(s.sweep)
	return s
}

// goodbye is how long handlers have to tell their peers that it is over.
const goodbye = 500 * time.Millisecond

// Close ends all subscriptions and readers and waits for their decoders and
// handlers. It is idempotent.
func (s *Service) Close() {
	s.mu.Lock()
	s.closed = true
	channels := make([]*channel, 0, len(s.channels))
	for _, c := range s.channels {
		channels = append(channels, c)
	}
	s.mu.Unlock()
	for _, c := range channels {
		c.end("The server is shutting down.")
	}
	cut := time.AfterFunc(goodbye, s.cancel)
	defer cut.Stop()
	s.visits.Wait()
	s.cancel()
	s.work.Wait()
}

// enter counts a handler in that Close waits for.
func (s *Service) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.visits.Add(1)
	return true
}

// sweep stops what nobody wants any more, until Close.
func (s *Service) sweep() {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case now := <-tick.C:
			s.mu.Lock()
			for stream, c := range s.channels {
				stopped, empty := c.sweep(now, s.cfg.Linger)
				s.taps -= stopped
				if empty {
					delete(s.channels, stream)
				}
			}
			s.mu.Unlock()
		}
	}
}

// channelOf returns the stream's channel. s.mu is held, and has to be held until
// somebody is in the channel, or it may be swept away.
func (s *Service) channelOf(stream *hub.Stream) *channel {
	c := s.channels[stream]
	if c == nil {
		c = newChannel(s, stream)
		s.channels[stream] = c
	}
	return c
}

// Stats counts.
type Stats struct {
	Subscribers int // now
	Decoders    int
	Limited     int    // decoders that decode key frames only
	Readers     int    // of detections
	Pictures    uint64 // decoded since the beginning
	Sent        uint64 // to subscribers
	Dropped     uint64 // that slow subscribers lost
	Results     uint64 // posted
	ResultsLost uint64 // by slow readers
	Refused     uint64 // requests without a grant or place
}

// Stats returns the counts of this moment.
func (s *Service) Stats() Stats {
	s.mu.Lock()
	st := Stats{Subscribers: s.subs, Decoders: s.taps, Readers: s.readers}
	for _, c := range s.channels {
		st.Limited += c.limited()
	}
	s.mu.Unlock()
	st.Pictures, st.Sent, st.Dropped = s.counts.pictures.Load(), s.counts.sent.Load(), s.counts.dropped.Load()
	st.Results, st.ResultsLost, st.Refused = s.counts.results.Load(), s.counts.resultsLost.Load(), s.counts.refused.Load()
	return st
}

// Subscriber is one subscription, for the operator.
type Subscriber struct {
	App           string
	FPS           float64
	Width, Height int // of the pictures, 0 before the first
	Format        Format
	State         string // of its pictures
	Since         time.Time
	Sent, Dropped uint64
}

// Subscribers lists who is given pictures of a stream, the oldest first.
func (s *Service) Subscribers(stream *hub.Stream) []Subscriber {
	s.mu.Lock()
	c := s.channels[stream]
	s.mu.Unlock()
	if c == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	var list []Subscriber
	for _, t := range c.taps {
		for sub := range t.subs {
			one := Subscriber{
				App: sub.app, FPS: sub.options.FPS, Format: sub.options.Format, State: t.told.state,
				Since: sub.since, Sent: sub.sent, Dropped: sub.lost,
			}
			if t.newest != nil {
				one.Width, one.Height = t.newest.Width, t.newest.Height
			}
			list = append(list, one)
		}
	}
	slices.SortFunc(list, func(a, b Subscriber) int { return a.Since.Compare(b.Since) })
	return list
}
