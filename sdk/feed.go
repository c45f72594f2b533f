package sdk

import (
	"context"
	"iter"
	"sync"
)

// maxQueued events wait for a slow reader; then the oldest are dropped, since
// an old word or an old status helps nobody.
const maxQueued = 64

// feed hands events to any number of readers.
type feed[T any] struct {
	mu      sync.Mutex
	readers map[*reader[T]]struct{}
}

type reader[T any] struct {
	queue []T
	err   error         // to be yielded once
	wake  chan struct{} // of capacity 1
}

// send gives v to every reader, without waiting for any.
func (f *feed[T]) send(v T) { f.each(func(r *reader[T]) { r.push(v) }) }

// fail gives every reader an error and ends it.
func (f *feed[T]) fail(err error) {
	f.each(func(r *reader[T]) {
		if r.err == nil {
			r.err = err
		}
	})
}

func (f *feed[T]) each(do func(*reader[T])) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for r := range f.readers {
		do(r)
		select {
		case r.wake <- struct{}{}:
		default:
		}
	}
}

func (r *reader[T]) push(v T) {
	if len(r.queue) == maxQueued {
		r.queue = append(r.queue[:0], r.queue[1:]...)
	}
	r.queue = append(r.queue, v)
}

// add makes a reader, which misses nothing from now on.
func (f *feed[T]) add() *reader[T] {
	r := &reader[T]{wake: make(chan struct{}, 1)}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.readers == nil {
		f.readers = make(map[*reader[T]]struct{})
	}
	f.readers[r] = struct{}{}
	return r
}

func (f *feed[T]) remove(r *reader[T]) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.readers, r)
}

func (f *feed[T]) take(r *reader[T]) ([]T, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	q, err := r.queue, r.err
	r.queue = nil
	return q, err
}

// follow iterates over a reader's events until ctx or the session ends, which
// end it silently, or until it fails: that error is the last thing yielded.
// What arrived before an end is yielded before it.
func (f *feed[T]) follow(ctx context.Context, r *reader[T], over <-chan struct{}, yield func(T, error) bool) {
	for ended := false; ; {
		events, err := f.take(r)
		for _, e := range events {
			if ctx.Err() != nil || !yield(e, nil) {
				return
			}
		}
		if err != nil {
			var none T
			yield(none, err)
			return
		}
		if ended {
			return
		}
		select {
		case <-r.wake:
		case <-ctx.Done():
			return
		case <-over:
			ended = true
		}
	}
}

// events is the iterator over a feed. The session's subscription to it begins
// and ends with the loop.
func events[T any](ctx context.Context, s *Session, f *feed[T], subscription string) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		r := f.add()
		defer f.remove(r)
		s.subscribe(subscription, +1)
		defer s.subscribe(subscription, -1)
		f.follow(ctx, r, s.over(), yield)
	}
}
