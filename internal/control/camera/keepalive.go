package camera

import (
	"strconv"
	"time"

	"glimpse/protocol"
)

// ackID is the name of a keep-alive: its number in base 36, at most 6 characters
// for a thousand years of them.
func ackID(serial uint32) string { return strconv.FormatUint(uint64(serial), 36) }

// acked hears an answer. Any answer since the last start shows that the glasses
// run the stream; one after the third miss comes too late and changes nothing.
func (m *machine) acked(e KeepAliveAcked) {
	if !m.current(e.StreamID) {
		m.stranger(e.StreamID, true)
		return
	}
	g := &m.Stream.Glasses
	n, err := strconv.ParseUint(e.AckID, 36, 32)
	if err != nil || !g.Asked || uint32(n) < g.From || uint32(n) > m.Serial {
		return
	}
	g.Misses, g.AnswerBy, g.Unproven = 0, time.Time{}, false
}

func dueKeepAlive(s *State) time.Time { return s.Stream.Glasses.SendAt }

func (m *machine) onKeepAlive() {
	g := &m.Stream.Glasses
	m.Serial++
	g.SendAt, g.AnswerBy = m.now.Add(m.Times.KeepAlive), m.now.Add(m.Times.AckWait)
	m.emit(KeepAlive{StreamID: m.Stream.ID, AckID: ackID(m.Serial)})
}

func dueAnswer(s *State) time.Time { return s.Stream.Glasses.AnswerBy }

// onMiss counts a keep-alive without an answer. Media that arrives is an answer.
// The third in a row is the end: of a direct stream for good, of a managed one
// until it is started again.
func (m *machine) onMiss() {
	st := m.Stream
	g := &st.Glasses
	g.AnswerBy = time.Time{}
	if st.Kind == Managed && st.Flowing {
		g.Misses = 0
		return
	}
	if g.Misses++; g.Misses < m.Times.AckMisses {
		return
	}
	if st.Kind == Direct {
		m.endAll(ending{protocol.StatusTimeout, protocol.CodeTimeout, protocol.TextAckTimeout})
		return
	}
	m.emit(StopGlasses{AppID: st.AppID(), StreamID: st.ID})
	*g = Pulse{Started: g.Started, Again: g.Again}
	m.failed(m.now, protocol.CodeTimeout, protocol.TextAckTimeout)
}
