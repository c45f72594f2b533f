package auth

import (
	"container/list"
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Throttle limits the wrong keys of one address: after a burst of bad ones the
// address is refused until it has been quiet. Right keys cost nothing, so apps
// behind one address do not hurt each other.
type Throttle struct {
	now   func() time.Time
	every time.Duration
	burst int

	mu    sync.Mutex
	byKey map[string]*list.Element // of *throttled
	order *list.List               // newest use first
}

type throttled struct {
	key     string
	limiter *rate.Limiter
}

// maxThrottled bounds the addresses that are remembered; the one that was quiet
// for longest is forgotten first.
const maxThrottled = 4096

// NewThrottle allows burst wrong keys at once and one more per every; now is
// time.Now outside tests.
func NewThrottle(burst int, every time.Duration, now func() time.Time) *Throttle {
	return &Throttle{now: now, every: every, burst: burst, byKey: map[string]*list.Element{}, order: list.New()}
}

// Allowed says whether the address may try a key now. remote is host:port, a
// bare address, or an AddressKey with more behind it.
func (t *Throttle) Allowed(remote string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	e, ok := t.byKey[AddressKey(remote)]
	return !ok || e.Value.(*throttled).limiter.TokensAt(t.now()) >= 1
}

// Failed counts one wrong key of the address.
func (t *Throttle) Failed(remote string) {
	key := AddressKey(remote)
	t.mu.Lock()
	defer t.mu.Unlock()
	e, ok := t.byKey[key]
	if !ok {
		e = t.order.PushFront(&throttled{key, rate.NewLimiter(rate.Every(t.every), t.burst)})
		t.byKey[key] = e
		if t.order.Len() > maxThrottled {
			last := t.order.Back()
			delete(t.byKey, last.Value.(*throttled).key)
			t.order.Remove(last)
		}
	}
	t.order.MoveToFront(e)
	e.Value.(*throttled).limiter.AllowN(t.now(), 1)
}

// AddressKey is what limits per address go by: remote (host:port or a bare
// address) without its port. Whoever has an IPv6 address usually has its /64, so
// that counts as one.
func AddressKey(remote string) string {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		host = remote
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return host
	}
	addr = addr.Unmap().WithZone("")
	if addr.Is6() {
		if prefix, err := addr.Prefix(64); err == nil {
			return prefix.String()
		}
	}
	return addr.String()
}
