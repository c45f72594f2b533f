package srt

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"glimpse/internal/media/frame"
	"glimpse/internal/media/srt/live"
)

// Options of Dial.
type Options struct {
	// Tracks are announced before the first frame. Frames of new tracks announce
	// themselves.
	Tracks []*frame.Track
}

// RefusedError is a listener's refusal to take the stream: trying again with the
// same URL is of little use.
type RefusedError = live.RefusedError

// The errors of a Client, besides *RefusedError and those of the network.
var (
	ErrClosed  = errors.New("srt: closed")
	ErrAddress = errors.New("srt: the address must be srt://host:port?streamid=…, a passphrase of 10 to 79 characters")
	errGone    = errors.New("srt: closed by the peer, or lost")
)

const dialTime = 5 * time.Second

// Client publishes one stream to an SRT listener. It has one goroutine of its own
// beside those of its socket, which waits for the end of the connection and ends
// before Close returns. WriteFrame is for one goroutine at a time; the other
// methods may be called from anywhere.
type Client struct {
	conn *live.Conn

	mu sync.Mutex // held while writing
	w  mediaWriter

	stop context.CancelFunc // of the pacer
	once sync.Once
	done chan struct{} // closed when the connection is over
}

// Dial connects to an srt URL with the query parameters streamid, passphrase,
// pbkeylen (bytes) and latency (microseconds, as ffmpeg has it); others are
// skipped. It returns when the listener has agreed, or when ctx ends, or after
// 5 s. Errors never show the stream id or the passphrase.
func Dial(ctx context.Context, rawURL string, o Options) (*Client, error) {
	address, settings, err := parseTarget(rawURL)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	conn, err := live.Dial(ctx, address, settings)
	if err != nil {
		return nil, err
	}
	c := &Client{conn: conn, done: make(chan struct{})}
	pacing, stop := context.WithCancel(context.Background())
	c.stop, c.w = stop, mediaWriter{open: alone, out: &pacer{ctx: pacing, out: conn}, size: chunkSize(conn.PayloadSize())}
	go c.listen()
	if err := c.w.Announce(o.Tracks); err != nil {
		_ = c.Close()
		return nil, err
	}
	return c, nil
}

// Probe shakes hands with a listener, as Dial does, and hangs up.
func Probe(ctx context.Context, rawURL string) error {
	address, settings, err := parseTarget(rawURL)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	conn, err := live.Dial(ctx, address, settings)
	if err != nil {
		return err
	}
	return conn.Close()
}

// maxLatency is what a URL may ask for, in microseconds.
const maxLatency = 60_000_000

// parseTarget takes a URL apart by hand: the standard form of a stream id holds a
// "#", and nobody escapes it.
func parseTarget(raw string) (address string, o live.Options, err error) {
	rest, ok := strings.CutPrefix(raw, "srt://")
	host, query, _ := strings.Cut(rest, "?")
	name, port, bad := net.SplitHostPort(strings.TrimSuffix(host, "/"))
	if n, err := strconv.ParseUint(port, 10, 16); !ok || bad != nil || name == "" || err != nil || n == 0 {
		return "", o, ErrAddress
	}
	for pair := range strings.SplitSeq(query, "&") {
		key, value, _ := strings.Cut(pair, "=")
		if plain, err := url.PathUnescape(value); err == nil {
			value = plain
		}
		number, _ := strconv.Atoi(value) // 0, the default, when it is none
		switch key {
		case "streamid":
			o.StreamID = value
		case "passphrase":
			o.Passphrase = value
		case "pbkeylen":
			o.KeyLength = number
		case "latency":
			o.Latency = time.Duration(max(-1, min(number, maxLatency+1))) * time.Microsecond
		}
	}
	n := len(o.Passphrase)
	if len(o.StreamID) > 512 || o.Latency < 0 || o.Latency > maxLatency*time.Microsecond || (n > 0 && (n < live.MinPassphrase || n > live.MaxPassphrase)) ||
		!slices.Contains([]int{0, 16, 24, 32}, o.KeyLength) {
		return "", o, ErrAddress
	}
	return net.JoinHostPort(name, port), o, nil
}

// WriteFrame sends a frame; it does not wait for the network, which drops what
// comes too late. The payload is not kept. Errors: those of a connection that is
// over, ErrClosed after Close.
func (c *Client) WriteFrame(f *frame.Frame) error { return c.WriteFrames([]*frame.Frame{f}) }

// WriteFrames is WriteFrame of several.
func (c *Client) WriteFrames(frames []*frame.Frame) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, f := range frames {
		if err := c.w.Frame(f); err != nil {
			return fmt.Errorf("srt: %w", err)
		}
	}
	switch err := c.w.Flush(); {
	case errors.Is(err, net.ErrClosed):
		return ErrClosed
	case err != nil:
		return errGone
	}
	return nil
}

// Done is closed when the connection is over.
func (c *Client) Done() <-chan struct{} { return c.done }

// Drain waits until the listener has handed out everything that was written, at most 2 s
// longer than its latency, or until ctx ends. Nothing may be written afterwards; Close
// follows.
func (c *Client) Drain(ctx context.Context) { c.conn.Drain(ctx) }

// Close ends the connection at once: what is under way, or waits at the listener for its
// time, is lost (Drain). Idempotent.
func (c *Client) Close() error {
	c.once.Do(func() {
		c.stop()
		_ = c.conn.Close()
	})
	<-c.done
	return nil
}

// listen waits for the end: a listener says nothing else.
func (c *Client) listen() {
	defer close(c.done)
	for {
		if _, err := c.conn.Read(); err != nil {
			return
		}
	}
}
