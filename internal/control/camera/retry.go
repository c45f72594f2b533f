package camera

import (
	"time"

	"glimpse/protocol"
)

// textSilent is why a silent managed stream is started again or given up.
const textSilent = "Network: no media from the glasses"

// failed notes that a managed stream does not run on the glasses, and goes on
// with the schedule of retries. When all were made in vain it ends.
func (m *machine) failed(at time.Time, code protocol.Code, text string) {
	st := m.Stream
	st.Code, st.Reason = code, text
	if st.Retry.Base.IsZero() {
		st.Retry = Retry{Base: at}
		m.schedule()
	}
	if st.Retry.Done == len(m.Times.Retries) {
		m.endAll(ending{protocol.StatusError, code, text})
	}
}

// retryNow begins the schedule of a failed stream anew, the first attempt at once:
// the glasses can start again, and what is left of the window may be short.
func (m *machine) retryNow() {
	if m.Stream == nil || m.Stream.Retry.Base.IsZero() || !m.able() {
		return
	}
	m.Stream.Retry = Retry{Base: m.now, At: m.now}
}

// schedule sets the next retry. While the glasses cannot be reached, or have no
// Wi-Fi, there is none.
func (m *machine) schedule() {
	r := &m.Stream.Retry
	r.At = time.Time{}
	if r.Done < len(m.Times.Retries) && m.able() {
		r.At = r.Base.Add(m.Times.Retries[r.Done])
	}
}

// dueSilence is when a managed stream without media counts as failed. Before the
// first media, a word of the glasses shows that they are at it.
func dueSilence(s *State) time.Time {
	st := s.Stream
	if st.Kind != Managed || st.Flowing || !st.Retry.Base.IsZero() {
		return time.Time{}
	}
	last := st.Glasses.Started
	if st.Lost.After(last) {
		last = st.Lost
	}
	if st.FirstLive.IsZero() && st.Glasses.Word.After(last) {
		last = st.Glasses.Word
	}
	return after(last, s.Times.Silence)
}

func (m *machine) onSilence() {
	m.failed(dueSilence(&m.State), protocol.CodeNetwork, textSilent)
}

func dueRetry(s *State) time.Time { return s.Stream.Retry.At }

// onRetry sends start_stream again: same id, key and URLs. Glasses that have
// answered the last one get time to bring media before they are disturbed.
func (m *machine) onRetry() {
	st := m.Stream
	r := &st.Retry
	if st.Flowing { // the media never stopped, whatever the glasses said
		*r = Retry{}
		st.Glasses.Asked, st.Glasses.From = true, m.Serial+1
		m.onKeepAlive()
		return
	}
	if busy := st.Glasses.Started.Add(m.Times.Silence); !st.Glasses.Word.IsZero() && m.now.Before(busy) {
		r.At = busy
		return
	}
	r.Done++
	m.schedule()
	m.emit(Note{What: StreamRetried, Kind: Managed, StreamID: st.ID, Code: st.Code, Message: st.Reason})
	m.startGlasses(true)
}
