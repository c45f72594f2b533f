package store

import (
	"bytes"
	"context"
	"maps"
	"sync"
)

// Memory is a backend that forgets everything with the process. It behaves as
// NATS does and needs no folder, goroutine or socket. Make it with NewMemory.
type Memory struct {
	mu      sync.Mutex
	buckets map[string]*memoryBucket
	closed  chan struct{}
	once    sync.Once
}

// NewMemory returns an empty backend.
func NewMemory() *Memory {
	return &Memory{buckets: map[string]*memoryBucket{}, closed: make(chan struct{})}
}

// Bucket implements Backend.
func (m *Memory) Bucket(_ context.Context, name string) (Raw, error) {
	select {
	case <-m.closed:
		return nil, ErrClosed
	default:
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	b := m.buckets[name]
	if b == nil {
		b = &memoryBucket{closed: m.closed, values: map[string][]byte{}}
		m.buckets[name] = b
	}
	return b, nil
}

// Close implements Backend.
func (m *Memory) Close() { m.once.Do(func() { close(m.closed) }) }

type memoryBucket struct {
	closed <-chan struct{}
	mu     sync.Mutex
	values map[string][]byte // never changed in place
}

// enter locks the bucket unless the call is too late.
func (b *memoryBucket) enter(ctx context.Context) error {
	select {
	case <-b.closed:
		return ErrClosed
	default:
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	b.mu.Lock()
	return nil
}

func (b *memoryBucket) Get(ctx context.Context, key string) ([]byte, error) {
	if err := b.enter(ctx); err != nil {
		return nil, err
	}
	defer b.mu.Unlock()
	value, ok := b.values[key]
	if !ok {
		return nil, ErrNotFound
	}
	return bytes.Clone(value), nil
}

func (b *memoryBucket) Put(ctx context.Context, key string, value []byte) error {
	if err := b.enter(ctx); err != nil {
		return err
	}
	defer b.mu.Unlock()
	b.values[key] = bytes.Clone(value)
	return nil
}

func (b *memoryBucket) Create(ctx context.Context, key string, value []byte) error {
	if err := b.enter(ctx); err != nil {
		return err
	}
	defer b.mu.Unlock()
	if _, ok := b.values[key]; ok {
		return ErrExists
	}
	b.values[key] = bytes.Clone(value)
	return nil
}

func (b *memoryBucket) Delete(ctx context.Context, key string) error {
	if err := b.enter(ctx); err != nil {
		return err
	}
	defer b.mu.Unlock()
	if _, ok := b.values[key]; !ok {
		return ErrNotFound
	}
	delete(b.values, key)
	return nil
}

func (b *memoryBucket) All(ctx context.Context) (map[string][]byte, error) {
	if err := b.enter(ctx); err != nil {
		return nil, err
	}
	defer b.mu.Unlock()
	values := maps.Clone(b.values)
	for key, value := range values {
		values[key] = bytes.Clone(value)
	}
	return values, nil
}
