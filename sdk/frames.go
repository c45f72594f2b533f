package sdk

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"

	"glimpse/protocol"
)

// maxFrame bounds a message with a picture: RGB of the largest.
const maxFrame = 3*1920*1920 + 64<<10

// Format of pictures.
type Format string

// The formats of pictures.
const (
	JPEG Format = "jpeg"
	RGB  Format = "rgb"  // 3 bytes a pixel, rows from the top without padding
	Gray Format = "gray" // 1 byte a pixel, likewise
)

// FrameOptions say which pictures are wanted. The zero value is 10 JPEGs a second
// of 640 pixels in width.
type FrameOptions struct {
	FPS    float64 // at most so many a second, 0.1 to 30
	Width  int     // at most so many pixels, up to 1920 and the source's own
	Format Format
	// OnState is called when the state of the pictures changes, from the loop's
	// own goroutine between two pictures; may be nil.
	OnState func(protocol.State)
}

func (o FrameOptions) query() url.Values {
	q := url.Values{}
	if o.FPS > 0 {
		q.Set("fps", strconv.FormatFloat(o.FPS, 'f', -1, 64))
	}
	if o.Width > 0 {
		q.Set("width", strconv.Itoa(o.Width))
	}
	if o.Format != "" {
		q.Set("format", string(o.Format))
	}
	return q
}

// Frame is a decoded picture. Data is the caller's.
type Frame struct {
	Seq           uint64 // a gap is what was lost on the way
	Epoch         uint32 // of the stream's clock: PTS of different epochs do not compare
	PTS           time.Duration
	RTP           uint32        // what WebRTC viewers see of the same picture
	Wall          time.Time     // when it was captured, by the cloud's clock
	Age           time.Duration // from its arrival at the cloud until it was sent
	Dropped       uint64        // pictures lost since the one before: by the cloud, and because the loop was busy
	Width, Height int
	Source        image.Point // size of the stream
	Format        Format
	Data          []byte
}

// Image decodes or wraps the data.
func (f Frame) Image() (image.Image, error) {
	bounds := image.Rect(0, 0, f.Width, f.Height)
	switch f.Format {
	case Gray:
		return &image.Gray{Pix: f.Data, Stride: f.Width, Rect: bounds}, nil
	case RGB:
		img := image.NewRGBA(bounds)
		for i := 0; i < f.Width*f.Height; i++ {
			img.Pix[4*i], img.Pix[4*i+1], img.Pix[4*i+2], img.Pix[4*i+3] = f.Data[3*i], f.Data[3*i+1], f.Data[3*i+2], 0xff
		}
		return img, nil
	}
	return jpeg.Decode(bytes.NewReader(f.Data))
}

// Frames iterates over the stream's pictures, the newest first: what comes while
// the loop is busy replaces what waits, and is counted. A lost connection is made
// again, for as long as ctx lasts; it ends silently with ctx. An *Error, its last
// word, says that the app may not have pictures or that the stream is over.
func (l Live) Frames(ctx context.Context, o FrameOptions) iter.Seq2[Frame, error] {
	return func(yield func(Frame, error) bool) {
		at, err := l.at("frames", o.query())
		if err != nil {
			yield(Frame{}, err)
			return
		}
		lasting(ctx, func() (bool, error) { return l.follow(ctx, at, o, yield) }, func(err error) {
			switch {
			case err != nil:
				yield(Frame{}, err)
			case o.OnState != nil:
				o.OnState(protocol.State{Type: protocol.TypeState, State: protocol.StateStarting, Reason: "The connection to the cloud is lost and made again."})
			}
		})
	}
}

// follow yields the pictures of one connection; got says whether there were any.
func (l Live) follow(ctx context.Context, at string, o FrameOptions, yield func(Frame, error) bool) (got bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	dial, dialled := context.WithTimeout(ctx, connectWait)
	defer dialled()
	ws, res, err := websocket.Dial(dial, "ws"+strings.TrimPrefix(at, "http"), &websocket.DialOptions{HTTPClient: l.client(), HTTPHeader: l.header()})
	if err != nil {
		cancel()
		if res != nil && res.StatusCode != http.StatusSwitchingProtocols {
			return false, answered(res)
		}
		return false, fmt.Errorf("connect: %w", err)
	}
	ws.SetReadLimit(maxFrame)
	s := &slot{wake: make(chan struct{}, 1)}
	var reader sync.WaitGroup
	reader.Go(func() { s.fill(ctx, ws) })
	defer func() {
		_ = ws.CloseNow()
		cancel()
		reader.Wait()
	}()
	for {
		states, f, err := s.take(ctx)
		for _, st := range states {
			if o.OnState != nil {
				o.OnState(st)
			}
		}
		if f != nil {
			got = true
			if !yield(*f, nil) {
				return got, errBreak
			}
		}
		if err != nil {
			return got, err
		}
	}
}

