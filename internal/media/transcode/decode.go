package transcode

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"glimpse/internal/media/codec"
	"glimpse/internal/media/frame"
	"glimpse/internal/media/hub"
)

const (
	// MaxDecodedSide bounds decoded pictures, in pixels each way.
	MaxDecodedSide = 1920
	minDecodedSide = 16
	// A decoder whose pictures nobody else can give is looked after more closely
	// than a conversion: noticed and back within 5 s.
	decodeHangs = 3 * time.Second
	decodePause = 500 * time.Millisecond
)

// Decoding says which pictures of a run are wanted.
type Decoding struct {
	Width int     // in pixels, at most; see Fit
	FPS   float64 // at most so many pictures a second, at least 1
}

// Decoded is one picture, shared and read-only.
type Decoded struct {
	Frame         *frame.Frame // the access unit that it was made of, with its times
	Came          time.Time    // when that was read from the run
	Width, Height int
	// Planes are Y, Cb and Cr, each of Width times Height bytes without padding,
	// in full range and the colours of JPEG (BT.601, as in JFIF).
	Planes []byte
}

// DecodeSink takes what Decode makes. Picture is called by one goroutine at a
// time, the others by another; none may block.
type DecodeSink interface {
	// Picture takes a picture. Times rise.
	Picture(p Decoded)
	// Problem says why nothing comes, until the next picture.
	Problem(err error)
	// KeysOnly reports whether only key frames may be decoded, because others
	// need the machine more.
	KeysOnly() bool
	// Limited says that only key frames are decoded from now on, or all again.
	Limited(keysOnly bool)
}

// Fit returns the size of a decoded picture of a source: at most width wide, not
// larger than the source or MaxDecodedSide, even, of the same shape.
func Fit(width, sourceWidth, sourceHeight int) (w, h int) {
	if sourceWidth <= 0 || sourceHeight <= 0 {
		return 0, 0
	}
	w = min(width, sourceWidth, MaxDecodedSide)
	if w*sourceHeight > MaxDecodedSide*sourceWidth { // portrait: the height is what is bounded
		w = MaxDecodedSide * sourceWidth / sourceHeight
	}
	w = max(w&^1, minDecodedSide)
	h = (w*sourceHeight + sourceWidth) / (2 * sourceWidth) * 2
	return w, min(max(h, minDecodedSide), MaxDecodedSide)
}

// Decode decodes pictures of a run in one child, from the newest key frame on,
// until ctx or the run ends (nil). A picture's times are exactly those of the
// access unit it was made of. What stands in for a publisher that is away is not
// decoded. A child that dies or hangs is replaced; new parameters start a new one.
// When a child cannot keep up it is given key frames only, for a while.
func (t *Transcoder) Decode(ctx context.Context, run *hub.Run, d Decoding, sink DecodeSink) error {
	log := t.log.With("stream", run.Stream().ID(), "to", "decoded pictures")
	in := &decodeInput{sink: sink}
	return t.supervise(ctx, sink, log, decodePause, func() error {
		rd := run.Subscribe(hub.ReaderOptions{PictureWake: true, Passive: true})
		defer rd.Close()
		in.src = rd
		return t.decode(ctx, in, d)
	})
}

// decodable is a codec whose pictures can be given to a decoder one by one.
type decodable interface {
	codec.Video
	Decodable(payload []byte, key bool) []byte
	IVF() (fourCC, decoder string)
}

// decode runs one child, for one set of parameters.
func (t *Transcoder) decode(ctx context.Context, in *decodeInput, d Decoding) error {
	first, err := in.first(ctx)
	if err != nil {
		return err
	}
	c, ok := first.Track.Codec.(decodable)
	if !ok {
		return fmt.Errorf("no pictures of %s can be decoded", first.Track.Codec.Name())
	}
	clock := &pictureClock{base: first.PTS, tick: time.Microsecond}
	clock.slack = time.Duration(float64(time.Second) / d.FPS) // what is not chosen does not come
	out := decodeOutput{sink: in.sink, clock: clock, live: in.live}
	sourceWidth, sourceHeight := c.Size()
	out.width, out.height = Fit(d.Width, sourceWidth, sourceHeight)
	return t.pipe(ctx, &clock.stall, pipeline{
		args: decodeArgs(c, out.width, out.height, d.FPS), hangs: decodeHangs,
		feed: func(ctx context.Context, w io.Writer) error { return in.feed(ctx, w, c, clock) },
		read: out.read,
	})
}

