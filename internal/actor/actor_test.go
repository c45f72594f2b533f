package actor

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Calls run one at a time, in order.
func TestOrder(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	l := New(4)
	go l.Run(ctx)
	var got []int
	for i := range 100 {
		if err := l.Post(ctx, func() { got = append(got, i) }); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Do(ctx, func() {}); err != nil {
		t.Fatal(err)
	}
	for i, v := range got {
		if v != i {
			t.Fatalf("call %d ran as number %d", v, i)
		}
	}
	cancel()
	<-l.Stopped()
	if len(got) != 100 {
		t.Errorf("%d calls ran", len(got))
	}
}

// A full mailbox makes callers wait, and their context is heard meanwhile.
func TestBackPressure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		l := New(1)
		go l.Run(ctx)
		block := make(chan struct{})
		_ = l.Post(ctx, func() { <-block })
		synctest.Wait()
		_ = l.Post(ctx, func() {}) // fills the mailbox
		short, stop := context.WithCancel(ctx)
		errs := make(chan error)
		go func() { errs <- l.Post(short, func() {}) }()
		synctest.Wait()
		stop()
		if err := <-errs; !errors.Is(err, context.Canceled) {
			t.Errorf("a post into a full mailbox: %v", err)
		}
		close(block)
		cancel()
		<-l.Stopped()
	})
}

// After the end callers get ErrStopped instead of waiting for ever.
func TestStopped(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	l := New(1)
	cancel()
	l.Run(ctx)
	if err := l.Do(t.Context(), func() { t.Error("ran after the end") }); !errors.Is(err, ErrStopped) {
		t.Errorf("do: %v", err)
	}
	if err := l.Post(t.Context(), func() {}); !errors.Is(err, ErrStopped) {
		t.Errorf("post: %v", err)
	}
}
