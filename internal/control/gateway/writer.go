package gateway

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
)

// conn is the part of a websocket that the writer uses.
type conn interface {
	Write(ctx context.Context, typ websocket.MessageType, p []byte) error
	Close(code websocket.StatusCode, reason string) error
	CloseNow() error
}

// maxWaiting bounds the frames that wait for one socket, because those of no or
// few bytes cost memory too: a phone may send empty audio as fast as it can.
const maxWaiting = 4096

// writer is the sending half of one socket: a queue bounded by bytes and frames
// and one goroutine (Run) that empties it. Send and Close never wait, so an actor may
// call them; they are safe for concurrent use. It implements session.Socket.
type writer struct {
	conn     conn
	limit    int           // bytes that may wait
	timeout  time.Duration // of one write
	overflow func()        // counts a reader that was too slow
	dropped  *atomic.Uint64
	tapped   tapped

	mu     sync.Mutex
	queue  []outgoing
	bytes  int  // that are not written yet
	frames int  // likewise
	closed bool // no more frames are taken
	code   websocket.StatusCode
	reason string

	wake chan struct{} // capacity 1
	done chan struct{} // closed when Run has returned
}

type outgoing struct {
	kind websocket.MessageType
	data []byte
}

func newWriter(c conn, limit int, timeout time.Duration, dropped *atomic.Uint64, overflow func()) *writer {
	return &writer{
		conn: c, limit: limit, timeout: timeout, dropped: dropped, overflow: overflow,
		wake: make(chan struct{}, 1), done: make(chan struct{}),
	}
}

// Send queues a text frame. The bytes are handed over and must not change.
// When more than the limits would wait, the peer is too slow: nothing more is
// queued and the socket is closed with 1013 "slow".
func (w *writer) Send(frame []byte) { w.push(outgoing{websocket.MessageText, frame}) }

// Offer queues a text frame that may be lost: it is dropped and counted when
// with it more than half of a limit would wait, but never by an empty queue.
func (w *writer) Offer(frame []byte) {
	w.mu.Lock()
	crowded := !w.closed && w.frames > 0 && (w.bytes+len(frame) > w.limit/2 || w.frames >= maxWaiting/2)
	w.mu.Unlock()
	if crowded {
		w.dropped.Add(1)
		return
	}
	w.Send(frame)
}

// SendBinary queues a binary frame under the same rules as Send.
func (w *writer) SendBinary(frame []byte) { w.push(outgoing{websocket.MessageBinary, frame}) }

func (w *writer) push(o outgoing) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return
	}
	if w.bytes+len(o.data) > w.limit || w.frames == maxWaiting {
		w.queue, w.bytes, w.frames = nil, 0, 0
		w.closed, w.code, w.reason = true, websocket.StatusTryAgainLater, reasonSlow
		w.overflow()
		w.signal()
		return
	}
	w.queue = append(w.queue, o)
	w.bytes += len(o.data)
	w.frames++
	w.signal()
}

// slow says whether the socket ended because its peer read too slowly.
func (w *writer) slow() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.reason == reasonSlow
}

// reasonSlow goes with the close of a socket whose reader was too slow.
const reasonSlow = "slow"

// Close ends the socket with a status code after the frames that wait were
// written. The first call decides code and reason; it does not wait.
func (w *writer) Close(code int, reason string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return
	}
	w.closed, w.code, w.reason = true, websocket.StatusCode(code), reason
	w.signal()
}

// signal wakes Run; the caller holds mu.
func (w *writer) signal() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// Run writes until Close was called and the queue is empty, a write fails, or
// ctx ends. The socket is closed when it returns.
func (w *writer) Run(ctx context.Context) {
	defer close(w.done)
	for {
		batch, closed := w.take()
		for _, o := range batch {
			if !w.write(ctx, o) {
				w.abandon()
				return
			}
		}
		if closed {
			w.mu.Lock()
			code, reason := w.code, w.reason
			w.mu.Unlock()
			w.tapped.ended(false, code, reason)
			_ = w.conn.Close(code, reason) // the peer may be gone already
			return
		}
		select {
		case <-w.wake:
		case <-ctx.Done():
			w.abandon()
			return
		}
	}
}

// take empties the queue. Its frames still count until they are written, so that
// a batch under way cannot double the bound.
func (w *writer) take() (batch []outgoing, closed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	batch, w.queue = w.queue, nil
	return batch, w.closed
}

func (w *writer) write(ctx context.Context, o outgoing) bool {
	ctx, cancel := context.WithTimeout(ctx, w.timeout)
	defer cancel()
	w.tapped.passed(false, o.kind, o.data) // before the peer can have answered
	err := w.conn.Write(ctx, o.kind, o.data)
	w.mu.Lock()
	w.bytes -= len(o.data)
	w.frames--
	w.mu.Unlock()
	return err == nil
}

// abandon drops what waits and cuts the connection without a handshake.
func (w *writer) abandon() {
	w.mu.Lock()
	w.closed, w.queue, w.bytes, w.frames = true, nil, 0, 0
	w.mu.Unlock()
	w.tapped.ended(false, websocket.StatusAbnormalClosure, "connection cut")
	_ = w.conn.CloseNow() // nothing is left to tell the peer
}