// decodeArgs are the child's arguments (DETECT 2.1). The filter chooses pictures
// without drift: each is due one interval after the one before was due, not after
// it came. Without one thread for the encoder, raw as it is, each picture would
// wait for the next. Untagged pictures have the colours of their height.
func decodeArgs(c decodable, width, height int, fps float64) []string {
	interval := strconv.FormatFloat(1/fps, 'f', 6, 64)
	matrix := "bt601"
	if _, sourceHeight := c.Size(); sourceHeight >= 720 {
		matrix = "bt709"
	}
	choose := "select='if(gte(t,ld(0)-0.005),0*st(0,if(lt(t-ld(0)," + interval + "),ld(0)+" + interval + ",t+" + interval + "))+1,0)'"
	scale := fmt.Sprintf("scale=%d:%d:flags=area:in_color_matrix=%s:out_color_matrix=bt601:out_range=full", width, height, matrix)
	var decoder []string
	if _, name := c.IVF(); name != "" {
		decoder = []string{"-c:v", name}
	}
	return slices.Concat([]string{
		"-nostdin", "-hide_banner", "-loglevel", "error", "-flags", "low_delay", "-copyts", "-threads", "1",
		"-probesize", "32", "-analyzeduration", "0", "-fpsprobesize", "0", "-protocol_whitelist", "pipe",
	}, decoder, []string{
		"-f", "ivf", "-i", "pipe:0", "-map", "0:v:0", "-vf", choose + "," + scale, "-vsync", "passthrough", "-enc_time_base", "-1",
		"-pix_fmt", "yuvj444p", "-c:v", "rawvideo", "-threads:v", "1", "-flush_packets", "1", "-f", "nut", "pipe:1",
	})
}

// decodeInput feeds children, one after the other.
type decodeInput struct {
	sink    DecodeSink
	src     source
	load    load
	limited bool
	left    []*frame.Frame // read and not yet fed
	buf     []*frame.Frame
	came    time.Time     // when they were read
	dropped uint64        // of src
	live    time.Duration // pictures before it were there when the child began
	waitKey bool
}

// first waits for the key frame that the next child begins with.
func (in *decodeInput) first(ctx context.Context) (*frame.Frame, error) {
	in.left, in.dropped, in.waitKey = nil, 0, false
	for {
		frames, err := in.src.Next(ctx, in.buf)
		if err != nil {
			return nil, err
		}
		in.buf, in.left, in.came = frames, pictures(frames), time.Now()
		for i, f := range in.left {
			if f.Key {
				in.left = in.left[i:]
				in.live = in.left[len(in.left)-1].PTS
				return f, nil
			}
		}
	}
}

// pictures filters, in place: no sound, nothing of a hold.
func pictures(frames []*frame.Frame) []*frame.Frame {
	kept := frames[:0]
	for _, f := range frames {
		if f.IsVideo() && !f.Hold {
			kept = append(kept, f)
		}
	}
	return kept
}

// feed writes pictures until the source ends or its parameters change, or the
// child refuses.
func (in *decodeInput) feed(ctx context.Context, w io.Writer, c decodable, clock *pictureClock) error {
	width, height := c.Size()
	fourCC, _ := c.IVF()
	ivf, err := newIVFWriter(w, fourCC, width, height)
	if err != nil {
		return err
	}
	track := in.left[0].Track
	for {
		keys := in.limit(in.left)
		for _, f := range in.left {
			if f.Track != track || clock.at(f.PTS) > childLife {
				return errRenew
			}
			if in.waitKey = in.waitKey || keys; in.waitKey && !f.Key {
				continue
			}
			in.waitKey = false
			if clock.at(f.PTS) < 0 {
				continue
			}
			clock.feed(f, in.came)
			if err := ivf.write(clock.at(f.PTS), c.Decodable(f.Payload, f.Key)); err != nil {
				return fmt.Errorf("feed ffmpeg: %w", err)
			}
		}
		if in.buf, err = in.src.Next(ctx, in.buf); err != nil {
			return err
		}
		in.left, in.came = pictures(in.buf), time.Now()
	}
}

// dropper is a source that tells what it lost.
type dropper interface{ Dropped() uint64 }

// limit decides whether only key frames of a batch are fed, and tells changes.
func (in *decodeInput) limit(batch []*frame.Frame) bool {
	span, lost := time.Duration(0), false
	if n := len(batch); n > 0 && batch[0].PTS >= in.live { // what was there at the beginning is no backlog
		span = batch[n-1].DTS - batch[0].DTS
	}
	if d, ok := in.src.(dropper); ok {
		lost = d.Dropped() > in.dropped
		in.dropped = d.Dropped()
	}
	keys := in.load.batch(span, lost, time.Now()) || in.sink.KeysOnly()
	if keys != in.limited {
		in.limited = keys
		in.sink.Limited(keys)
	}
	return keys
}

// decodeOutput reads one child.
type decodeOutput struct {
	sink          DecodeSink
	clock         *pictureClock
	width, height int
	live          time.Duration
}

// read hands on a child's pictures until its output ends (nil) or is malformed.
func (o *decodeOutput) read(r io.Reader) error {
	size := 3 * o.width * o.height
	nut, err := newNUTReader(r, uint64(size))
	if errors.Is(err, io.EOF) {
		return nil
	}
	if err != nil {
		return err
	}
	for {
		told, data, err := nut.next()
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil
		}
		if err != nil {
			return err
		}
		f := o.clock.place(told)
		if f.Frame == nil || len(data) != size {
			return errors.New("ffmpeg wrote a picture that it was not given")
		}
		if f.PTS < o.live { // decoded for what follows it
			continue
		}
		o.sink.Picture(Decoded{Frame: f.Frame, Came: f.came, Width: o.width, Height: o.height, Planes: data})
	}
}
