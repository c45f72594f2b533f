package hub

import (
	"encoding/binary"
	"encoding/hex"
	"time"

	"glimpse/internal/media/codec"
	"glimpse/internal/media/frame"
)

// A black picture of 320x180, H.264 Constrained Baseline: its parameter sets and
// its one slice.
const (
	blackSPS = "6742c01eda05067e7c044000000300400000030283c58ba8"
	blackPPS = "68ce0f2c80"
	blackIDR = "6588840ff2628000c3edf7df7df7df7df7df7df7df7df7df5d75d75d75d75d75d75d75d75d75d75d75d75d75d75d75d7" +
		"5d75d75d75d75d75d75d75d75d75d75d75d75d75d75d75d75d75d75d75d75d75d75d75d75d75d75d75d75d75d75d75d7" +
		"5d75d75d75d75d75d75d75d75d75d75d75d75d75d75d75d75d75d75d75d75d75d75d75d75d75d75d75d75d75d75d75d7" +
		"5d75d75d75d75d75d75d75d75d75d75d75d75d75d75d75d75d75d75d75d75d75d75d75d75d75d75d75d75d75d780"
)

// black is the picture of a publisher that sends sound alone: every output has
// pictures, and none has to know. It stands still as that of a hold does. Owned
// by the publishing goroutine.
type black struct {
	track *frame.Track
	still *codec.Still
	next  time.Duration // on the source's clock
	count int           // since the newest key frame
	keys  int
}

func newBlack(at time.Duration) (*black, error) {
	bytes := func(s string) []byte {
		b, _ := hex.DecodeString(s) // a constant
		return b
	}
	c, err := codec.NewH264(bytes(blackSPS), bytes(blackPPS))
	if err != nil {
		return nil, err
	}
	idr := bytes(blackIDR)
	payload := append(binary.BigEndian.AppendUint32(nil, uint32(len(idr))), idr...)
	return &black{track: &frame.Track{Codec: c}, still: codec.StillOf(c, payload), next: at}, nil
}

// picture is the next one.
func (b *black) picture() unit {
	u := unit{track: b.track, pts: b.next, dts: b.next, at: time.Now()}
	if b.count > 0 && b.count < int(stillKey/stillStep) {
		u.payload = b.still.Skip(b.count)
	}
	if u.payload == nil {
		u.key, u.payload = true, b.still.Key(b.keys)
		b.keys, b.count = b.keys+1, 0
	}
	b.count++
	b.next += stillStep
	return u
}

// soundAlone shows black up to a sound frame's time when the publisher has sent
// sound for long and announced no pictures, and nobody else is the source. It
// goes on until the first key frame, should pictures come after all.
func (p *Publisher) soundAlone(at time.Duration) error {
	now := time.Now()
	if p.heardAt.IsZero() {
		p.heardAt = now
	}
	if p.black == nil {
		if p.video != nil || now.Sub(p.heardAt) < p.stream.hub.cfg.SoundAlone || !p.stream.vacant() {
			return nil
		}
		var err error
		if p.black, err = newBlack(at); err != nil {
			return err
		}
	}
	if p.black.next < at-stillKey || p.black.next > at+stillKey { // the source's clock jumped
		p.black.next = at
	}
	for p.black.next <= at {
		if err := p.write(p.black.picture()); err != nil {
			return err
		}
	}
	return nil
}

// vacant reports whether the stream has no source.
func (s *Stream) vacant() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.source == nil
}