// slot holds the newest picture between the connection and the loop.
type slot struct {
	wake chan struct{}

	mu     sync.Mutex
	frame  *Frame
	states []protocol.State
	source image.Point
	err    error
}

// fill reads the connection to its end.
func (s *slot) fill(ctx context.Context, ws *websocket.Conn) {
	for {
		read, cancel := context.WithTimeout(ctx, frameSilence)
		kind, r, err := ws.Reader(read)
		var b []byte
		if err == nil {
			b, err = io.ReadAll(r)
		}
		cancel()
		if err == nil {
			err = s.put(kind == websocket.MessageBinary, b)
		}
		if err != nil {
			s.fail(err)
			return
		}
	}
}

// frameSilence is how long nothing may come: the cloud repeats itself each 10 s.
const frameSilence = 25 * time.Second

// put takes one message.
func (s *slot) put(picture bool, b []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.signal()
	if picture {
		f, err := parseFrame(b)
		if err != nil {
			return err
		}
		f.Source = s.source
		if s.frame != nil {
			f.Dropped += s.frame.Dropped + 1
		}
		s.frame = f
		return nil
	}
	var m struct {
		protocol.State
		SourceWidth  int `json:"source_width"`
		SourceHeight int `json:"source_height"`
	}
	if err := json.Unmarshal(b, &m); err != nil {
		return fmt.Errorf("sdk: a message that is not one: %w", err)
	}
	switch m.Type {
	case protocol.TypeHello:
		s.source = image.Pt(m.SourceWidth, m.SourceHeight)
	case protocol.TypeState:
		s.states = append(s.states[max(0, len(s.states)-maxQueued):], m.State)
	}
	return nil
}

// parseFrame reads a binary message.
func parseFrame(b []byte) (*Frame, error) {
	if len(b) < 4 || uint64(binary.BigEndian.Uint32(b)) > uint64(len(b)-4) {
		return nil, errors.New("sdk: a picture without its header")
	}
	n := int(binary.BigEndian.Uint32(b))
	var h protocol.FrameHeader
	if err := json.Unmarshal(b[4:4+n], &h); err != nil {
		return nil, fmt.Errorf("sdk: a picture's header: %w", err)
	}
	f := &Frame{
		Seq: h.Seq, Epoch: h.Epoch, PTS: fromMillis(h.PTS), RTP: h.RTP, Wall: time.UnixMicro(int64(h.Wall * 1000)),
		Age: fromMillis(h.Age), Dropped: h.Dropped, Width: h.Width, Height: h.Height, Format: Format(h.Format), Data: b[4+n:],
	}
	size, fixed := map[Format]int{RGB: 3, Gray: 1}[f.Format]
	if h.Width <= 0 || h.Height <= 0 || h.Width > 1<<15 || h.Height > 1<<15 || fixed && len(f.Data) != size*h.Width*h.Height {
		return nil, fmt.Errorf("sdk: a picture of %dx%d in %d bytes", h.Width, h.Height, len(f.Data))
	}
	return f, nil
}

// fromMillis is a time in milliseconds, to the nanosecond.
func fromMillis(ms float64) time.Duration {
	return time.Duration(ms*float64(time.Millisecond) + 0.5)
}

func (s *slot) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = errors.Join(errGoing, err)
	s.signal()
}

func (s *slot) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// take waits for what is new.
func (s *slot) take(ctx context.Context) ([]protocol.State, *Frame, error) {
	for {
		s.mu.Lock()
		states, f, err := s.states, s.frame, s.err
		s.states, s.frame = nil, nil
		s.mu.Unlock()
		if len(states) > 0 || f != nil || err != nil {
			return states, f, err
		}
		select {
		case <-s.wake:
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		}
	}
}
