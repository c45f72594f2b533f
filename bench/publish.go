package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"sync"
	"time"

	"glimpse/internal/glasses/clip"
	"glimpse/internal/glasses/source"
	"glimpse/internal/media/frame"
	"glimpse/internal/media/rtmp"
)

// The stamp stands at the end of each picture's last slice: the time of
// sending. Nobody decodes here, and no server rewrites slices. It is written in
// hex, so that it needs no emulation prevention.
var stampMark = []byte("glimpse-bench-stamp:")

const stampSize = 20 + 16

// stamped returns a copy of an AVCC payload with the stamp in its last NAL unit.
func stamped(payload []byte, now time.Time) []byte {
	last, pos := 0, 0
	for pos+4 <= len(payload) {
		last = pos
		pos += 4 + int(binary.BigEndian.Uint32(payload[pos:]))
	}
	out := make([]byte, 0, len(payload)+stampSize)
	out = append(append(out, payload...), stampMark...)
	out = hex.AppendEncode(out, binary.BigEndian.AppendUint64(nil, uint64(now.UnixNano())))
	binary.BigEndian.PutUint32(out[last:], uint32(len(out)-last-4))
	return out
}

// stamps calls found with the age of each stamp in b.
func stamps(b []byte, now time.Time, found func(time.Duration)) {
	for {
		i := bytes.Index(b, stampMark)
		if i < 0 || len(b) < i+stampSize {
			return
		}
		var raw [8]byte
		if _, err := hex.Decode(raw[:], b[i+len(stampMark):i+stampSize]); err == nil {
			found(now.Sub(time.Unix(0, int64(binary.BigEndian.Uint64(raw[:])))))
		}
		b = b[i+stampSize:]
	}
}

// publisher feeds the clip to a URL until stop.
type publisher struct {
	cancel context.CancelFunc
	wg     sync.WaitGroup
	first  time.Time // when it began to connect
}

func publish(ctx context.Context, url string) (*publisher, error) {
	r := clip.Open()
	file, err := source.Read(r, r.Size())
	if err != nil {
		return nil, err
	}
	began := time.Now()
	client, err := rtmp.Dial(ctx, url, rtmp.Options{Tracks: file.Tracks()})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	p := &publisher{cancel: cancel, first: began}
	p.wg.Go(func() {
		defer func() { _ = client.Close() }()
		player, began := file.Player(), time.Now()
		for ctx.Err() == nil {
			f, err := player.Next()
			if err != nil {
				return
			}
			select {
			case <-time.After(time.Until(began.Add(f.DTS))):
			case <-ctx.Done():
				return
			}
			if client.WriteFrame(withStamp(f)) != nil {
				return
			}
		}
	})
	return p, nil
}

func withStamp(f *frame.Frame) *frame.Frame {
	if !f.IsVideo() {
		return f
	}
	c := *f
	c.Payload = stamped(f.Payload, time.Now())
	return &c
}

func (p *publisher) stop() {
	p.cancel()
	p.wg.Wait()
}
