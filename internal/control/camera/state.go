package camera

import (
	"slices"
	"time"

	"glimpse/protocol"
)

// Kind tells the two kinds of stream apart.
type Kind uint8

// The kinds. Direct is what apps call unmanaged.
const (
	Direct Kind = iota + 1
	Managed
)

// String returns the word of stream_status_check: "unmanaged" or "managed".
func (k Kind) String() string {
	if k == Managed {
		return "managed"
	}
	return "unmanaged"
}

// Times are all the durations that the camera goes by (CONTROL.md "Times").
// Tests may shorten them; DefaultTimes has the documents' values.
type Times struct {
	StartDeadline time.Duration    // a request without media ends with "timeout"; 24 s, the SDK gives up at 30 s
	Coalesce      time.Duration    // a managed stop waits for a start of the same app; 40 ms
	KeepAlive     time.Duration    // between keep-alives; 15 s
	AckWait       time.Duration    // for the answer to one; 10 s
	AckMisses     int              // unanswered in a row until the stream is dead; 3
	Retries       [4]time.Duration // after a managed stream failed, start_stream again at these; 1, 3, 7, 15 s
	Silence       time.Duration    // a managed stream without a byte has failed; 5 s
	ResumeWindow  time.Duration    // an interrupted managed stream waits for its media; 60 s, 0-1800 s
	PhoneGrace    time.Duration    // the session outlives its phone; 60 s, the window is never less than what remains
	GlassesGrace  time.Duration    // glasses disconnected while the phone is there; 10 s
	TellAfter     time.Duration    // an interruption is told to apps; 3 s
	NoViewer      time.Duration    // a managed stream that nobody watches ends; 60 min
	Settle        time.Duration    // late words of the stream that a start replaced on the glasses (WIRE c.4: about 500 ms); 2 s
}

// DefaultTimes returns the documents' values.
func DefaultTimes() Times {
	return Times{
		StartDeadline: 24 * time.Second,
		Coalesce:      40 * time.Millisecond,
		KeepAlive:     15 * time.Second,
		AckWait:       10 * time.Second,
		AckMisses:     3,
		Retries:       [4]time.Duration{1 * time.Second, 3 * time.Second, 7 * time.Second, 15 * time.Second},
		Silence:       5 * time.Second,
		ResumeWindow:  60 * time.Second,
		PhoneGrace:    60 * time.Second,
		GlassesGrace:  10 * time.Second,
		TellAfter:     3 * time.Second,
		NoViewer:      60 * time.Minute,
		Settle:        2 * time.Second,
	}
}

// State of a wearer's camera. Make it with New. It is a value: Step never
// changes the one it is given, and old ones stay as they were. It can be written
// as JSON (what is known of the device and of sockets is left out); the moments
// in it are monotonic in memory and wall clock once written.
type State struct {
	Stream *Stream `json:"stream,omitempty"` // nil while the camera is free
	Past   []Past  `json:"past,omitempty"`   // streams that the glasses should no longer run, oldest first, bounded
	Serial uint32  `json:"serial"`           // number of the last keep-alive

	Times       Times     `json:"-"`
	Device      Device    `json:"-"`              // as last told
	PhoneLost   time.Time `json:"-"`              // zero while the phone is there
	GlassesLost time.Time `json:"-"`              // the phone is there and says that the glasses are gone; else zero
	Away        []Absent  `json:"away,omitempty"` // apps whose socket is gone
}

// New returns the state of a free camera with no phone connected.
func New(t Times) State { return State{Times: t} }

