package camera

import (
	"slices"

	"glimpse/protocol"
)

// maxDestinations of restreams in one stream, and so in one request, as in the
// real cloud (WIRE b.3).
const maxDestinations = 10

const textMaxOutputs = "Too many restream destinations: at most 10"

// Outlet is a restream destination of the stream and who wants it.
type Outlet struct {
	protocol.Destination          // secret
	Apps                 []string // that asked for it; empty: the operator alone
	Paused               bool     // not sent to for now
}

// Sending is a restream destination of the stream and how it does.
type Sending struct {
	Outlet
	Status string // protocol.StatusActive, StatusError or StatusStopped
	Error  string // of StatusError; shows no key
}

// wanted are the destinations of all holds and of the operator, each address once.
func (s *Stream) wanted() []Outlet {
	var list []Outlet
	add := func(app string, d protocol.Destination) {
		i := slices.IndexFunc(list, func(o Outlet) bool { return o.URL == d.URL })
		if i < 0 {
			i = len(list)
			list = append(list, Outlet{Destination: d, Paused: slices.Contains(s.Paused, d.URL)})
		}
		if app != "" && !slices.Contains(list[i].Apps, app) {
			list[i].Apps = append(list[i].Apps, app)
		}
	}
	for _, h := range s.Holds {
		for _, d := range h.Destinations {
			add(h.App, d)
		}
	}
	for _, d := range s.Operator {
		add("", d)
	}
	return list
}

func sameOutlet(a, b Outlet) bool {
	return a.Destination == b.Destination && a.Paused == b.Paused && slices.Equal(a.Apps, b.Apps)
}

// sendOn makes the stream's outputs those that its holders want.
func (m *machine) sendOn() {
	if m.Stream == nil || m.Stream.Kind != Managed {
		return
	}
	want := m.Stream.wanted()
	if slices.EqualFunc(want, m.Stream.Sending, func(o Outlet, s Sending) bool { return sameOutlet(o, s.Outlet) }) {
		return
	}
	m.Stream.Paused = slices.DeleteFunc(m.Stream.Paused, func(url string) bool {
		return !slices.ContainsFunc(want, func(o Outlet) bool { return o.URL == url })
	})
	sending := make([]Sending, 0, len(want))
	for _, o := range want {
		s := Sending{Outlet: o, Status: protocol.StatusStopped}
		if i := m.Stream.sending(o.URL); i >= 0 && !o.Paused {
			s.Status, s.Error = m.Stream.Sending[i].Status, m.Stream.Sending[i].Error
		}
		sending = append(sending, s)
	}
	m.Stream.Sending = sending
	m.watched()
	m.emit(SetOutputs{StreamID: m.Stream.ID, Outlets: want})
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
	for i := range m.Stream.Holds {
		if h := &m.Stream.Holds[i]; m.Stream.Flowing && h.sends(e.URL) {
			m.tellManaged(h)
		}
	}
}

// sends says whether the app asked for a destination.
func (h *Hold) sends(url string) bool { return has(h.Destinations, url) }

func has(list []protocol.Destination, url string) bool {
	return slices.ContainsFunc(list, func(d protocol.Destination) bool { return d.URL == url })
}

func without(list []protocol.Destination, url string) []protocol.Destination {
	return slices.DeleteFunc(slices.Clone(list), func(d protocol.Destination) bool { return d.URL == url })
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
		return protocol.CodeMaxOutputs, textMaxOutputs
	}
	return "", ""
}

// MayChange says why a change of the outputs is refused (WIRE b.3); an empty code
// means that Step will do it.
func MayChange(s State, e ChangeOutput) (protocol.Code, string) {
	st := s.Stream
	if st == nil || st.ID != e.StreamID || st.Kind != Managed {
		return protocol.CodeStreamNotFound, "There is no such managed stream"
	}
	var h *Hold
	if e.App != "" {
		i := slices.IndexFunc(st.Holds, func(h Hold) bool { return h.App == e.App })
		if i < 0 {
			return protocol.CodeNotViewer, "The app has no share in this stream: start it first"
		}
		h = &st.Holds[i]
	}
	if e.Do != AddOutput {
		return mayTouch(st, h, e.Destination.URL)
	}
	if code, text := checkURL(e.Destination.URL, "restream destination", "rtmp", "rtmps", "srt"); code != "" {
		return code, text
	}
	list := st.wanted()
	switch {
	case slices.ContainsFunc(list, func(o Outlet) bool { return o.URL == e.Destination.URL }):
		return protocol.CodeDuplicateURL, "The stream is sent to this URL already"
	case h != nil && len(h.Destinations) >= maxDestinations:
		return protocol.CodeMaxAppOutputs, "Too many restream destinations of this app: at most 10"
	case len(list) >= maxDestinations:
		return protocol.CodeMaxOutputs, textMaxOutputs
	}
	return "", ""
}

// mayTouch says whether the holder, nil for the operator, may remove or pause an
// output.
func mayTouch(st *Stream, h *Hold, url string) (protocol.Code, string) {
	switch {
	case !slices.ContainsFunc(st.wanted(), func(o Outlet) bool { return o.URL == url }):
		return protocol.CodeOutputNotFound, "The stream has no such output"
	case h != nil && !h.sends(url):
		return protocol.CodeNotOwner, "You can only remove outputs that you added"
	}
	return "", ""
}

// changeOutput does what MayChange allows.
func (m *machine) changeOutput(e ChangeOutput) {
	if code, _ := MayChange(m.State, e); code != "" {
		return
	}
	st, url := m.Stream, e.Destination.URL
	asked := make([]bool, len(st.Holds)) // before
	for i := range st.Holds {
		asked[i] = st.Holds[i].sends(url)
	}
	switch e.Do {
	case AddOutput:
		if h := m.hold(e.App); h != nil {
			h.Destinations = append(slices.Clone(h.Destinations), e.Destination)
		} else {
			st.Operator = append(slices.Clone(st.Operator), e.Destination)
		}
		st.Paused = slices.DeleteFunc(st.Paused, func(p string) bool { return p == url })
	case RemoveOutput:
		for i := range st.Holds {
			if h := &st.Holds[i]; e.App == "" || h.App == e.App {
				h.Destinations = without(h.Destinations, url)
			}
		}
		if e.App == "" {
			st.Operator = without(st.Operator, url)
		}
	case PauseOutput, ResumeOutput:
		st.Paused = slices.DeleteFunc(st.Paused, func(p string) bool { return p == url })
		if e.Do == PauseOutput {
			st.Paused = append(st.Paused, url)
		}
	}
	m.sendOn()
	for i := range st.Holds {
		if h := &st.Holds[i]; st.Flowing && (asked[i] || h.sends(url)) {
			m.tellManaged(h)
		}
	}
}

// others are the destinations that others than the app want of the stream.
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
	rest.Operator = m.Stream.Operator
	var list []protocol.Destination
	for _, o := range rest.wanted() {
		list = append(list, o.Destination)
	}
	return list
}
