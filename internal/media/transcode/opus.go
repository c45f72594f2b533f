package transcode

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"glimpse/internal/media/codec"
	"glimpse/internal/media/flv"
	"glimpse/internal/media/frame"
	"glimpse/internal/media/hub"
)

const (
	// childStart is where a child's own clock starts: above 0, because muxers
	// shift a stream whose priming stands at negative times.
	childStart = time.Second
	// childLife ends before FLV's clock does (signed 32-bit milliseconds).
	childLife = 20 * 24 * time.Hour
	// opusFrame is the length of each packet.
	opusFrame = 20 * time.Millisecond
	// resyncAfter is how far counted times may be off the announced ones
	// before those count (MEDIA T2).
	resyncAfter = 40 * time.Millisecond
	// backlog is how much sound of the past a new child converts: listeners
	// start live.
	backlog = 200 * time.Millisecond
	// opusMaxBytes is the most that a packet of 20 ms can need (RFC 6716 §3.2.1).
	opusMaxBytes = 1275
	// steady is how long a child must live to count as sound again.
	steady = time.Minute
	// The times between a child's death and the next start.
	firstPause, longestPause = time.Second, 30 * time.Second
)

// Why a child is replaced without having failed.
var errRenew = errors.New("new parameters")

// errHung is why a child was killed.
var errHung = errors.New("ffmpeg gave nothing for too long")

// Opus converts the AAC of a run to Opus and calls emit with each packet, from
// its own goroutine, until ctx or the run ends; then it returns ctx.Err() or
// nil. It runs one child, restarted with back-off from 1 to 30 s when it dies,
// hangs for HangAfter or writes nonsense; pictures and other runs do not notice.
// It returns at once with ErrMissing without ffmpeg, with ErrClosed after Close.
// A run without AAC has no child: Opus waits for sound to come.
//
// Frames are 20 ms of 48 kHz, mono if the source is, otherwise stereo, on the
// run's timeline with priming and pre-skip accounted for; PTS strictly increase.
// All share one Track until the number of channels changes.
func (t *Transcoder) Opus(ctx context.Context, run *hub.Run, emit func(*frame.Frame)) error {
	rd := run.Subscribe(hub.ReaderOptions{})
	defer rd.Close()
	return t.opus(ctx, rd, emit, t.log.With("stream", run.Stream().ID()))
}

// source is where frames come from: a *hub.Reader.
type source interface {
	Next(ctx context.Context, buf []*frame.Frame) ([]*frame.Frame, error)
}

func (t *Transcoder) opus(ctx context.Context, src source, emit func(*frame.Frame), log *slog.Logger) error {
	in := &soundInput{src: src}
	out := &soundOutput{emit: emit, last: -1}
	pause := firstPause
	for {
		track, err := in.wait(ctx)
		if err == nil {
			begun := time.Now()
			err = t.convert(ctx, in, out, track)
			if time.Since(begun) > steady {
				pause = firstPause
			}
		}
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case t.ctx.Err() != nil:
			return ErrClosed
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, ErrMissing):
			return err
		case errors.Is(err, errRenew):
			continue
		}
		log.Warn("sound conversion failed", "err", err, "retry_in", pause)
		if err := sleep(ctx, t.ctx, pause); err != nil {
			return err
		}
		pause = min(2*pause, longestPause)
	}
}

func sleep(ctx, closed context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-closed.Done():
		return ErrClosed
	}
}

// convert runs one child. It returns errRenew when the source changed, io.EOF
// when it ended, otherwise why the child failed.
func (t *Transcoder) convert(caller context.Context, in *soundInput, out *soundOutput, track *frame.Track) error {
	ctx, cancel := context.WithCancelCause(caller)
	defer cancel(nil)
	aac := track.Codec.(*codec.AAC)
	channels := min(aac.Channels, 2)
	c, err := t.start(ctx, job{args: opusArgs(channels)})
	if err != nil {
		return err
	}
	clock := &soundClock{}
	var tasks sync.WaitGroup
	var fed error
	tasks.Go(func() {
		fed = in.feed(ctx, c.stdin, track, clock)
		if err := c.stdin.Close(); fed == nil {
			fed = err
		}
	})
	tasks.Go(func() { clock.watch(ctx, t.cfg.HangAfter, func() { cancel(errHung) }) })
	err = out.read(c.stdout, channels, clock)
	hung := errors.Is(context.Cause(ctx), errHung)
	cancel(nil) // after a clean end this kills nobody: the output is at its end
	died := c.wait()
	tasks.Wait()
	switch {
	case caller.Err() != nil || t.ctx.Err() != nil:
		return context.Canceled
	case hung:
		err = errHung
	case errors.Is(fed, errRenew), errors.Is(fed, io.EOF):
		return fed
	case died != nil && err == nil:
		err = died
	case err == nil:
		err = errors.New("ffmpeg ended by itself")
	}
	t.failed.Add(1)
	return err
}

