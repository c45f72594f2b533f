package session

import (
	"slices"
	"time"

	"glimpse/internal/control/auth"
	"glimpse/internal/control/camera"
	"glimpse/internal/control/events"
	"glimpse/protocol"
)

// step lets the camera decide on an event and does what it says, in order.
func (s *Session) step(event camera.Event) {
	next, effects := camera.Step(s.camera, event, time.Now())
	s.camera, s.memory.dirty = next, true
	var failed []camera.Event // told to the camera after this step's effects
	for _, effect := range effects {
		if open, ok := effect.(camera.OpenIngest); ok {
			if err := s.openIngest(open.IDs); err != nil {
				s.log.Error("ingest cannot be opened", "stream", open.IDs.StreamID, "error", err)
				failed = append(failed, camera.IngestFailed{StreamID: open.IDs.StreamID, Reason: "ingest unavailable"})
			}
			continue
		}
		s.perform(effect)
	}
	for _, event := range failed {
		s.step(event)
	}
}

// perform does one effect. None of them waits: messages are queued on sockets.
func (s *Session) perform(effect camera.Effect) {
	switch e := effect.(type) {
	case camera.TellDirect:
		s.tellDirect(e.App, e.Status)
	case camera.TellManaged:
		s.tellManaged(e)
	case camera.StartGlasses:
		s.tellGlasses(s.startStream(e))
	case camera.StopGlasses:
		s.tellGlasses(s.stopStream(e.AppID, e.StreamID))
	case camera.KeepAlive:
		s.tellGlasses(&protocol.KeepStreamAlive{
			Envelope: s.envelope(protocol.TypeKeepStreamAlive, s.user), StreamID: e.StreamID, AckID: e.AckID,
		})
	case camera.SetOutputs:
		if in := s.ingests[e.StreamID]; in != nil {
			in.SetOutputs(e.Outlets)
		}
	case camera.CloseIngest:
		s.closeIngest(e.StreamID, e.Reason)
	case camera.Note:
		s.note(e)
	}
}

// tellDirect sends a status in the app's dialect. One that the app did not just
// ask for waits until the dialect is known.
func (s *Session) tellDirect(pkg string, status protocol.DirectStatus) {
	a := s.apps[pkg]
	if a == nil || a.link == nil {
		return
	}
	if a.spelling.dialect == dialectUnknown {
		a.missed = &status
		return
	}
	status.Envelope = s.envelope(a.spelling.statusType(), a.id)
	a.link.send(&status)
}

// sendMissed sends the status that waited for the dialect.
func (s *Session) sendMissed(a *appSession) {
	if a.missed == nil || a.link == nil {
		return
	}
	status := *a.missed
	a.missed = nil
	status.Envelope = s.envelope(a.spelling.statusType(), a.id)
	a.link.send(&status)
}

func (s *Session) tellManaged(e camera.TellManaged) {
	a := s.apps[e.App]
	if a == nil || a.link == nil {
		return
	}
	status := e.Status
	status.Envelope = s.envelope(protocol.TypeManagedStatus, a.id)
	if e.PlaybackID != "" {
		status.URLs = s.reg.deps.Streams.WatchURLs(s.base.base, e.PlaybackID)
	}
	a.link.send(&status)
}

func (s *Session) startStream(e camera.StartGlasses) *protocol.StartStream {
	start := e.Start
	start.Envelope = s.envelope(protocol.TypeStartStream, s.user)
	if e.IngestKey != "" {
		url := s.reg.deps.Streams.PushURL(s.base.base, e.IngestKey, s.device.ingest(s.restreams()))
		start.StreamURL, start.RTMPURL = url, url
	}
	return &start
}

// restreams says whether somebody wants the stream sent on.
func (s *Session) restreams() bool {
	stream := s.camera.Stream
	return stream != nil && slices.ContainsFunc(stream.Holds, func(h camera.Hold) bool { return len(h.Destinations) > 0 })
}

func (s *Session) stopStream(appID, streamID string) *protocol.StopStream {
	return &protocol.StopStream{
		Envelope: s.envelope(protocol.TypeStopStream, s.user), AppID: appID, StreamID: streamID,
	}
}

func (s *Session) tellGlasses(message any) {
	if s.phone != nil {
		s.phone.send(message)
	}
}

// note tells what the camera decided; ids only, never keys or URLs.
func (s *Session) note(n camera.Note) {
	s.news.Publish(events.Event{
		Type: events.Type(n.What), Stream: n.StreamID, Kind: n.Kind.String(), App: n.App,
		Status: n.Status, Code: string(n.Code), Message: n.Message,
	})
	args := []any{"stream", n.StreamID, "kind", n.Kind.String()}
	for _, pair := range [][2]string{
		{"app", n.App}, {"status", n.Status}, {"code", string(n.Code)}, {"message", n.Message},
	} {
		if pair[1] != "" {
			args = append(args, pair[0], pair[1])
		}
	}
	if n.What == camera.StreamInterrupted || n.What == camera.StreamRetried {
		s.log.Warn(string(n.What), args...)
		return
	}
	s.log.Info(string(n.What), args...)
}

// newIDs makes the three independent ids of a stream.
func newIDs() camera.IDs {
	return camera.IDs{StreamID: auth.NewStreamID(), IngestKey: auth.NewKey(), PlaybackID: auth.NewKey()}
}

// deviceNow tells the camera how the wearer's device stands.
func (s *Session) deviceNow(newPhone bool) {
	hasCamera := true
	if c := s.device.capabilities(); c != nil {
		hasCamera = c.HasCamera && c.HasWifi
	}
	s.step(camera.Device{
		PhoneUp: s.phone != nil, GlassesConnected: s.device.connected, HasCamera: hasCamera,
		WifiDown: s.device.wifi != nil && !s.device.wifi.Connected, NewPhone: newPhone,
	})
}
