package restream

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"glimpse/internal/media/frame"
	"glimpse/internal/media/hub"
)

// MaxOutputs bounds the destinations of one stream (WIRE b.3).
const MaxOutputs = 10

// The refusals of a Supervisor; test with errors.Is.
var (
	ErrFull      = errors.New("too many restream destinations: at most 10")
	ErrDuplicate = errors.New("the stream is sent to this destination already")
	ErrClosed    = errors.New("the stream has ended")
)

// Pusher is an open connection to a destination, as rtmp.Client and srt.Client
// are. WriteFrames is called by one goroutine, and so is Drain, after the last frame: it
// returns when the destination has everything that Close would take from it, or ctx ends.
// Close ends within a second and makes a WriteFrames in progress return.
type Pusher interface {
	WriteFrames(frames []*frame.Frame) error
	Done() <-chan struct{}
	Drain(ctx context.Context)
	Close() error
}

// Dial connects to a destination and asks to publish the tracks there. Its errors
// must not show the address. ErrAddress and outbound.ErrPrivate are final.
type Dial func(ctx context.Context, to Destination, tracks []*frame.Track) (Pusher, error)

// Check asks a destination, without publishing, whether it would take the stream;
// nil and no error when it is not to be asked.
type Check func(ctx context.Context, to Destination) (*Preflight, error)

// Destination is where a stream is sent.
type Destination struct {
	ID      string // chosen by the caller, unique in the stream
	Name    string // for people, may be empty
	URL     string // secret; the scheme in small letters, see Normal
	Trusted bool   // may be a private address
	Paused  bool   // not sent to for now
}

// State of an output.
type State string

// The states of an output. Failed is final until it is paused and resumed: the
// address cannot be used.
const (
	Idle       State = "idle"       // the stream is not live
	Connecting State = "connecting" // first attempt of a run
	Active     State = "active"     // the destination takes the stream
	Retrying   State = "retrying"   // waits for the next attempt, makes it, or takes no data
	Failed     State = "error"
	Stopped    State = "stopped" // paused
)

// Status of an output.
type Status struct {
	ID, Name  string
	URL       string // redacted
	State     State
	Error     string     // why it is Failed or Retrying, or why the pre-flight failed while it is Idle
	Since     time.Time  // of State
	Attempts  int        // since it was last Active
	Connects  int        // connections that took the stream
	Sent      uint64     // frames
	Bytes     uint64     // of them
	Dropped   uint64     // frames lost by being slow
	Preflight *Preflight // the newest; nil before the first
}

// Config of a Supervisor. Dial is needed.
type Config struct {
	Dial   Dial
	Check  Check          // before the stream is live; nil: nobody is asked
	Notify func(Status)   // told of every change of State or Error, in order per output; nil: nobody
	Random func() float64 // in [0, 1), for the jitter; nil: math/rand
	Log    *slog.Logger   // nil: none
}

// Supervisor sends one stream to its destinations until it is closed. Its methods
// may be called from anywhere, except from Notify.
type Supervisor struct {
	stream *hub.Stream
	cfg    Config
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu      sync.Mutex
	outputs []*output // in the order in which they were added
}

// New returns a supervisor without destinations. Close it.
func New(stream *hub.Stream, cfg Config) *Supervisor {
	if cfg.Random == nil {
		cfg.Random = rand.Float64
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Notify == nil {
		cfg.Notify = func(Status) {}
	}
	s := &Supervisor{stream: stream, cfg: cfg}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// Add sends the stream to one more destination. One whose address cannot be used is
// Failed at once. Errors: ErrDuplicate (of the id or the address), ErrFull, ErrClosed.
func (s *Supervisor) Add(d Destination) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() != nil {
		return ErrClosed
	}
	if slices.ContainsFunc(s.outputs, func(o *output) bool { return o.to.ID == d.ID || o.to.URL == d.URL }) {
		return ErrDuplicate
	}
	if len(s.outputs) >= MaxOutputs {
		return ErrFull
	}
	o := newOutput(s, d)
	s.outputs = append(s.outputs, o)
	s.wg.Go(o.run)
	return nil
}

// Set makes the destinations exactly these, told apart by their ids: new ones are
// added and others removed, without waiting for their goodbye, and those that stay
// are paused or not. Errors are those of Add, joined; every destination that can be
// added is.
func (s *Supervisor) Set(list []Destination) error {
	s.mu.Lock()
	s.outputs = slices.DeleteFunc(s.outputs, func(o *output) bool {
		gone := !slices.ContainsFunc(list, func(d Destination) bool { return d.ID == o.to.ID })
		if gone {
			o.cancel()
		}
		return gone
	})
	have := slices.Clone(s.outputs)
	s.mu.Unlock()
	var problems []error
	for _, d := range list {
		i := slices.IndexFunc(have, func(o *output) bool { return o.to.ID == d.ID })
		if i < 0 {
			problems = append(problems, s.Add(d))
			continue
		}
		have[i].pause(d.Paused)
	}
	return errors.Join(problems...)
}

// Status of every output, in the order in which they were added.
func (s *Supervisor) Status() []Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]Status, 0, len(s.outputs))
	for _, o := range s.outputs {
		list = append(list, o.status())
	}
	return list
}

// Close ends every output and waits for them, at most a second. Idempotent.
func (s *Supervisor) Close() {
	s.mu.Lock()
	s.cancel()
	s.mu.Unlock()
	s.wg.Wait()
}
