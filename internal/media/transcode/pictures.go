package transcode

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"glimpse/internal/media/codec"
	"glimpse/internal/media/flv"
	"glimpse/internal/media/frame"
	"glimpse/internal/media/hub"
)

const (
	// maxPending bounds the pictures that a child may hold back.
	maxPending = 1024
	// squeezed is the distance of pictures that come again after a restart.
	squeezed = time.Millisecond
)

// Straighten implements hub.Converter: H.264 Constrained Baseline without
// B-frames, key frames where the source has them, and the source's own times. A
// child that fails is replaced as in Convert; its successor begins at the newest
// key frame, with what was sent already squeezed behind it.
func (t *Transcoder) Straighten(ctx context.Context, run *hub.Run, sink *hub.PictureSink) error {
	log := t.log.With("stream", run.Stream().ID(), "to", "pictures in order")
	out := &pictureOutput{write: sink.Write, last: -1}
	return t.supervise(ctx, sink, log, firstPause, func() error {
		rd := run.Subscribe(hub.ReaderOptions{})
		defer rd.Close()
		return t.straighten(ctx, rd, out)
	})
}

// straighten runs one child.
func (t *Transcoder) straighten(ctx context.Context, src source, out *pictureOutput) error {
	clock := &pictureClock{tick: time.Millisecond}
	return t.pipe(ctx, &clock.stall, pipeline{
		args: pictureArgs(),
		feed: func(ctx context.Context, w io.Writer) error { return feedPictures(ctx, src, w, clock) },
		read: func(r io.Reader) error { return out.read(r, clock) },
	})
}

// pictureArgs are the child's arguments. The encoder's clock is the source's:
// with that of a frame rate times would move.
func pictureArgs() []string {
	return []string{
		"-nostdin", "-hide_banner", "-loglevel", "error", "-copyts", "-threads", "1",
		"-probesize", "32", "-analyzeduration", "0", "-protocol_whitelist", "pipe", "-f", "flv", "-i", "pipe:0",
		"-map", "0:v:0", "-vsync", "passthrough", "-enc_time_base", "-1",
		"-c:v", "libx264", "-preset", "veryfast", "-tune", "zerolatency", "-profile:v", "baseline", "-pix_fmt", "yuv420p",
		"-bf", "0", "-sc_threshold", "0", "-g", "100000", "-force_key_frames", "source", "-forced-idr", "1",
		"-crf", "23", "-maxrate", "8M", "-bufsize", "8M", "-threads", "2",
		"-bsf:v", "dump_extra=freq=keyframe", "-flush_packets", "1", "-f", "nut", "pipe:1",
	}
}

// pictureClock remembers which pictures a child has, so that they come back with
// their own times and not with those that FLV rounded.
type pictureClock struct {
	stall
	base    time.Duration // of the run, at the child's time childStart
	tick    time.Duration // of the container that the child is fed in
	pending []fedPicture
}

// at is a time on the child's clock.
func (c *pictureClock) at(t time.Duration) time.Duration { return t - c.base + childStart }

// fedPicture is one that a child has, and when it came to us.
type fedPicture struct {
	*frame.Frame
	came time.Time
}

func (c *pictureClock) feed(f *frame.Frame, came time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fed(c.at(f.DTS))
	if len(c.pending) == maxPending {
		c.pending = c.pending[1:]
	}
	c.pending = append(c.pending, fedPicture{f, came})
}

// place returns the source's picture at a child's time, without a frame when it
// has none.
func (c *pictureClock) place(told time.Duration) (found fedPicture) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.got(told)
	left := c.pending[:0]
	for _, f := range c.pending {
		switch at := c.ticks(c.at(f.PTS)); {
		case at == c.ticks(told):
			found = f
		case at > c.ticks(told):
			left = append(left, f)
		}
	}
	clear(c.pending[len(left):])
	c.pending = left
	return found
}

// ticks rounds a child's time to its container's clock, as the writers do.
func (c *pictureClock) ticks(at time.Duration) int64 { return int64(at.Round(c.tick) / c.tick) }

// feedPictures writes pictures from the first key frame until the source ends or
// its parameters change, or the child refuses.
func feedPictures(ctx context.Context, src source, w io.Writer, clock *pictureClock) error {
	tags := flv.NewWriter(w)
	var track *frame.Track
	var frames []*frame.Frame
	for {
		var err error
		if frames, err = src.Next(ctx, frames); err != nil {
			return err
		}
		for _, f := range frames {
			if !f.IsVideo() || track == nil && !f.Key {
				continue
			}
			if track == nil {
				track, clock.base = f.Track, f.DTS
				if err := tags.WriteTrack(track); err != nil {
					return err
				}
			}
			if at := clock.at(f.DTS); f.Track != track || at > childLife {
				return errRenew
			}
			clock.feed(f, time.Time{})
			moved := &frame.Frame{Track: track, PTS: clock.at(f.PTS), DTS: clock.at(f.DTS), Key: f.Key, Payload: f.Payload}
			if err := tags.WriteFrame(moved); err != nil {
				return fmt.Errorf("feed ffmpeg: %w", err)
			}
		}
	}
}

// pictureOutput turns children's output into pictures of one ever rising timeline.
type pictureOutput struct {
	write func(*frame.Frame)
	track *frame.Track
	last  time.Duration // PTS of the picture before

}

// read hands on a child's pictures until its output ends (nil) or is malformed.
func (o *pictureOutput) read(r io.Reader, clock *pictureClock) error {
	nut, err := newNUTReader(r, frame.MaxPicture)
	if errors.Is(err, io.EOF) {
		return nil
	}
	if err != nil {
		return err
	}
	for begun := false; ; {
		told, data, err := nut.next()
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil
		}
		if err != nil {
			return err
		}
		src := clock.place(told).Frame
		payload := codec.FromAnnexB(data)
		if src == nil || payload == nil {
			return errors.New("ffmpeg wrote a picture that it was not given")
		}
		key := codec.HasIDR(payload)
		if key {
			if err := o.parameters(payload); err != nil {
				return err
			}
		}
		if begun = begun || key; !begun {
			continue
		}
		pts := max(src.PTS, o.last+squeezed)
		o.last = pts
		o.write(&frame.Frame{
			Track: o.track, PTS: pts, DTS: pts, Wall: src.Wall.Add(pts - src.PTS), Epoch: src.Epoch,
			Key: key, Discontinuity: src.Discontinuity, Payload: payload,
		})
	}
}

// parameters takes the track from the parameter sets in a key frame.
func (o *pictureOutput) parameters(payload []byte) error {
	var sps, pps []byte
	for n := range codec.NALUs(payload) {
		switch n[0] & 0x1f {
		case codec.NALSPS:
			sps = n
		case codec.NALPPS:
			pps = n
		}
	}
	c, err := codec.NewH264(sps, pps)
	if err != nil {
		return fmt.Errorf("ffmpeg wrote pictures without parameters: %w", err)
	}
	if o.track == nil || !o.track.Codec.(*codec.H264).Equal(c) {
		o.track = &frame.Track{Codec: c}
	}
	return nil
}
