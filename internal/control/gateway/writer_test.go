package gateway

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
)

// fakeConn writes nothing while its peer is stuck.
type fakeConn struct {
	stuck bool

	mu      sync.Mutex
	written []string
	code    websocket.StatusCode
	cut     bool
}

func (f *fakeConn) Write(ctx context.Context, _ websocket.MessageType, p []byte) error {
	if f.stuck {
		<-ctx.Done()
		return errors.New("write timed out")
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.written = append(f.written, string(p))
	return nil
}

func (f *fakeConn) Close(code websocket.StatusCode, _ string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.code = code
	return nil
}

func (f *fakeConn) CloseNow() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.cut = true
	return nil
}

// What was queued before Close is written first, what comes after is not.
func TestWriterFlushesBeforeClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := &fakeConn{}
		w := newWriter(conn, 100, time.Second, new(atomic.Uint64), func() { t.Error("overflow") })
		w.Send([]byte("one"))
		w.Send([]byte("two"))
		w.Close(1000, "done")
		w.Close(1011, "too late")
		w.Send([]byte("three"))
		w.Run(t.Context())
		if len(conn.written) != 2 || conn.written[0] != "one" || conn.written[1] != "two" {
			t.Errorf("wrote %q", conn.written)
		}
		if conn.code != 1000 || conn.cut {
			t.Errorf("closed with %d, cut %v", conn.code, conn.cut)
		}
	})
}

// A reader that takes nothing is closed with 1013 when the bound is reached and
// never makes the sender wait.
func TestWriterOverflow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := &fakeConn{stuck: true}
		overflows := 0
		var dropped atomic.Uint64
		w := newWriter(conn, 10, 10*time.Second, &dropped, func() { overflows++ })
		go w.Run(t.Context())
		began := time.Now()
		w.Send([]byte("12345"))
		synctest.Wait() // it is being written now and still counts
		if w.Offer([]byte("text")); dropped.Load() != 1 {
			t.Errorf("%d offers dropped by a crowded socket", dropped.Load())
		}
		w.Send([]byte("12345"))
		w.Send([]byte("1"))
		w.Send([]byte("1"))
		if overflows != 1 || w.code != websocket.StatusTryAgainLater || w.reason != "slow" {
			t.Errorf("%d overflows, close %d %q", overflows, w.code, w.reason)
		}
		if waited := time.Since(began); waited != 0 {
			t.Errorf("the sender waited %v", waited)
		}
		<-w.done
		if took := time.Since(began); took != 10*time.Second || !conn.cut {
			t.Errorf("ended after %v, cut %v", took, conn.cut)
		}
	})
}

// Frames without a byte are bounded by their number.
func TestWriterOverflowByFrames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := &fakeConn{stuck: true}
		overflows := 0
		var dropped atomic.Uint64
		w := newWriter(conn, 10, time.Second, &dropped, func() { overflows++ })
		go w.Run(t.Context())
		for range maxWaiting {
			w.SendBinary(nil)
		}
		if overflows != 0 {
			t.Fatal("closed within the bound")
		}
		if w.Offer(nil); dropped.Load() != 1 {
			t.Errorf("%d offers dropped by a crowded socket", dropped.Load())
		}
		if w.SendBinary(nil); overflows != 1 || w.code != websocket.StatusTryAgainLater {
			t.Errorf("%d overflows, close %d", overflows, w.code)
		}
		<-w.done
	})
}
