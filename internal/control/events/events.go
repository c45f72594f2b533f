// Package events keeps what happened on this server, newest last, and hands it
// to whoever follows: streams that began, were interrupted and ended, holds and
// refusals, apps and phones that came and went. These are the cloud's own words:
// apps never hear them on their sockets.
//
// A Log is a ring of bounded size. A Subscription is a position in it and a
// filter, so that a slow follower costs nothing and delays nobody: when the ring
// has overtaken it, it is told of the gap and goes on with the oldest that is
// kept. Ids rise, also over restarts of the process, because they follow the
// clock; a follower who comes back names the last one it has seen. The ring
// itself ends with the process, which is a gap too. A Source is one wearer's way
// in, bounded in time, so that a storm of one wearer's does not push out what
// others have to tell.
//
// Publishers never wait. The package starts no goroutine; the Log's lock is a
// leaf. A Source belongs to its one goroutine and needs none.
package events

import "time"

// Type is what an event tells.
type Type string

// The types of events. Those of streams and holds come in order: each hold that
// began ends once, each stream likewise.
const (
	StreamBegan       Type = "stream.began"
	StreamLive        Type = "stream.live"
	StreamInterrupted Type = "stream.interrupted"
	StreamResumed     Type = "stream.resumed"
	StreamRetried     Type = "stream.retried"  // glasses were told to start it again
	StreamTakeover    Type = "stream.takeover" // a newer publisher with the same key
	StreamRefused     Type = "stream.refused"  // newcomers with this key, because publishers keep taking over
	StreamStarving    Type = "stream.starving" // no key frame came for long: new viewers wait for a picture
	StreamIdle        Type = "stream.idle"     // a standing stream's publisher will not come back
	StreamEnded       Type = "stream.ended"
	StreamViewers     Type = "stream.viewers" // another number of viewers, told at most every 5 s
	StreamReport      Type = "stream.report"  // a run is over, and this is its report
	OutputActive      Type = "output.active"  // a restream destination takes the stream
	OutputRetrying    Type = "output.retrying"
	OutputFailed      Type = "output.error" // for good: its address cannot be used
	OutputStopped     Type = "output.stopped"
	HoldBegan         Type = "hold.began" // an app has a share in a stream
	HoldEnded         Type = "hold.ended"
	Refused           Type = "request.refused" // an app's start or stop

	FramesSubscribed   Type = "frames.subscribed" // an app is given decoded pictures of a stream
	FramesUnsubscribed Type = "frames.unsubscribed"
	FramesOverloaded   Type = "frames.overloaded" // of a stream only key frames are decoded for a while

	WearerCame        Type = "wearer.came" // a session began
	WearerLeft        Type = "wearer.left"
	PhoneConnected    Type = "phone.connected"
	PhoneDisconnected Type = "phone.disconnected"
	PhoneSuperseded   Type = "phone.superseded" // by another one of the same wearer
	GlassesConnected  Type = "glasses.connected"
	GlassesLost       Type = "glasses.disconnected"

	AppStarted      Type = "app.started"     // a process has connected
	AppReconnected  Type = "app.reconnected" // the same one again
	AppDisconnected Type = "app.disconnected"
	AppResurrected  Type = "app.resurrected" // it stayed away and its server was asked again
	AppGivenUp      Type = "app.given_up"    // it stays away, or did not start
	AppReleased     Type = "app.released"    // it gave its session away
	AppStopped      Type = "app.stopped"
	SocketSlow      Type = "socket.slow" // closed because its reader was too slow

	RecordingStarted   Type = "recording.started"
	RecordingStopped   Type = "recording.stopped"
	RecordingFailed    Type = "recording.failed"    // the disk takes nothing, or the quota is used up: it waits
	RecordingResumed   Type = "recording.resumed"   // the disk takes it again
	RecordingGap       Type = "recording.gap"       // a time of the recording shows nothing of the source
	RecordingRecovered Type = "recording.recovered" // what a killed server left is whole again
	RecordingDeleted   Type = "recording.deleted"
	ClipMade           Type = "clip.made"

	ServerStarted  Type = "server.started"
	ServerDraining Type = "server.draining"
	StoreFailing   Type = "store.failing" // what was to survive a restart could not be written

	Suppressed Type = "events.suppressed" // Count events of this wearer are left out: too many in a short time
	Gap        Type = "gap"               // events are missing here; Count says how many when that is known
)

// Types returns every type, in no particular order of time.
func Types() []Type {
	return []Type{
		StreamBegan, StreamLive, StreamInterrupted, StreamResumed, StreamRetried, StreamTakeover, StreamRefused, StreamStarving,
		StreamIdle, StreamEnded, StreamViewers, StreamReport, OutputActive, OutputRetrying, OutputFailed, OutputStopped,
		HoldBegan, HoldEnded, Refused, FramesSubscribed, FramesUnsubscribed, FramesOverloaded,
		WearerCame, WearerLeft, PhoneConnected, PhoneDisconnected, PhoneSuperseded, GlassesConnected, GlassesLost,
		AppStarted, AppReconnected, AppDisconnected, AppResurrected, AppGivenUp, AppReleased, AppStopped, SocketSlow,
		RecordingStarted, RecordingStopped, RecordingFailed, RecordingResumed, RecordingGap, RecordingRecovered, RecordingDeleted, ClipMade,
		ServerStarted, ServerDraining, StoreFailing, Suppressed, Gap,
	}
}

// Event is one thing that happened. It holds no secret: ids, never keys, and
// sentences without them. Empty fields do not apply.
type Event struct {
	ID        int64     `json:"id" doc:"Rises from event to event, also over restarts."`
	Time      time.Time `json:"time"`
	Type      Type      `json:"type"`
	Wearer    string    `json:"wearer,omitempty" doc:"Whom it concerns."`
	Stream    string    `json:"stream,omitempty" doc:"Id of the stream."`
	Kind      string    `json:"kind,omitempty" enum:"managed,unmanaged,standing" doc:"Of the stream."`
	App       string    `json:"app,omitempty" doc:"Package of the app."`
	Output    string    `json:"output,omitempty" doc:"Id of the restream destination."`
	Report    string    `json:"report,omitempty" doc:"Id of the report."`
	Viewers   *int      `json:"viewers,omitempty" doc:"How many watch now (stream.viewers)."`
	Recording string    `json:"recording,omitempty" doc:"Id of the recording or clip."`
	Status    string    `json:"status,omitempty" enum:"stopped,error,timeout" doc:"How a hold or a stream ended."`
	Code      string    `json:"code,omitempty" doc:"Of an error or a refusal, as apps and the API have it."`
	Message   string    `json:"message,omitempty" doc:"A sentence for humans."`
	Count     uint64    `json:"count,omitempty" doc:"How many events are missing (gap, events.suppressed); 0 when that is not known."`
}
