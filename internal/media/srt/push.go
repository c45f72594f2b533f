package srt

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	gosrt "github.com/datarhei/gosrt"

	"glimpse/internal/media/frame"
)

// Options of Dial.
type Options struct {
	// Tracks are announced before the first frame. Frames of new tracks announce
	// themselves.
	Tracks []*frame.Track
}

// RefusedError is a listener's refusal to take the stream: trying again with the
// same URL is of little use.
type RefusedError struct {
	Code int // SRT rejection reason, for example 1401
}

// Error gives the code; SRT has no words.
func (e *RefusedError) Error() string {
	return fmt.Sprintf("srt: the listener refused the stream: code %d", e.Code)
}

// The errors of a Client, besides *RefusedError and those of the network.
var (
	ErrClosed  = errors.New("srt: closed")
	ErrAddress = errors.New("srt: the address must be srt://host:port?streamid=…")
	errGone    = errors.New("srt: closed by the peer, or lost")
)

// closeTime is how long the last packets may take to arrive.
const closeTime = 500 * time.Millisecond

// Client publishes one stream to an SRT listener. It has one goroutine, which
// waits for the end of the connection. WriteFrame is for one goroutine at a time;
// the other methods may be called from anywhere.
type Client struct {
	conn gosrt.Conn

	mu sync.Mutex // held while writing
	w  mediaWriter

	once sync.Once
	done chan struct{} // closed when the connection is over
}

// Dial connects to an srt URL with the query parameters streamid and passphrase
// (others are skipped). It returns when the listener has agreed, or when ctx
// ends, or after 3 s. Errors never show the stream id.
func Dial(ctx context.Context, rawURL string, o Options) (*Client, error) {
	address, cfg, err := parseTarget(rawURL)
	if err != nil {
		return nil, err
	}
	conn, err := gosrt.DialWithContext(ctx, "srt", address, cfg)
	if err != nil {
		return nil, dialError(err)
	}
	c := &Client{conn: conn, done: make(chan struct{})}
	c.w.out = &pacer{ctx: context.Background(), out: conn}
	go c.listen()
	if err := c.w.announce(o.Tracks); err != nil {
		_ = c.Close()
		return nil, err
	}
	return c, nil
}

// dialError finds a refusal's code in the library's sentence, which has it in
// base 32.
func dialError(err error) error {
	_, code, ok := strings.Cut(err.Error(), "REJECT (")
	if n, bad := strconv.ParseInt(strings.TrimSuffix(code, ")"), 32, 32); ok && bad == nil {
		return &RefusedError{Code: int(n)}
	}
	return fmt.Errorf("srt: connect: %w", err)
}

// parseTarget takes a URL apart by hand: the standard form of a stream id holds a
// "#", and nobody escapes it.
func parseTarget(raw string) (address string, cfg gosrt.Config, err error) {
	cfg = gosrt.DefaultConfig()
	rest, ok := strings.CutPrefix(raw, "srt://")
	host, query, _ := strings.Cut(rest, "?")
	name, port, bad := net.SplitHostPort(strings.TrimSuffix(host, "/"))
	if !ok || bad != nil || name == "" || port == "" {
		return "", cfg, ErrAddress
	}
	for pair := range strings.SplitSeq(query, "&") {
		key, value, _ := strings.Cut(pair, "=")
		if plain, err := url.PathUnescape(value); err == nil {
			value = plain
		}
		switch key {
		case "streamid":
			cfg.StreamId = value
		case "passphrase":
			cfg.Passphrase = value
		}
	}
	if cfg.Validate() != nil { // its errors say nothing of values, nor of URLs
		return "", cfg, ErrAddress
	}
	return net.JoinHostPort(name, port), cfg, nil
}

// WriteFrame sends a frame; it does not wait for the network, which drops what
// comes too late. The payload is not kept. Errors: those of a connection that is
// over, ErrClosed after Close.
func (c *Client) WriteFrame(f *frame.Frame) error {
	select {
	case <-c.done:
		return errGone
	default:
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.w.frame(f); err != nil {
		return fmt.Errorf("srt: %w", err)
	}
	if err := c.w.flush(); err != nil {
		if errors.Is(err, gosrt.ErrClientClosed) {
			return ErrClosed
		}
		return errGone
	}
	return nil
}

// Done is closed when the connection is over.
func (c *Client) Done() <-chan struct{} { return c.done }

// Close waits up to 500 ms for the last packets to arrive and ends the
// connection. Idempotent.
func (c *Client) Close() error {
	c.once.Do(func() {
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		late := time.After(closeTime)
		for waiting := true; waiting; {
			select {
			case <-tick.C:
				var st gosrt.Statistics
				c.conn.Stats(&st)
				waiting = st.Instantaneous.PktSendBuf > 0
			case <-late:
				waiting = false
			case <-c.done:
				waiting = false
			}
		}
		_ = c.conn.Close()
	})
	<-c.done
	return nil
}

// listen waits for the end, and then takes the last word of the library's reading
// goroutine, which would wait for ever to say it.
func (c *Client) listen() {
	defer close(c.done)
	for {
		if _, err := c.conn.ReadPacket(); err != nil {
			break
		}
	}
	_ = c.conn.Close()
	for range 100 {
		if _, err := c.conn.ReadPacket(); err != nil && !errors.Is(err, io.EOF) {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
}
