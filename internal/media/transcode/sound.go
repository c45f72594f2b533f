package transcode

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"glimpse/internal/media/frame"
	"glimpse/internal/media/hub"
)

const (
	// childStart is where a child's own clock starts: above 0, because muxers
	// shift a stream whose priming stands at negative times.
	childStart = time.Second
	// childLife ends before FLV's clock does (signed 32-bit milliseconds).
	childLife = 20 * 24 * time.Hour
	// resyncAfter is how far counted times may be off the announced ones
	// before those count (MEDIA T2).
	resyncAfter = 40 * time.Millisecond
)

// Opus emits a run's sound as Opus, from the calling goroutine, until ctx or the
// run ends; then it returns ctx.Err() or nil. Frames are live, on the run's
// timeline, and their PTS strictly increase.
func (t *Transcoder) Opus(ctx context.Context, run *hub.Run, emit func(*frame.Frame)) error {
	rd := run.Subscribe(hub.ReaderOptions{Sound: hub.SoundOpus, SoundOnly: true})
	defer rd.Close()
	var frames []*frame.Frame
	for {
		var err error
		if frames, err = rd.Next(ctx, frames); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		for _, f := range frames {
			emit(f)
		}
	}
}

// Convert implements hub.Converter for AAC to Opus and back: 20 ms a packet, mono
// if the source is and otherwise stereo; AAC-LC at 48 kHz, stereo. It runs one
// child, restarted with back-off from 1 to 30 s when it dies, hangs for HangAfter
// or writes nonsense; pictures and other runs do not notice. Times count exactly,
// with the codecs' priming and pre-skip accounted for; PTS strictly increase.
func (t *Transcoder) Convert(ctx context.Context, run *hub.Run, sink *hub.SoundSink) error {
	to, ok := outputs()[sink.Form()]
	if !ok {
		return fmt.Errorf("no conversion to %s", sink.Form())
	}
	rd := run.Subscribe(hub.ReaderOptions{SoundOnly: true, Back: to.backlog})
	defer rd.Close()
	return t.keepConverting(ctx, rd, to, sink, t.log.With("stream", run.Stream().ID(), "to", to.form))
}

// source is where frames come from: a *hub.Reader.
type source interface {
	Next(ctx context.Context, buf []*frame.Frame) ([]*frame.Frame, error)
}

// sink is where frames go: a *hub.SoundSink.
type sink interface {
	Write(f *frame.Frame)
	Problem(err error)
}

func (t *Transcoder) keepConverting(ctx context.Context, src source, to output, dst sink, log *slog.Logger) error {
	in := &soundInput{src: src, to: to}
	out := &soundOutput{dst: dst, to: to, last: -1}
	return t.supervise(ctx, dst, log, firstPause, func() error {
		track, err := in.wait(ctx)
		if err != nil {
			return err
		}
		return t.convert(ctx, in, out, track)
	})
}

// convert runs one child.
func (t *Transcoder) convert(ctx context.Context, in *soundInput, out *soundOutput, track *frame.Track) error {
	from, clock := inputs()[hub.Sound(track.Codec.Name())], &soundClock{}
	return t.pipe(ctx, &clock.stall, pipeline{
		args: soundArgs(from.format, out.to, track),
		feed: func(ctx context.Context, w io.Writer) error { return in.feed(ctx, w, from, track, clock) },
		read: func(r io.Reader) error { return out.read(r, clock) },
	})
}

// soundInput feeds a source's sound to one child after the other. One goroutine
// at a time.
type soundInput struct {
	src  source
	to   output
	buf  []*frame.Frame
	left []*frame.Frame // of buf, not yet used
}

// wait returns the track of the newest sound that has to be converted, leaving
// what is fresh enough, and waits until there is some.
func (in *soundInput) wait(ctx context.Context) (*frame.Track, error) {
	for {
		if len(in.left) == 0 {
			if err := in.fill(ctx); err != nil {
				return nil, err
			}
		}
		newest := in.left[len(in.left)-1].PTS
		for i, f := range in.left {
			if in.to.wants(f.Track) && newest-f.PTS <= in.to.backlog {
				in.left = in.left[i:]
				return f.Track, nil
			}
		}
		in.left = nil
	}
}

func (in *soundInput) fill(ctx context.Context) (err error) {
	in.buf, err = in.src.Next(ctx, in.buf)
	in.left = in.buf
	return err
}

// feed writes frames of one track until it ends, changes, or the child refuses.
func (in *soundInput) feed(ctx context.Context, w io.Writer, from input, track *frame.Track, clock *soundClock) error {
	dst, err := from.open(w, track)
	if err != nil {
		return err
	}
	for samples := int64(0); ; {
		if len(in.left) == 0 {
			if err := in.fill(ctx); err != nil {
				return err
			}
		}
		f := in.left[0]
		if f.IsVideo() {
			in.left = in.left[1:]
			continue
		}
		rate, n := track.Codec.(sampled).Samples(f.Payload)
		at := childStart + length(samples, rate)
		if f.Track != track || at > childLife {
			return errRenew
		}
		in.left = in.left[1:]
		clock.feed(at, f)
		if err := dst.WriteFrame(&frame.Frame{Track: track, PTS: at, DTS: at, Payload: f.Payload}); err != nil {
			return fmt.Errorf("feed ffmpeg: %w", err)
		}
		samples += n
	}
}

// length of a number of samples, exact for years.
func length(samples int64, rate int) time.Duration {
	r := int64(rate)
	return time.Duration(samples/r)*time.Second + time.Duration(samples%r)*time.Second/time.Duration(r)
}

// soundOutput turns children's output into frames of one ever rising timeline.
type soundOutput struct {
	dst  sink
	to   output
	last time.Duration // PTS of the frame before
}

// read hands on a child's packets until its output ends (nil) or is malformed.
func (o *soundOutput) read(r io.Reader, clock *soundClock) error {
	nut, err := newNUTReader(r, nutMaxPacket)
	if errors.Is(err, io.EOF) {
		return nil
	}
	if err != nil {
		return err
	}
	// Times are counted; those that are read back carry the rounding of FLV.
	var from time.Duration
	for count := int64(0); ; count++ {
		told, packet, err := nut.next()
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if len(packet) == 0 || len(packet) > o.to.maxBytes {
			return fmt.Errorf("ffmpeg wrote a packet of %d bytes", len(packet))
		}
		at := from + length(count*o.to.samples, soundRate)
		if count == 0 || (told-at).Abs() > resyncAfter {
			at, from, count = told, told, 0
		}
		f := clock.place(at)
		if f.PTS < 0 || f.PTS <= o.last {
			continue // the encoder's priming
		}
		o.last = f.PTS
		f.Payload = packet
		o.dst.Write(f)
	}
}
