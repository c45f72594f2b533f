package gateway

import (
	"sync"

	"glimpse/internal/control/auth"
)

// Bounds of the sockets that have not authenticated yet. A server of apps that
// serves many wearers comes back with all of their sockets at once.
const (
	maxStrangers   = 1024 // in all
	maxFromAddress = 256  // from one address
)

// strangers counts the sockets that have not authenticated yet. The zero value
// is ready; it is safe for concurrent use.
type strangers struct {
	mu   sync.Mutex
	all  int
	from map[string]int // by auth.AddressKey
}

// enter counts a socket in; false means that there is no place. leave, which is
// idempotent, must be called when the socket is known or gone.
func (s *strangers) enter(remote string) (leave func(), ok bool) {
	key := auth.AddressKey(remote)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all == maxStrangers || s.from[key] == maxFromAddress {
		return nil, false
	}
	if s.from == nil {
		s.from = make(map[string]int)
	}
	s.all++
	s.from[key]++
	return sync.OnceFunc(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.all--
		if s.from[key]--; s.from[key] == 0 {
			delete(s.from, key)
		}
	}), true
}
