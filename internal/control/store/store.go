// Package store keeps what must survive a restart: apps, users, standing
// streams and their keys, in typed buckets of JSON values.
//
// Two backends pass one conformance suite: NATS (embedded JetStream KV, file
// storage in data_dir/nats, every write on disk before it is acknowledged) and
// Memory (for tests: synctest bubbles cannot run NATS). The composition root
// takes the data folder with LockDataDir first, opens the backend second, and
// closes both last.
//
// Presence and leases do not belong here: they are soft and rebuilt from live
// sockets. Media never waits for the store.
//
// Registries keep in memory what they read there (Load, Table).
//
// Locks: Memory has one mutex per bucket and one over the set of buckets; they
// never nest. Table says its own order.
package store

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"sort"
)

// MaxValue is the longest encoded value in bytes that a bucket takes: enough for
// 1 MiB of an app's own data in base64.
const MaxValue = 1536 << 10

// The errors of a bucket; test with errors.Is.
var (
	ErrNotFound = errors.New("not found")
	ErrExists   = errors.New("already exists")
	ErrTooLarge = errors.New("value is too large")
	ErrFull     = errors.New("bucket is full")
	ErrClosed   = errors.New("store is closed")
)

// Backend is where buckets live: *NATS or *Memory.
type Backend interface {
	// Bucket opens the bucket of that name, making it when it is new. Names are
	// constants of ours in [a-z_].
	Bucket(ctx context.Context, name string) (Raw, error)
	// Close ends the backend; buckets then answer ErrClosed. It is idempotent.
	Close()
}

// Raw is one bucket of bytes under encoded keys. Implementations are safe for
// concurrent use; values are the caller's before and after the call. When a
// write returns nil it survives kill -9 (NATS) or nothing (Memory).
type Raw interface {
	Get(ctx context.Context, key string) ([]byte, error)           // ErrNotFound
	Put(ctx context.Context, key string, value []byte) error       // makes or replaces
	Create(ctx context.Context, key string, value []byte) error    // ErrExists
	Delete(ctx context.Context, key string) error                  // ErrNotFound
	All(ctx context.Context) (values map[string][]byte, err error) // empty map when empty
}

// Bucket is a Raw bucket whose values are T as JSON and whose keys are any
// strings (ids hold "@" and "+", which KV keys may not). It is safe for
// concurrent use. Make it with Open.
type Bucket[T any] struct {
	name string
	raw  Raw
}

// Open opens the bucket of that name in backend.
func Open[T any](ctx context.Context, backend Backend, name string) (*Bucket[T], error) {
	raw, err := backend.Bucket(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("open bucket %s: %w", name, err)
	}
	return &Bucket[T]{name: name, raw: raw}, nil
}

// Get returns the value of id, or ErrNotFound.
func (b *Bucket[T]) Get(ctx context.Context, id string) (T, error) {
	var value T
	data, err := b.raw.Get(ctx, encodeKey(id))
	if err != nil {
		return value, b.wrap("get", id, err)
	}
	if err := json.Unmarshal(data, &value); err != nil {
		return value, b.wrap("read", id, err)
	}
	return value, nil
}

// Put stores value under id, replacing what was there.
func (b *Bucket[T]) Put(ctx context.Context, id string, value T) error {
	return b.write(ctx, "put", id, value, b.raw.Put)
}

// Create stores value under id, or returns ErrExists and changes nothing.
func (b *Bucket[T]) Create(ctx context.Context, id string, value T) error {
	return b.write(ctx, "create", id, value, b.raw.Create)
}

// Delete removes id, or returns ErrNotFound.
func (b *Bucket[T]) Delete(ctx context.Context, id string) error {
	if err := b.raw.Delete(ctx, encodeKey(id)); err != nil {
		return b.wrap("delete", id, err)
	}
	return nil
}

// Item is one entry of a bucket.
type Item[T any] struct {
	ID    string
	Value T
}

// All returns every entry, ordered by id. Entries that cannot be read are left
// out and named in the error, which comes beside the rest: one bad entry does
// not hide the others.
func (b *Bucket[T]) All(ctx context.Context) ([]Item[T], error) {
	raw, err := b.raw.All(ctx)
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", b.name, err)
	}
	items := make([]Item[T], 0, len(raw))
	var bad []error
	for key, data := range raw {
		id, err := decodeKey(key)
		if err != nil {
			bad = append(bad, fmt.Errorf("list %s: key %q: %w", b.name, key, err))
			continue
		}
		item := Item[T]{ID: id}
		if err := json.Unmarshal(data, &item.Value); err != nil {
			bad = append(bad, b.wrap("read", id, err))
			continue
		}
		items = append(items, item)
	}
	sort.Slice(items, func(i, j int) bool { return items[i].ID < items[j].ID })
	return items, errors.Join(bad...)
}

func (b *Bucket[T]) write(ctx context.Context, verb, id string, value T,
	write func(context.Context, string, []byte) error) error {
	data, err := json.Marshal(value)
	if err != nil {
		return b.wrap(verb, id, err)
	}
	if len(data) > MaxValue {
		return b.wrap(verb, id, ErrTooLarge)
	}
	if err := write(ctx, encodeKey(id), data); err != nil {
		return b.wrap(verb, id, err)
	}
	return nil
}

func (b *Bucket[T]) wrap(verb, id string, err error) error {
	return fmt.Errorf("%s %s %q: %w", verb, b.name, id, err)
}

// encodeKey makes any id a KV key: those hold only [-/_=.a-zA-Z0-9]. The prefix
// keeps the key of an empty id non-empty.
func encodeKey(id string) string {
	return "k" + base64.RawURLEncoding.EncodeToString([]byte(id))
}

func decodeKey(key string) (string, error) {
	if key == "" || key[0] != 'k' {
		return "", errors.New("not one of ours")
	}
	id, err := base64.RawURLEncoding.DecodeString(key[1:])
	return string(id), err
}
