package camera

import "glimpse/protocol"

// Effect is something to do. The set is closed. Effects are performed in the
// order in which Step returns them and must not block; what can fail comes back
// as an event (IngestFailed, MediaLost).
//
// The caller fills what depends on sockets: type (the app's dialect), sessionId
// and timestamp of each message, and the URLs of ids, which differ with the
// address on which a peer reached us.
type Effect interface{ effect() }

// TellDirect sends stream_status (or rtmp_stream_status) to one app and nobody
// else. It is never sent to an app that is away.
type TellDirect struct {
	App    string
	Status protocol.DirectStatus
}

// TellManaged sends managed_stream_status to one app and nobody else. When
// PlaybackID is not empty the caller fills Status.URLs with all of its URLs.
type TellManaged struct {
	App        string
	PlaybackID string
	Status     protocol.ManagedStatus
}

// StartGlasses sends start_stream. When IngestKey is not empty the caller fills
// StreamURL and RTMPURL with the ingest URL of that key; else both are there.
type StartGlasses struct {
	IngestKey string
	Start     protocol.StartStream
}

// StopGlasses sends stop_stream. AppID is empty for a stream that nobody knows.
type StopGlasses struct {
	AppID    string
	StreamID string
}

// KeepAlive sends keep_stream_alive; the answer is a KeepAliveAcked.
type KeepAlive struct {
	StreamID string
	AckID    string // at most 6 characters
}

// OpenIngest opens the ingest and playback of a managed stream. It comes before
// the StartGlasses of the stream. The camera itself ends a stream whose resume
// window is over, so the ingest must wait at least as long.
type OpenIngest struct {
	IDs IDs
	App string // who began it
}

// SetOutputs makes the destinations to which a managed stream is sent on exactly
// these: it comes after OpenIngest, and after every change. After a restart it
// comes with the first event.
type SetOutputs struct {
	StreamID string
	Outlets  []Outlet
}

// CloseIngest ends the ingest and playback of a managed stream for good.
type CloseIngest struct {
	StreamID string
	Reason   string
}

// Note is an event for the API and the log: never a message to an app.
type Note struct {
	What     NoteKind
	Kind     Kind
	StreamID string
	App      string        // for holds and refusals
	Status   string        // HoldEnded: stopped, error or timeout
	Code     protocol.Code // of a refusal or an error; else empty
	Message  string        // a sentence without secrets
}

// NoteKind says what a Note is about; its value is the word in the API.
type NoteKind string

// The kinds of notes. Each HoldBegan is followed by exactly one HoldEnded, each
// StreamBegan by exactly one StreamEnded.
const (
	StreamBegan       NoteKind = "stream.began"
	StreamLive        NoteKind = "stream.live"
	StreamInterrupted NoteKind = "stream.interrupted"
	StreamResumed     NoteKind = "stream.resumed"
	StreamRetried     NoteKind = "stream.retried"
	StreamEnded       NoteKind = "stream.ended"
	HoldBegan         NoteKind = "hold.began"
	HoldEnded         NoteKind = "hold.ended"
	Refused           NoteKind = "request.refused"
)

func (TellDirect) effect()   {}
func (TellManaged) effect()  {}
func (StartGlasses) effect() {}
func (SetOutputs) effect()   {}
func (StopGlasses) effect()  {}
func (KeepAlive) effect()    {}
func (OpenIngest) effect()   {}
func (CloseIngest) effect()  {}
func (Note) effect()         {}
