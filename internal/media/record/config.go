package record

import (
	"errors"
	"log/slog"
	"time"
)

// Policy says when a stream is recorded.
type Policy string

// The policies.
const (
	Always   Policy = "always"    // each run, from its first picture; it may be stopped
	OnDemand Policy = "on-demand" // when somebody asks
	Never    Policy = "never"     // whoever asks is refused
)

// Valid reports whether it is one of the three.
func (p Policy) Valid() bool { return p == Always || p == OnDemand || p == Never }

// Config of a Recorder. Dir is needed; zero fields take the defaults.
type Config struct {
	Dir    string // of the files, made when missing
	Policy Policy // of streams that have none of their own; default OnDemand
	Retention
	MinFree float64 // part of the file system that stays free; default 0.05
	Notify  func(Event)
	Log     *slog.Logger

	now  func() time.Time // for tests
	disk disk
}

// Retention bounds what is kept; 0 is no bound.
type Retention struct {
	MaxAge   time.Duration // recordings that ended longer ago are deleted
	MaxBytes int64         // of all together; the oldest are deleted
	Quota    int64         // of one wearer, or one standing stream: nothing more is recorded
}

func (c Config) withDefaults() Config {
	if c.Policy == "" {
		c.Policy = OnDemand
	}
	if c.MinFree == 0 {
		c.MinFree = 0.05
	}
	if c.Notify == nil {
		c.Notify = func(Event) {}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.now == nil {
		c.now = time.Now
	}
	return c
}

// The refusals of the package; test with errors.Is. Their texts are for anyone.
var (
	ErrUnknown  = errors.New("no such recording")
	ErrNever    = errors.New("this stream is not to be recorded: its policy is never")
	ErrQuota    = errors.New("the quota for recordings is used up")
	ErrDiskFull = errors.New("the disk is almost full")
	ErrBusy     = errors.New("the recording is still in progress: stop it first")
	ErrRange    = errors.New("there is nothing of that time")
	ErrTooLong  = errors.New("a clip is at most 10 minutes long")
	ErrNotLive  = errors.New("the stream is not live")
	ErrMany     = errors.New("too many clips are being made")
)

// Kind says whether a stream was recorded or clipped.
type Kind string

// The kinds.
const (
	Recording Kind = "recording"
	Clip      Kind = "clip"
)

// State of a recording.
type State string

// The states. A Paused recording goes on when its disk takes it again. One that
// is Unfinished is whole but for its index, and is finished as soon as the disk
// allows.
const (
	Active     State = "recording"
	Paused     State = "paused"
	Unfinished State = "unfinished"
	Finished   State = "finished"

	starting State = "starting" // there is no file yet; not listed
)

// open reports whether a file is being added to.
func (s State) open() bool { return s == Active || s == Paused }

// Gap is a time that shows nothing of the source.
type Gap struct {
	From   float64 `json:"from"` // seconds into the file
	To     float64 `json:"to"`
	Reason string  `json:"reason"` // a sentence
}

// Why there are gaps.
const (
	gapAway = "The publisher was away."
	gapDisk = "The disk took nothing."
	gapSlow = "The recorder could not keep up."
)

// Info is what is known of a recording or a clip. Values are the caller's.
type Info struct {
	ID       string    `json:"id"`
	Key      string    `json:"key"` // whoever knows it may play it
	Kind     Kind      `json:"kind"`
	Stream   string    `json:"stream"` // id
	Name     string    `json:"name,omitempty"`
	Wearer   string    `json:"wearer,omitempty"` // of whose glasses; empty for a standing stream
	By       string    `json:"by,omitempty"`     // the app that asked
	State    State     `json:"state"`
	Started  time.Time `json:"started"` // wall clock of its time 0
	Duration float64   `json:"duration"`
	Bytes    int64     `json:"bytes"`
	Video    string    `json:"video,omitempty"`
	Width    int       `json:"width,omitempty"`
	Height   int       `json:"height,omitempty"`
	Sound    string    `json:"sound,omitempty"`
	Gaps     []Gap     `json:"gaps,omitempty"`
	Problem  string    `json:"problem,omitempty"` // why it is not in progress although it should
	After    string    `json:"after,omitempty"`   // id of the recording that it continues
}

// owner is whose quota it counts against.
func (i *Info) owner() string {
	if i.Wearer != "" {
		return "wearer " + i.Wearer
	}
	return "stream " + i.Stream
}

// End is the wall clock of its end so far.
func (i *Info) End() time.Time {
	return i.Started.Add(time.Duration(i.Duration * float64(time.Second)))
}

// EventKind says what happened to a recording.
type EventKind string

// The kinds. Failed tells that the disk takes nothing, at once; Resumed that it
// does again. GapFound comes at a gap's end.
const (
	EventStarted   EventKind = "started"
	EventStopped   EventKind = "stopped"
	EventFailed    EventKind = "failed"
	EventResumed   EventKind = "resumed"
	EventGap       EventKind = "gap"
	EventRecovered EventKind = "recovered" // what a killed process left is whole again
	EventDeleted   EventKind = "deleted"
	EventClipped   EventKind = "clipped" // a clip was made
)

// Event is one of them. Notify is called from several goroutines and must not
// block.
type Event struct {
	Kind   EventKind
	Info   Info
	Reason string // a sentence, or empty
}
