package cmaf

import "sync/atomic"

// budget is the node's bytes in all windows. A store over its fair share drops
// old segments early while the node is over the limit.
type budget struct {
	limit   int64
	used    atomic.Int64
	stores  atomic.Int64
	shrunk  atomic.Uint64 // segments dropped early
	dropped atomic.Uint64 // frames that no store took
}

func (b *budget) add(n int64) { b.used.Add(n) }

// exceeded reports whether a store that holds own bytes must give some up.
func (b *budget) exceeded(own int64) bool {
	return b.used.Load() > b.limit && own > b.limit/max(b.stores.Load(), 1)
}
