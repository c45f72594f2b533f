package sdk

import (
	"encoding/json"
	"slices"
	"strings"

	"glimpse/protocol"
)

// onMessage takes one message of the cloud. What it does not know it ignores:
// clouds may speak of things that this package has no use for. It reports
// whether the message ends the session.
func (s *Session) onMessage(b []byte) (end error) {
	var e protocol.Envelope
	if err := json.Unmarshal(b, &e); err != nil {
		s.log.Warn("the cloud sent a message that cannot be read", "err", err)
		return nil
	}
	switch e.Type {
	case protocol.TypeDataStream:
		read(s, b, s.onData)
	case protocol.TypeDeviceState:
		read(s, b, s.onDevice)
	case protocol.TypeStreamStatus, protocol.TypeStreamStatusOld:
		read(s, b, func(m *protocol.DirectStatus) { s.onStatus(directStatus(m)) })
	case protocol.TypeManagedStatus:
		read(s, b, func(m *protocol.ManagedStatus) { s.onStatus(managedStatus(m)) })
	case protocol.TypeStatusCheckReply:
		read(s, b, s.onCheck)
	case protocol.TypePermissionError:
		read(s, b, s.onPermission)
	case protocol.TypeAppError, protocol.TypeConnectionError:
		read(s, b, func(m *protocol.ErrorMessage) {
			s.log.Warn("the cloud reports an error", "code", m.Code, "message", m.Message)
		})
	case protocol.TypeAppStopped:
		var m protocol.AppStopped
		read(s, b, func(v *protocol.AppStopped) { m = *v })
		return &Error{Code: protocol.CodeAppNotStarted, Message: "session stopped: " + m.Reason}
	}
	return nil
}

// read decodes a message and hands it on; a broken one is logged.
func read[T any](s *Session, b []byte, f func(*T)) {
	var m T
	if err := json.Unmarshal(b, &m); err != nil {
		s.log.Warn("the cloud sent a message that cannot be read", "err", err)
		return
	}
	f(&m)
}

func (s *Session) onData(m *protocol.DataStream) {
	name, _, _ := strings.Cut(m.StreamType, ":")
	switch name {
	case protocol.TypeTranscription:
		read(s, m.Data, func(t *protocol.Transcription) { s.speech.send(*t) })
	case protocol.TypeButtonPress:
		read(s, m.Data, func(p *protocol.ButtonPress) { s.presses.send(*p) })
	}
}

// onDevice applies a change; only a full snapshot forgets what it leaves out.
func (s *Session) onDevice(m *protocol.DeviceState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := &s.device
	if m.FullSnapshot {
		*d = Device{}
	}
	for key, v := range m.State {
		flag, _ := v.(bool)
		text, _ := v.(string)
		number, _ := v.(float64)
		switch key {
		case "connected":
			d.Connected = flag
		case "modelName":
			d.ModelName = text
		case "batteryLevel":
			d.BatteryLevel = number
		case "charging":
			d.Charging = flag
		case "wifiConnected":
			d.WifiConnected = flag
		case "wifiSsid":
			d.WifiSSID = text
		}
	}
}

// onCheck answers the check with the same id, or the oldest one: some clouds
// do not return the id.
func (s *Session) onCheck(m *protocol.StatusCheckReply) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.checks, func(c *check) bool { return c.id == m.RequestID || m.RequestID == "" })
	if i < 0 {
		return
	}
	c := s.checks[i]
	s.checks = slices.Delete(s.checks, i, i+1)
	if !m.HasActiveStream {
		m.StreamInfo = nil
	}
	c.answer <- m.StreamInfo
}

// onPermission ends the readers of what was refused.
func (s *Session) onPermission(m *protocol.PermissionError) {
	for _, d := range m.Details {
		text := d.Message
		if text == "" {
			text = m.Message
		}
		err := &Error{Code: protocol.CodePermissionDenied, Message: text}
		switch name, _, _ := strings.Cut(d.Stream, ":"); name {
		case protocol.TypeTranscription:
			s.speech.fail(err)
		case protocol.TypeButtonPress:
			s.presses.fail(err)
		default:
			s.log.Warn("the cloud refused a subscription", "stream", d.Stream, "message", text)
		}
	}
}