// Stream is what the camera does now. Its fields are for reading.
type Stream struct {
	Kind       Kind          `json:"kind"`
	ID         string        `json:"id"`
	IngestKey  string        `json:"ingestKey,omitempty"`  // managed
	PlaybackID string        `json:"playbackId,omitempty"` // managed
	URL        string        `json:"url,omitempty"`        // direct: where the glasses push; may contain a secret
	Options    Options       `json:"options"`
	Holds      []Hold        `json:"holds"` // one for direct; in order of arrival
	Created    time.Time     `json:"created"`
	Limit      time.Duration `json:"limit,omitempty"`    // durationLimit; 0 for none
	FirstLive  time.Time     `json:"firstLive,omitzero"` // Limit counts from here
	Viewers    int           `json:"-"`                  // managed: players now
	Unwatched  time.Time     `json:"-"`                  // managed: since when there is none and no restream; zero while there is one

	// Flowing says that media arrives (managed) or that the glasses said so (direct).
	Flowing bool          `json:"-"`
	Lost    time.Time     `json:"-"` // managed: last byte before an interruption; direct: glasses said disconnected; else zero
	Told    bool          `json:"-"` // managed: apps know of the interruption
	Reason  string        `json:"-"` // the newest failure in words, for the final error
	Code    protocol.Code `json:"-"`

	Fanout
	Glasses Pulse `json:"-"`
	Retry   Retry `json:"-"`
}

// Fanout is to whom a managed stream is sent on.
type Fanout struct {
	Operator []protocol.Destination `json:"operator,omitempty"` // destinations that no app asked for
	Paused   []string               `json:"paused,omitempty"`   // URLs of destinations that are not sent to for now
	Sending  []Sending              `json:"-"`                  // all destinations
}

// Hold is one app's share in the stream.
type Hold struct {
	App          string                 `json:"app"`
	Destinations []protocol.Destination `json:"destinations,omitempty"` // of restreams it asked for
	Status       string                 `json:"status"`                 // the last status meant for the app
	Orphan       bool                   `json:"orphan,omitempty"`       // asked by a process that is gone: its successor must hear nothing until it asks itself
	Deadline     time.Time              `json:"deadline,omitzero"`      // the request ends with "timeout"; zero once it was active
	StopAt       time.Time              `json:"stop_at,omitzero"`       // a managed stop that still waits for a start; else zero
}

// Pulse is what is known of the glasses' side of a stream.
type Pulse struct {
	Asked    bool            // told to run, and not heard to have ended
	Started  time.Time       // when start_stream was sent last
	Again    bool            // that was not the first one for this stream id
	Word     time.Time       // when the glasses last said that it runs, after Started
	Unproven bool            // restored, and no word or answer of the glasses since
	From     uint32          // number of the first keep-alive since Started
	SendAt   time.Time       // the next keep-alive
	AnswerBy time.Time       // the outstanding one; zero when there is none
	Misses   int             // in a row
	Stats    *protocol.Stats // the newest that the glasses sent; shared, read-only
}

// Retry is the schedule of start_stream after a managed stream failed.
type Retry struct {
	Base time.Time // when it failed; zero without a failure
	Done int       // attempts made
	At   time.Time // the next; zero when there is none (all made, or the glasses cannot be reached)
}

// Past is a stream that was stopped or replaced.
type Past struct {
	ID    string    `json:"id"`
	AppID string    `json:"appId,omitempty"`
	At    time.Time `json:"at"`
	Owed  bool      `json:"owed,omitempty"` // stop_stream has still to be sent, when the glasses are back
}

// AppID is the app as the glasses know it: the package name, or
// protocol.ManagedAppID.
func (s *Stream) AppID() string {
	if s.Kind == Managed {
		return protocol.ManagedAppID
	}
	return s.Holds[0].App
}

// Interrupted says that a managed stream was live and waits for its media.
func (s *Stream) Interrupted() bool {
	return s.Kind == Managed && !s.FirstLive.IsZero() && !s.Flowing
}

// clone copies all that Step may change.
func (s State) clone() State {
	if s.Stream != nil {
		st := *s.Stream
		st.Holds, st.Sending, st.Paused = slices.Clone(st.Holds), slices.Clone(st.Sending), slices.Clone(st.Paused)
		s.Stream = &st
	}
	s.Past = slices.Clone(s.Past)
	s.Away = slices.Clone(s.Away)
	return s
}
