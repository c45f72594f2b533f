package srt

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"time"

	gosrt "github.com/datarhei/gosrt"

	"glimpse/internal/media/hub"
)

// conn is one request and, when it was accepted, its connection.
type conn struct {
	srv *Server
	req gosrt.ConnRequest
	sc  gosrt.Conn // nil until accepted
	log *slog.Logger
}

// close ends the connection at once.
func (c *conn) close() {
	if c.sc == nil {
		return
	}
	var st gosrt.Statistics
	c.sc.Stats(&st)
	c.srv.stats.resent.Add(st.Accumulated.PktRecvRetrans)
	if lost := st.Accumulated.PktRecvLoss; lost > st.Accumulated.PktRecvRetrans {
		c.srv.stats.lost.Add(lost - st.Accumulated.PktRecvRetrans)
	}
	_ = c.sc.Close()
}

// run finds out what the peer wants and does it.
func (c *conn) run(ctx context.Context) {
	if reason, err := c.check(); err != nil {
		c.refuse(reason, err)
		return
	}
	r, err := parseStreamID(c.req.StreamId())
	switch {
	case err != nil:
		c.refuse(gosrt.REJX_BAD_REQUEST, err)
	case r.publish:
		c.publish(ctx, r.name)
	default:
		c.play(ctx, r.name)
	}
}

// check refuses what the library would take and should not.
func (c *conn) check() (gosrt.RejectionReason, error) {
	if c.req.Version() != 5 {
		return gosrt.REJ_VERSION, errors.New("handshake before version 5 has no streamid")
	}
	if c.req.IsEncrypted() {
		return gosrt.REJ_UNSECURE, errors.New("no passphrase is set for this stream")
	}
	if mtu := mtu(c.req); mtu < minMTU {
		return gosrt.REJ_ROGUE, fmt.Errorf("packets of %d bytes are too small", mtu)
	}
	return 0, nil
}

// minMTU leaves room for one transport packet behind the headers of IP, UDP and
// SRT.
const minMTU = packetSize + gosrt.UDP_HEADER_SIZE + gosrt.SRT_HEADER_SIZE

// mtu is the size of packets that the peer asks for. The library goes on with one
// that is smaller than its own headers, takes the difference for an unsigned
// number and allocates 4 GiB; it tells nobody, so this looks. 0 when it is not
// found.
func mtu(req gosrt.ConnRequest) uint64 {
	v := reflect.Indirect(reflect.ValueOf(req))
	if v.Kind() != reflect.Struct {
		return 0
	}
	v = reflect.Indirect(v.FieldByName("handshake"))
	if v.Kind() != reflect.Struct {
		return 0
	}
	if v = v.FieldByName("MaxTransmissionUnitSize"); !v.IsValid() || !v.CanUint() {
		return 0
	}
	return v.Uint()
}

// refuse turns the request down with a reason code that encoders show.
func (c *conn) refuse(reason gosrt.RejectionReason, err error) {
	c.srv.stats.refused.Add(1)
	c.log.Info("srt connection refused", "code", int(reason), "reason", err)
	c.req.Reject(reason)
}

// accept lets the peer in; from then on ctx ends the connection.
func (c *conn) accept(ctx context.Context) (stop func() bool, err error) {
	sc, err := c.req.Accept()
	if err != nil {
		return nil, fmt.Errorf("accept: %w", err)
	}
	c.sc = sc
	c.srv.stats.accepted.Add(1)
	return context.AfterFunc(ctx, func() { _ = sc.Close() }), nil
}

// refusal is the reason code for an error of the hub.
func refusal(err error) gosrt.RejectionReason {
	switch {
	case errors.Is(err, hub.ErrUnknownKey):
		return gosrt.REJX_UNAUTHORIZED
	case errors.Is(err, hub.ErrEnded):
		return gosrt.REJX_NOTFOUND
	}
	return conflict
}

// conflict is SRT_REJX_CONFLICT; the library's constant has another number.
const conflict gosrt.RejectionReason = 1409

// Bounds of what the library keeps for a peer; the peer decides by the times in
// its packets how long it does.
const (
	maxReceived = 16 << 20
	maxSent     = 16 << 20
)

// watch looks at the connection every now and then until ctx ends, and ends it
// when it is idle or keeps too much. busy is called with what it saw.
func (c *conn) watch(ctx context.Context, idle time.Duration, busy func(gosrt.Statistics)) {
	tick := time.NewTicker(c.srv.times.watch)
	defer tick.Stop()
	var received uint64
	last := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		var st gosrt.Statistics
		c.sc.Stats(&st)
		if n := st.Accumulated.PktRecvUnique; n != received {
			received, last = n, time.Now()
		}
		if st.Instantaneous.ByteRecvBuf > maxReceived || (idle > 0 && time.Since(last) > idle) {
			c.log.Warn("srt connection closed: idle, or sending from the future", "kept", st.Instantaneous.ByteRecvBuf)
			_ = c.sc.Close()
			return
		}
		if busy != nil {
			busy(st)
		}
	}
}