// opusArgs are the child's arguments; they probe nothing, so that the first
// packet comes as soon as a process can start.
func opusArgs(channels int) []string {
	return []string{
		"-nostdin", "-hide_banner", "-loglevel", "error", "-copyts", "-threads", "1",
		"-probesize", "32", "-analyzeduration", "0", "-protocol_whitelist", "pipe", "-f", "flv", "-i", "pipe:0",
		"-map", "0:a:0", "-c:a", "libopus", "-ac", strconv.Itoa(channels), "-b:a", strconv.Itoa(32+32*channels) + "k",
		"-frame_duration", "20", "-flush_packets", "1", "-f", "nut", "pipe:1",
	}
}

// soundInput feeds the AAC of a source to one child after the other. One
// goroutine at a time.
type soundInput struct {
	src  source
	buf  []*frame.Frame
	left []*frame.Frame // of buf, not yet used
}

// wait returns the track of the newest sound, leaving what is fresh enough to
// be converted, and waits until there is some.
func (in *soundInput) wait(ctx context.Context) (*frame.Track, error) {
	for {
		if len(in.left) == 0 {
			if err := in.fill(ctx); err != nil {
				return nil, err
			}
		}
		newest := in.left[len(in.left)-1].PTS
		for i, f := range in.left {
			if _, ok := f.Track.Codec.(*codec.AAC); ok && newest-f.PTS <= backlog {
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
func (in *soundInput) feed(ctx context.Context, w io.Writer, track *frame.Track, clock *soundClock) error {
	aac := track.Codec.(*codec.AAC)
	tags := flv.NewWriter(w)
	if err := tags.WriteTrack(track); err != nil {
		return err
	}
	for samples := time.Duration(0); ; {
		if len(in.left) == 0 {
			if err := in.fill(ctx); err != nil {
				return err
			}
		}
		f := in.left[0]
		at := childStart + samples*time.Second/time.Duration(aac.SampleRate)
		if f.Track.Kind() == frame.Audio && f.Track != track || at > childLife {
			return errRenew
		}
		in.left = in.left[1:]
		if f.Track != track {
			continue
		}
		clock.feed(at, f)
		if err := tags.WriteFrame(&frame.Frame{Track: track, PTS: at, DTS: at, Payload: f.Payload}); err != nil {
			return fmt.Errorf("feed ffmpeg: %w", err)
		}
		samples += codec.AACFrameSamples
	}
}

// soundOutput turns children's output into frames of one ever rising timeline.
type soundOutput struct {
	emit  func(*frame.Frame)
	track *frame.Track
	last  time.Duration // PTS of the frame before
}

// read emits a child's packets until its output ends (nil) or is malformed.
func (o *soundOutput) read(r io.Reader, channels int, clock *soundClock) error {
	nut, err := newNUTReader(r)
	if errors.Is(err, io.EOF) {
		return nil
	}
	if err != nil {
		return err
	}
	if o.track == nil || o.track.Codec.(*codec.Opus).Channels != channels {
		o.track = &frame.Track{Codec: &codec.Opus{Channels: channels}}
	}
	// Times are counted; those that are read back carry the rounding of FLV.
	var at time.Duration
	for {
		told, packet, err := nut.next()
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if len(packet) == 0 || len(packet) > opusMaxBytes {
			return fmt.Errorf("ffmpeg wrote an Opus packet of %d bytes", len(packet))
		}
		if at += opusFrame; (told-at).Abs() > resyncAfter || at == opusFrame {
			at = told
		}
		f := clock.place(at)
		if f.PTS < 0 || f.PTS <= o.last {
			continue // the encoder's priming
		}
		o.last = f.PTS
		f.Track, f.Payload = o.track, packet
		o.emit(f)
	}
}
