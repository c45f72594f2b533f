package classify

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/coder/websocket"
)

// conn is one client. Its reader puts requests into waiting, its worker takes
// the oldest and answers.
type conn struct {
	server *Server
	ws     *websocket.Conn
	wake   chan struct{} // of capacity 1: something waits

	mu      sync.Mutex
	waiting []*message
}

// read takes messages until the connection or ctx ends.
func (c *conn) read(ctx context.Context) {
	for {
		kind, b, err := c.ws.Read(ctx)
		if err != nil {
			return
		}
		var m message
		if kind != websocket.MessageText || json.Unmarshal(b, &m) != nil {
			if !c.write(ctx, misunderstood(codeBadJSON, "Invalid JSON: a message is a JSON object with a type")) {
				return
			}
			continue
		}
		if !c.take(ctx, &m) {
			return
		}
	}
}

// take handles a message; false when the client is gone.
func (c *conn) take(ctx context.Context, m *message) bool {
	switch m.Type {
	case typePing:
		if m.Timestamp == nil {
			m.Timestamp = json.RawMessage("null")
		}
		return c.write(ctx, pong{Type: typePong, Timestamp: m.Timestamp})
	case typeRequest:
		if m.ImageID == nil {
			m.ImageID = json.RawMessage(`"unknown"`)
		}
		for _, late := range c.push(m) {
			if !c.write(ctx, late) {
				return false
			}
		}
		return true
	}
	return c.write(ctx, misunderstood(codeUnknownType, "Unknown message type: it is detection_request or ping"))
}

// push lets a request wait and returns the answers to those that do not wait any
// longer.
func (c *conn) push(m *message) (late []response) {
	size := int64(len(m.ImageData))
	if c.server.queued.Add(size) > maxQueued {
		c.server.queued.Add(-size)
		return []response{refused(m.ImageID, codeBusy, "too many pictures wait; send fewer")}
	}
	c.mu.Lock()
	c.waiting = append(c.waiting, m)
	if len(c.waiting) > maxWaiting {
		oldest := c.waiting[0]
		c.waiting = c.waiting[1:]
		c.server.queued.Add(-int64(len(oldest.ImageData)))
		late = append(late, refused(oldest.ImageID, codeDropped, "newer pictures came before this one was looked at"))
	}
	c.mu.Unlock()
	select {
	case c.wake <- struct{}{}:
	default:
	}
	return late
}

func (c *conn) pop() *message {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.waiting) == 0 {
		return nil
	}
	m := c.waiting[0]
	c.waiting = c.waiting[1:]
	c.server.queued.Add(-int64(len(m.ImageData)))
	return m
}

// forget drops what still waits when the client has gone.
func (c *conn) forget() {
	for c.pop() != nil {
	}
}

// work answers what waits until ctx ends or the client is gone.
func (c *conn) work(ctx context.Context) {
	for {
		m := c.pop()
		if m == nil {
			select {
			case <-c.wake:
				continue
			case <-ctx.Done():
				return
			}
		}
		if !c.write(ctx, c.server.answer(ctx, m)) {
			return
		}
	}
}

// keepAlive ends a connection whose other side has vanished.
func (c *conn) keepAlive(ctx context.Context) {
	t := time.NewTicker(pingEvery)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			bounded, cancel := context.WithTimeout(ctx, writeWait)
			err := c.ws.Ping(bounded)
			cancel()
			if err != nil {
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

func (c *conn) write(ctx context.Context, v any) bool {
	b, err := json.Marshal(v)
	if err != nil {
		return false
	}
	bounded, cancel := context.WithTimeout(ctx, writeWait)
	defer cancel()
	return c.ws.Write(bounded, websocket.MessageText, b) == nil
}
