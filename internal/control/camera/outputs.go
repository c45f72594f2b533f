package camera

import (
	"slices"

	"glimpse/protocol"
)

// maxDestinations of restreams in one stream, and so in one request, as in the
// real cloud (WIRE b.3).
const maxDestinations = 10

// Sending is a restream destination of the stream and how it does.
type Sending struct {
	protocol.Destination
	Status string // protocol.StatusActive, StatusError or StatusStopped
	Error  string // of StatusError; shows no key
}

// wanted are the destinations of all holds, each address once.
func (s *Stream) wanted() []protocol.Destination {
	var list []protocol.Destination
	for _, h := range s.Holds {
		for _, d := range h.Destinations {
			if !slices.ContainsFunc(list, func(o protocol.Destination) bool { return o.URL == d.URL }) {
				list = append(list, d)
			}
		}
	}
	return list
}

// sendOn makes the stream's outputs those that its holders want.
func (m *machine) sendOn() {
	if m.Stream == nil || m.Stream.Kind != Managed {
		return
	}
	want := m.Stream.wanted()
	if slices.EqualFunc(want, m.Stream.Sending, func(d protocol.Destination, s Sending) bool { return d == s.Destination }) {
		return
	}
	sending := make([]Sending, 0, len(want))
	for _, d := range want {
		s := Sending{Destination: d, Status: protocol.StatusStopped}
		if i := m.Stream.sending(d.URL); i >= 0 {
			s.Status, s.Error = m.Stream.Sending[i].Status, m.Stream.Sending[i].Error
		}
		sending = append(sending, s)
	}
	m.Stream.Sending = sending
	m.watched()
	m.emit(SetOutputs{StreamID: m.Stream.ID, Destinations: want})
}

func (s *Stream) sending(url string) int {
	return slices.IndexFunc(s.Sending, func(o Sending) bool { return o.URL == url })
}

// outputSaid notes how a destination does and tells those who asked for it, when
// the stream is live: before that its status has it anyway.
func (m *machine) outputSaid(e OutputSaid) {
	if !m.current(e.StreamID) {
		return
	}
	i := m.Stream.sending(e.URL)
	if i < 0 || m.Stream.Sending[i].Status == e.Status && m.Stream.Sending[i].Error == e.Error {
		return
	}
	m.Stream.Sending[i].Status, m.Stream.Sending[i].Error = e.Status, e.Error
	m.watched()
	if !m.Stream.Flowing {
		return
	}
	for i := range m.Stream.Holds {
		h := &m.Stream.Holds[i]
		if slices.ContainsFunc(h.Destinations, func(d protocol.Destination) bool { return d.URL == e.URL }) {
			m.tellManaged(h)
		}
	}
}

// outputs lists an app's restream destinations with their state.
func (s *Stream) outputs(ds []protocol.Destination) []protocol.Output {
	var out []protocol.Output
	for _, d := range ds {
		o := protocol.Output{URL: d.URL, Name: d.Name, Status: protocol.StatusStopped}
		if i := s.sending(d.URL); i >= 0 {
			o.Status, o.Error = s.Sending[i].Status, s.Sending[i].Error
		}
		out = append(out, o)
	}
	return out
}

// checkDestinations refuses what an app may not ask for: have are the addresses
// of the stream's other holders.
func checkDestinations(ds, have []protocol.Destination) (protocol.Code, string) {
	for _, d := range ds {
		if code, text := checkURL(d.URL, "restream destination", "rtmp", "rtmps", "srt"); code != "" {
			return code, text
		}
	}
	total := (&Stream{Holds: []Hold{{Destinations: have}, {Destinations: ds}}}).wanted()
	if len(ds) > maxDestinations || len(total) > maxDestinations {
		return protocol.CodeMaxOutputs, "Too many restream destinations: at most 10"
	}
	return "", ""
}

// others are the destinations that other apps want of the stream.
func (m *machine) others(app string) []protocol.Destination {
	if m.Stream == nil || m.Stream.Kind != Managed {
		return nil
	}
	rest := Stream{}
	for _, h := range m.Stream.Holds {
		if h.App != app {
			rest.Holds = append(rest.Holds, h)
		}
	}
	return rest.wanted()
}
