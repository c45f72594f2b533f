package store

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
)

// Load opens a bucket and reads it whole. Entries that cannot be read are logged and
// left out.
func Load[T any](ctx context.Context, backend Backend, name string, log *slog.Logger) (*Bucket[T], []Item[T], error) {
	bucket, err := Open[T](ctx, backend, name)
	if err != nil {
		return nil, nil, err
	}
	items, err := bucket.All(ctx)
	if items == nil && err != nil {
		return nil, nil, err
	}
	if err != nil {
		log.Error("some entries of the store cannot be read", "bucket", name, "err", err)
	}
	return bucket, items, nil
}

// Table is what a registry knows, in memory by id: who reads never waits for the
// store. A registry that changes something holds Writes while it looks, writes to its
// bucket and then tells the table, in this order: what is seen is stored. The zero
// value is empty and ready; it is safe for concurrent use. Lock order: Writes before
// the table's own.
type Table[V any] struct {
	Writes sync.Mutex

	mu   sync.RWMutex
	rows map[string]V
}

// Get returns the row of id.
func (t *Table[V]) Get(id string) (V, bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	v, ok := t.rows[id]
	return v, ok
}

// List returns all rows, ordered by id.
func (t *Table[V]) List() []V {
	t.mu.RLock()
	defer t.mu.RUnlock()
	list := make([]V, 0, len(t.rows))
	for _, id := range slices.Sorted(maps.Keys(t.rows)) {
		list = append(list, t.rows[id])
	}
	return list
}

// Len is how many rows there are.
func (t *Table[V]) Len() int {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return len(t.rows)
}

// Set adds a row or replaces it.
func (t *Table[V]) Set(id string, v V) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.rows == nil {
		t.rows = map[string]V{}
	}
	t.rows[id] = v
}

// Remove takes a row away, if there is one.
func (t *Table[V]) Remove(id string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.rows, id)
}
