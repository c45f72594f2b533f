// Package actor has the one concurrency primitive of the control plane: a loop
// that owns some state and runs closures on it one at a time.
//
// The goroutine in Run owns the state. Others reach it with Post (never waits
// for the closure) or Do (waits for it). Never call Do of one loop from inside
// another loop's closure: post instead.
package actor

import (
	"context"
	"errors"
)

// ErrStopped says that the loop has ended or is ending and will not run the call.
var ErrStopped = errors.New("actor: stopped")

// Loop runs closures one at a time. Make it with New.
type Loop struct {
	calls   chan func()
	stopped chan struct{}
}

// New returns a loop whose mailbox holds size calls; a full mailbox makes
// callers wait (that is the back-pressure on sockets).
func New(size int) *Loop {
	return &Loop{calls: make(chan func(), size), stopped: make(chan struct{})}
}

// Run executes calls in order until ctx ends, and must be called exactly once.
// Calls that are still in the mailbox then are not run.
func (l *Loop) Run(ctx context.Context) {
	defer close(l.stopped)
	for {
		select {
		case <-ctx.Done():
			return
		default:
		}
		select {
		case f := <-l.calls:
			f()
		case <-ctx.Done():
			return
		}
	}
}

// Post hands f to the loop, waiting only while the mailbox is full. It returns
// ErrStopped when the loop has ended and ctx.Err() when ctx ends first. A nil
// result does not promise that f runs: the loop may end before.
func (l *Loop) Post(ctx context.Context, f func()) error {
	select {
	case <-l.stopped:
		return ErrStopped
	default:
	}
	select {
	case l.calls <- f:
		return nil
	case <-l.stopped:
		return ErrStopped
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Do runs f on the loop and waits until it is done. Calling it from inside a
// closure of the same loop deadlocks.
func (l *Loop) Do(ctx context.Context, f func()) error {
	done := make(chan struct{})
	if err := l.Post(ctx, func() { defer close(done); f() }); err != nil {
		return err
	}
	select {
	case <-done:
		return nil
	case <-l.stopped:
		select {
		case <-done: // it was the last call that ran
			return nil
		default:
			return ErrStopped
		}
	}
}

// Stopped is closed when Run has returned.
func (l *Loop) Stopped() <-chan struct{} { return l.stopped }
