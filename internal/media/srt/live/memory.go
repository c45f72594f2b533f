package live

import "sync"

// maxSpare bounds the packets' worth of memory that waits for use.
const maxSpare = 4096

// memory is where packets lie while they are kept. All connections of a socket share
// it, so that it holds what all of them need at once and not the most that each ever
// needed. May be used by any number of goroutines; its lock is the last.
type memory struct {
	mu    sync.Mutex
	spare [][]byte
}

// get returns an empty slice with room for a packet.
func (m *memory) get() []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	if n := len(m.spare); n > 0 {
		b := m.spare[n-1]
		m.spare = m.spare[:n-1]
		return b
	}
	return make([]byte, 0, maxPacket)
}

// put gives one back, of which nobody knows any more.
func (m *memory) put(b []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.spare) < maxSpare {
		m.spare = append(m.spare, b[:0])
	}
}
