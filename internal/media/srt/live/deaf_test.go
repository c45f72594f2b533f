package live

import (
	"errors"
	"testing"
	"time"

	"glimpse/internal/media/udp"
)

// A peer that says it is there but never confirms what it is sent is given up after 8
// to 12 s, one that says nothing at all sooner; one that confirms a little now and then,
// or is sent nothing, stays.
//
// F10
func TestDeafPeer(t *testing.T) {
	const step = 50 * time.Millisecond
	for _, tt := range []struct {
		name          string
		speaks        bool
		sent, confirm time.Duration // how often; 0: never
		behind        uint32        // packets that it has not confirmed even then
		from, to      time.Duration // given up; 0: it stays
		why           error
	}{
		{"confirms nothing", true, step, 0, 0, 8 * time.Second, 12 * time.Second, errDeaf},
		{"is asked little and confirms nothing", true, 500 * time.Millisecond, 0, 0, 8 * time.Second, 12 * time.Second, errDeaf},
		{"is not there", false, step, 0, 0, 4 * time.Second, 6 * time.Second, errIdle},
		{"confirms seldom", true, step, 8 * time.Second, 0, 0, 0, nil},
		{"confirms late", true, step, step, 20, 0, 0, nil},
		{"is sent nothing", true, 0, 0, 0, 0, 0, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			start := time.Now()
			s := silent(t)
			c := newConn(s, udp.Path{Remote: s.pc.Addr()}, start, 3)
			c.peer, c.mtu = 7, 1500
			keep := appendControl(nil, typeKeepAlive, 0, 0, 0, c.id)
			for now := step; now < time.Minute; now += step {
				at := start.Add(now)
				if tt.sent > 0 && now%tt.sent == 0 {
					c.out.push(append(c.out.memory.get(), 1), now)
				}
				if tt.speaks {
					c.handle(parseHeader(keep), keep, at)
				}
				if tt.confirm > 0 && now%tt.confirm == 0 {
					ack := append(appendControl(nil, typeACK, 0, 0, 0, c.id), words(c.out.next-tt.behind)...)
					c.handle(parseHeader(ack), ack, at)
				}
				if err := c.due(at); err != nil {
					if !errors.Is(err, tt.why) || now < tt.from || now > tt.to {
						t.Errorf("after %v: %v", now, err)
					}
					return
				}
			}
			if tt.why != nil {
				t.Error("it is never given up")
			}
		})
	}
}
