package session

import (
	"glimpse/internal/control/apps"
	"glimpse/internal/control/camera"
	"glimpse/protocol"
)

// maxRequest bounds a start request in bytes: what it wishes goes to the glasses
// and into the store. Ten destinations of the longest URLs fit in.
const maxRequest = 32 << 10

// decodeApp reads a frame from an app; nil for types that we do not know and
// frames that cannot be read. A start request that cannot be read is answered
// all the same: without a terminal status the SDK would stay stuck.
func decodeApp(frame []byte) func(*AppLink) {
	switch typ := typeOf(frame); typ {
	case protocol.TypeDirectRequest, protocol.TypeDirectRequestOld:
		act := decode(frame, (*AppLink).startDirect)
		if act == nil || len(frame) > maxRequest {
			return func(l *AppLink) { l.malformedDirect(typ) }
		}
		return act
	case protocol.TypeManagedRequest:
		act := decode(frame, (*AppLink).startManaged)
		if act == nil || len(frame) > maxRequest {
			return (*AppLink).malformedManaged
		}
		return act
	case protocol.TypeDirectStop, protocol.TypeDirectStopOld:
		return decode(frame, (*AppLink).stopDirect)
	case protocol.TypeManagedStop:
		return decode(frame, (*AppLink).stopManaged)
	case protocol.TypeStatusCheck:
		return decode(frame, (*AppLink).checkStream)
	case protocol.TypeSubscriptions:
		return decode(frame, (*AppLink).updateSubscriptions)
	case protocol.TypeDisplay:
		return decode(frame, (*AppLink).display)
	case protocol.TypePing:
		return decode(frame, (*AppLink).pong)
	case "request_wifi_setup":
		return decode(frame, (*AppLink).wifi)
	case typePhotoRequest:
		return decode(frame, (*AppLink).photo)
	case protocol.TypeOwnershipRelease:
		return decode(frame, (*AppLink).release)
	}
	return nil
}

func (l *AppLink) startDirect(m *protocol.StreamRequest) {
	s, a := l.session, l.app
	l.learnRequest(m.Type)
	s.step(camera.StartDirect{
		App: a.app.Package, IDs: newIDs(), URL: m.URL(), Options: options(m),
		Permitted: a.app.Allowed(apps.PermissionCamera), Running: a.state == appRunning,
	})
}

func (l *AppLink) startManaged(m *protocol.StreamRequest) {
	s, a := l.session, l.app
	s.step(camera.StartManaged{
		App: a.app.Package, IDs: newIDs(), Options: options(m), Destinations: m.RestreamDestinations,
		Permitted: a.app.Allowed(apps.PermissionCamera), Running: a.state == appRunning,
	})
}

func options(m *protocol.StreamRequest) camera.Options {
	return camera.Options{
		Video: m.Video, Audio: m.Audio, Stream: m.Stream, Quality: m.Quality,
		Silent: m.Sound != nil && !*m.Sound,
	}
}

const textMalformed = "Malformed request: a field has the wrong type, or it is longer than 32 KiB"

// malformedDirect answers a request that cannot be read. The SDK takes that for
// the end of its stream, so a hold that the app has ends with it.
func (l *AppLink) malformedDirect(typ string) {
	l.learnRequest(typ)
	l.session.step(camera.Malformed{App: l.app.app.Package, Kind: camera.Direct, Text: textMalformed})
}

func (l *AppLink) malformedManaged() {
	l.session.step(camera.Malformed{App: l.app.app.Package, Kind: camera.Managed, Text: textMalformed})
}

func (l *AppLink) stopDirect(m *protocol.StreamStop) {
	l.learnRequest(m.Type)
	l.session.step(camera.Stop{App: l.app.app.Package, Kind: camera.Direct, StreamID: m.StreamID})
}

func (l *AppLink) stopManaged(m *protocol.StreamStop) {
	l.session.step(camera.Stop{App: l.app.app.Package, Kind: camera.Managed, StreamID: m.StreamID})
}

// learnRequest takes the dialect from the spelling of a request.
func (l *AppLink) learnRequest(typ string) {
	d := dialectNew
	if typ == protocol.TypeDirectRequestOld || typ == protocol.TypeDirectStopOld {
		d = dialectOld
	}
	if l.app.spelling.learn(d, evidenceRequest) {
		l.session.sendMissed(l.app)
	}
}

// checkStream answers checkExistingStream: it is about the user's stream,
// whoever asked for it.
func (l *AppLink) checkStream(m *protocol.StatusCheck) {
	s := l.session
	reply := protocol.StatusCheckReply{
		Envelope:  s.envelope(protocol.TypeStatusCheckReply, l.app.id),
		RequestID: m.RequestID,
	}
	if info, playbackID := camera.Check(s.camera); info != nil {
		if playbackID != "" {
			info.URLs = s.reg.deps.Streams.WatchURLs(s.base.base, playbackID)
		}
		reply.HasActiveStream, reply.StreamInfo = true, info
	}
	l.send(&reply)
}

// glassesStatus is what glasses say of a stream; over BLE the statistics come
// in a compact form.
type glassesStatus struct {
	protocol.GlassesStatus
	Compact *struct {
		Bitrate  float64 `json:"b"`
		FPS      float64 `json:"f"`
		Dropped  float64 `json:"d"`
		Duration float64 `json:"u"`
		Width    float64 `json:"w"`
		Height   float64 `json:"h"`
	} `json:"m"`
}

func (l *PhoneLink) streamStatus(m *glassesStatus) {
	stats := m.Stats
	if c := m.Compact; stats == nil && c != nil {
		stats = &protocol.Stats{
			Bitrate: c.Bitrate, FPS: c.FPS, DroppedFrames: c.Dropped, Duration: c.Duration, Width: c.Width, Height: c.Height,
		}
	}
	why := m.ErrorDetails
	if why == "" { // glasses that reconnect give their reason under another name
		why = m.Reason
	}
	l.session.step(camera.GlassesSaid{StreamID: m.StreamID, Status: m.Status, Stats: stats, ErrorDetails: why})
}

func (l *PhoneLink) keepAliveAck(m *protocol.KeepStreamAlive) {
	l.session.step(camera.KeepAliveAcked{StreamID: m.StreamID, AckID: m.AckID})
}
