package camera

import (
	"encoding/json"
	"time"

	"glimpse/protocol"
)

// Event is something that happened to a wearer's camera. The set is closed.
type Event interface{ event() }

// IDs are fresh random identifiers, made by the caller because Step has no
// randomness. They are used only if the request begins a stream, and must never
// have been used before.
type IDs struct {
	StreamID   string // at most 11 characters: it travels over BLE
	IngestKey  string // secret of at least 128 bits; managed only
	PlaybackID string // of at least 128 bits, independent of the key; managed only
}

// Options are an app's wishes. Video, Audio and Stream reach the glasses as they
// came; the bytes must not be changed afterwards.
type Options struct {
	Video   json.RawMessage `json:"video,omitempty"`
	Audio   json.RawMessage `json:"audio,omitempty"`
	Stream  json.RawMessage `json:"stream,omitempty"`
	Quality string          `json:"quality,omitempty"` // managed: "720p" or "1080p", a preset under Video
	Silent  bool            `json:"silent,omitempty"`  // the app said sound: false
}

// StartDirect is a direct (unmanaged) start request.
type StartDirect struct {
	App       string
	IDs       IDs // only StreamID
	URL       string
	Options   Options
	Permitted bool // the app has the CAMERA permission
	Running   bool // the app's session is running
}

// StartManaged is a managed start request: it begins the stream or joins it.
type StartManaged struct {
	App          string
	IDs          IDs
	Options      Options
	Destinations []protocol.Destination
	Permitted    bool // the app has the CAMERA permission
	Running      bool // the app's session is running
}

// Malformed is a start request that could not be read. Text says why.
type Malformed struct {
	App  string
	Kind Kind
	Text string
}

// Stop is an app's stop request. StreamID is what the app sent, if anything.
type Stop struct {
	App      string
	Kind     Kind
	StreamID string
}

// AppLeft says that an app's session is over: stopped by anyone, or not
// resurrected. Reason is for its last status.
type AppLeft struct {
	App    string
	Reason string
}

// AppAway says that an app's socket is gone while its session goes on. The last
// status meant for it is kept.
type AppAway struct{ App string }

// AppBack says that an app has a socket again and was acknowledged; send it
// before the app's first request is handled. SameProcess is true when the
// process lived on (a reconnect): it is told where its stream stands. A fresh
// process is told nothing until it asks: its start joins or replaces.
type AppBack struct {
	App         string
	SameProcess bool
}

// GlassesSaid is a status of the glasses, in the words of protocol.Status*.
// StreamID may be empty: then it is the current stream. ErrorDetails is their
// reason, also of reconnecting.
type GlassesSaid struct {
	StreamID     string
	Status       string
	Stats        *protocol.Stats
	ErrorDetails string
}

// KeepAliveAcked is the glasses' answer to a KeepAlive.
type KeepAliveAcked struct {
	StreamID string
	AckID    string
}

// Device says how the wearer's device stands. Send it whole at each change.
type Device struct {
	PhoneUp          bool // a glasses socket is connected
	GlassesConnected bool // the phone's last word; keep it when the phone goes and comes back
	HasCamera        bool // the model has a camera that can stream and WiFi
	WifiDown         bool // the glasses said that they have no WiFi; unknown is false
	// NewPhone says that this phone took over from another one or that its
	// process began anew: it is told to start what runs. The caller tells the old
	// socket to stop.
	NewPhone bool
}

// MediaLive says that media of a managed stream has really arrived and its
// playback URLs answer: at the first key frame, and at the first after each
// MediaLost.
type MediaLive struct{ StreamID string }

// MediaLost says that the media of a managed stream stopped: its publisher went
// away, or fell silent. Silent is how long no byte has come (0 when the
// connection was closed just now).
type MediaLost struct {
	StreamID string
	Silent   time.Duration
}

// IngestFailed says that the ingest of a managed stream could not be opened or
// is gone for good. Reason ends up in the apps' error, so it must hold no secret.
type IngestFailed struct {
	StreamID string
	Reason   string
}

// Viewers says how many players a managed stream has now.
type Viewers struct {
	StreamID string
	N        int
}

// OutputSaid says how a destination of SetOutputs does, at each change. Status is
// protocol.StatusActive, StatusError or StatusStopped (not sent to now, or not
// yet); Error is its reason and must show no key.
type OutputSaid struct {
	StreamID string
	URL      string // as in SetOutputs
	Status   string
	Error    string
}

// OutputAction is what ChangeOutput does.
type OutputAction uint8

// The actions.
const (
	AddOutput OutputAction = iota + 1
	RemoveOutput
	PauseOutput
	ResumeOutput
)

// ChangeOutput changes the restream destinations of a managed stream while it
// runs. App asks for it; empty: the operator, who may touch all of them. What
// MayChange refuses changes nothing.
type ChangeOutput struct {
	StreamID    string
	App         string
	Do          OutputAction
	Destination protocol.Destination // of other actions than AddOutput only the URL counts
}

// OperatorEnded ends the stream for all (DELETE in the API).
type OperatorEnded struct{ StreamID string }

// SessionEnded ends everything: the wearer's session is over.
type SessionEnded struct{ Reason string }

// Tick says that the moment of Next has come. Early or late ticks do no harm.
type Tick struct{}

func (StartDirect) event()    {}
func (StartManaged) event()   {}
func (Malformed) event()      {}
func (Stop) event()           {}
func (AppLeft) event()        {}
func (AppAway) event()        {}
func (AppBack) event()        {}
func (GlassesSaid) event()    {}
func (KeepAliveAcked) event() {}
func (Device) event()         {}
func (MediaLive) event()      {}
func (MediaLost) event()      {}
func (IngestFailed) event()   {}
func (Viewers) event()        {}
func (OutputSaid) event()     {}
func (ChangeOutput) event()   {}
func (OperatorEnded) event()  {}
func (SessionEnded) event()   {}
func (Tick) event()           {}
