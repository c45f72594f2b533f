package hub

import (
	"errors"
	"time"
)

// Config holds the hub's bounds and times. Zero fields take the defaults.
type Config struct {
	RingBytes    int           // frames kept per stream, in bytes; default 16 MiB, then the oldest go
	MaxLag       time.Duration // a reader further behind with a newer key frame at hand jumps to it; default 3 s
	SilentAfter  time.Duration // a publisher without a byte for so long is lost; default 5 s
	PendingMax   time.Duration // a newcomer beside an incumbent must bring a key frame within; default 10 s
	TrackWait    time.Duration // how long a first key frame waits for announced sound; default 500 ms
	SoundAlone   time.Duration // a publisher of sound alone is shown in black after; default 2 s
	FlapWindow   time.Duration // three takeovers within make the hub refuse newcomers for as long; default 30 s
	MaxPublisher int           // publishers connected to one stream at once, the incumbent included; default 4
	Converter    Converter     // makes sound that the source does not send; nil: readers go without
}

func (c Config) withDefaults() Config {
	def := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	def(&c.MaxLag, 3*time.Second)
	def(&c.SilentAfter, 5*time.Second)
	def(&c.PendingMax, 10*time.Second)
	def(&c.TrackWait, 500*time.Millisecond)
	def(&c.SoundAlone, 2*time.Second)
	def(&c.FlapWindow, 30*time.Second)
	if c.RingBytes == 0 {
		c.RingBytes = 16 << 20
	}
	if c.MaxPublisher == 0 {
		c.MaxPublisher = 4
	}
	return c
}

// starvedAfter is how long pictures may come without a key frame before that is
// an event: new viewers see an old picture at best.
const starvedAfter = 20 * time.Second

// maxTakeovers within Config.FlapWindow: one more and newcomers are refused (MEDIA H3).
const maxTakeovers = 3

// The errors of the package. Their texts are safe to show to anyone.
var (
	ErrUnknownKey = errors.New("no stream has this key")
	ErrRefused    = errors.New("two publishers keep taking this stream from each other: newcomers wait 30 s")
	ErrBusy       = errors.New("too many publishers are connected to this stream")
	ErrSuperseded = errors.New("a newer publisher has taken over")
	ErrEnded      = errors.New("the stream has ended")
	ErrNoKeyFrame = errors.New("no key frame arrived in time")
	ErrNoTrack    = errors.New("frame of a track that was not announced")
	ErrClosed     = errors.New("closed")
	ErrDuplicate  = errors.New("a stream with this id, key or playback id exists")
)

// State of a stream.
type State uint8

// The states: idle (no publisher yet, or a standing stream after its window),
// live, interrupted (publisher lost, its last picture is shown), ended (for good).
const (
	StateIdle State = iota
	StateLive
	StateInterrupted
	StateEnded
)

// String returns the state's word in the API.
func (s State) String() string {
	return [...]string{"idle", "live", "interrupted", "ended"}[s]
}

// Spec describes a stream to open.
type Spec struct {
	ID         string // for people and logs
	IngestKey  string // secret: whoever knows it may publish
	PlaybackID string // what viewers know
	Passphrase string // secret: what publishers and readers by SRT encrypt with; empty: plain
	Name       string // for people; may be empty
	// ResumeWindow is how long the last picture of a lost publisher is held for
	// readers; 0 ends at once.
	ResumeWindow time.Duration
	// Standing streams become idle when their window ends, others end.
	Standing bool
	// Notify is called with each event, in order, from the stream's own
	// goroutine. It must not block. Nil is allowed.
	Notify func(Event)
}

// EventKind says what happened to a stream.
type EventKind uint8

// The kinds of event. Live comes with the first key frame of a run, Resumed
// with the first after an interruption, Idle when a standing stream's run is
// over, Ended exactly once at the end. Refused tells, once in Config.FlapWindow,
// that newcomers are sent away because publishers keep taking over; Starving,
// once until there is one, that no key frame comes, so that new viewers have to
// wait.
const (
	EventLive EventKind = iota + 1
	EventInterrupted
	EventResumed
	EventTakeover
	EventIdle
	EventEnded
	EventRefused
	EventStarving
)

// String returns the event's word in logs and the API.
func (k EventKind) String() string {
	return [...]string{"", "live", "interrupted", "resumed", "takeover", "idle", "ended", "refused", "starving"}[k]
}

// Event is one change of a stream.
type Event struct {
	Kind   EventKind
	Stream *Stream
	Run    *Run   // the run it concerns; nil when there was none
	Reason string // why, for all but live and resumed
	At     time.Time
}

// PublisherInfo says who publishes, for status and logs.
type PublisherInfo struct {
	Protocol string // "rtmp", …
	Remote   string // address
	// Link tells how the network treats the connection; nil when the protocol does
	// not know. It must not block, and may be called from anywhere.
	Link func() Link
	// AskKey asks the encoder for a key frame; nil when the protocol has no way. It
	// is called from any goroutine, without a lock, as often as viewers ask: the
	// publisher limits the rate. It must not block.
	AskKey func()
}

// Link is what a publisher's network did so far.
type Link struct {
	Lost    uint64        // packets that never came
	Resent  uint64        // packets that came at a second attempt
	RTT     time.Duration // round trip
	Latency time.Duration // how long a packet may take to come again
}
