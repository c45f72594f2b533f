package rtmp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"glimpse/internal/media/frame"
)

// Options of Dial. Zero fields take the defaults.
type Options struct {
	// Tracks are announced before the first frame. Frames of other tracks, or of
	// new ones, announce themselves.
	Tracks []*frame.Track
	// Dial makes the TCP connection; default net.Dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// TLS is for rtmps URLs; default the system's roots and the URL's host name.
	TLS *tls.Config
	// Passed is told the name of each stage that is passed: "tcp", "tls" (rtmps
	// only), "rtmp" (connect and createStream). Nil: nobody.
	Passed func(stage string)
}

func (o Options) passed(stage string) {
	if o.Passed != nil {
		o.Passed(stage)
	}
}

// RefusedError is a server's refusal to take the stream: trying again with the
// same URL is of little use. Neither field repeats the stream's key.
type RefusedError struct {
	Code        string // for example NetStream.Publish.BadName; may be empty
	Description string
}

// Error gives the server's words.
func (e *RefusedError) Error() string {
	return strings.TrimSpace(fmt.Sprintf("rtmp: the server refused the stream: %s %s", e.Code, e.Description))
}

// The errors of a Client, besides *RefusedError and those of the network.
var (
	ErrClosed  = errors.New("rtmp: closed")
	ErrAddress = errors.New("rtmp: the address must be rtmp://host[:port]/app/key or rtmps://…")
)

// closeTime is how long a goodbye may take.
const closeTime = time.Second

// Client publishes one stream to an RTMP server. It has one goroutine, which
// reads what the server says and ends before Close returns. WriteFrame is for
// one goroutine at a time; the other methods may be called from anywhere.
type Client struct {
	conn   net.Conn
	chunks *chunkReader
	target target

	mu sync.Mutex // held while writing
	w  *mediaWriter

	once    sync.Once
	closing atomic.Bool
	done    chan struct{} // closed when the reading goroutine has ended
	ended   error         // why; valid after done
}

// Dial connects to an rtmp or rtmps URL, whose last path segment, with the
// query, is the stream's key, and asks to publish there. It returns when the
// server has agreed, or after 10 s or when ctx ends. Errors never show the key.
func Dial(ctx context.Context, rawURL string, o Options) (*Client, error) {
	c, err := agree(ctx, rawURL, o, func(c *Client) error {
		stream, err := c.open(o.Tracks, true)
		if err != nil {
			return err
		}
		o.passed("rtmp")
		if err := c.publish(stream); err != nil {
			return err
		}
		c.w = newMediaWriter(c.conn, stream, writeTime)
		if err := c.w.Announce(o.Tracks); err != nil {
			return err
		}
		return c.w.Flush()
	})
	if err != nil {
		return nil, err
	}
	go c.listen()
	return c, nil
}

// Probe goes as far as Dial without publishing: it connects, asks for a stream
// (connect, createStream) and hangs up. The server never hears the key, so
// nothing that is on air there is disturbed.
func Probe(ctx context.Context, rawURL string, o Options) error {
	c, err := agree(ctx, rawURL, o, func(c *Client) error {
		_, err := c.open(o.Tracks, false)
		return err
	})
	if err != nil {
		return err
	}
	o.passed("rtmp")
	return c.conn.Close()
}

// agree connects and does what both sides have to agree on, within 10 s.
func agree(ctx context.Context, rawURL string, o Options, talk func(*Client) error) (*Client, error) {
	target, err := parseTarget(rawURL)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, actionTime)
	defer cancel()
	conn, err := target.dial(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("rtmp: connect: %w", err)
	}
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	c := &Client{conn: conn, target: target, chunks: newChunkReader(conn, strangerLimits()), done: make(chan struct{})}
	if err := talk(c); err != nil {
		_ = conn.Close()
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, fmt.Errorf("rtmp: publish: %w", err)
	}
	return c, nil
}

// target is what a URL says.
type target struct {
	host, address string // name for TLS, and where to connect
	secure        bool
	tcURL         string // scheme, host and application
	app, key      string
}

// parseTarget takes a URL apart. The key is the last path segment and the query;
// a query before the last slash belongs to the application (YouTube's backup).
func parseTarget(raw string) (target, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Hostname() == "" || (u.Scheme != "rtmp" && u.Scheme != "rtmps") {
		return target{}, ErrAddress // url's own error would repeat the key
	}
	t := target{host: u.Hostname(), secure: u.Scheme == "rtmps"}
	path := strings.TrimPrefix(u.EscapedPath(), "/")
	cut := strings.LastIndexByte(path, '/')
	if u.RawQuery != "" {
		path += "?" + u.RawQuery
	}
	if cut < 0 {
		cut = strings.LastIndexByte(path, '/')
	}
	if cut <= 0 || cut == len(path)-1 {
		return target{}, ErrAddress
	}
	t.app, t.key = path[:cut], path[cut+1:]
	port := u.Port()
	if port == "" {
		port = "1935"
		if t.secure {
			port = "443"
		}
	}
	t.address = net.JoinHostPort(t.host, port)
	if _, _, err := net.SplitHostPort(t.address); err != nil {
		return target{}, ErrAddress // a lonely bracket
	}
	t.tcURL = u.Scheme + "://" + u.Host + "/" + t.app
	return t, nil
}

func (t *target) dial(ctx context.Context, o Options) (net.Conn, error) {
	dial := o.Dial
	if dial == nil {
		dial = (&net.Dialer{}).DialContext
	}
	conn, err := dial(ctx, "tcp", t.address)
	if err != nil {
		return nil, err
	}
	o.passed("tcp")
	keepShort(conn)
	if !t.secure {
		return conn, nil
	}
	cfg := &tls.Config{}
	if o.TLS != nil {
		cfg = o.TLS.Clone()
	}
	cfg.DynamicRecordSizingDisabled = true
	if cfg.ServerName == "" {
		cfg.ServerName = t.host
	}
	secure := seal(conn, tls.Client, cfg)
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("tls: %w", err)
	}
	o.passed("tls")
	return secure, nil
}

// WriteFrame sends a frame and blocks while the network is slower than the
// frames; when a write makes no progress for 10 s the connection is over. Times
// are rebased to 0 with the first frame. The payload is not kept. Errors:
// *RefusedError when the server said why, ErrClosed after Close.
func (c *Client) WriteFrame(f *frame.Frame) error { return c.WriteFrames([]*frame.Frame{f}) }

// WriteFrames is WriteFrame of several, in one write.
func (c *Client) WriteFrames(frames []*frame.Frame) error {
	select {
	case <-c.done:
		return c.ended
	default:
	}
	c.mu.Lock()
	var err error
	for _, f := range frames {
		if err = c.w.Frame(f); err != nil {
			break
		}
	}
	if err == nil {
		err = c.w.Flush()
	}
	c.mu.Unlock()
	if err == nil {
		return nil
	}
	// The server may have said why: what it sent is read to the end first.
	_ = c.conn.SetReadDeadline(time.Now().Add(closeTime / 5))
	<-c.done
	if errors.Is(c.ended, errSilent) {
		return fmt.Errorf("rtmp: write: %w", err)
	}
	return c.ended
}

// Done is closed when the connection is over; Err says why.
func (c *Client) Done() <-chan struct{} { return c.done }

// Err returns nil while the connection stands.
func (c *Client) Err() error {
	select {
	case <-c.done:
		return c.ended
	default:
		return nil
	}
}

// Drain has nothing to wait for: what was written is read before the goodbye of Close.
func (c *Client) Drain(context.Context) {}

// Close says goodbye (deleteStream) and ends the connection, within a second
// even when a WriteFrame blocks, which then returns. Idempotent.
func (c *Client) Close() error {
	c.once.Do(func() {
		c.closing.Store(true)
		force := time.AfterFunc(closeTime, func() { _ = c.conn.Close() })
		defer force.Stop()
		c.mu.Lock()
		c.goodbye()
		c.mu.Unlock()
		<-c.done
		_ = c.conn.Close()
	})
	<-c.done
	return nil
}

// goodbye ends our side; the server closes when it has read everything.
func (c *Client) goodbye() {
	_ = c.command(3, 0, "FCUnpublish", 6, nil, c.target.key)
	_ = c.command(3, 0, "deleteStream", 7, nil, float64(c.w.stream))
	if w, ok := c.conn.(interface{ CloseWrite() error }); ok {
		_ = w.CloseWrite()
	}
	_ = c.conn.SetReadDeadline(time.Now().Add(closeTime))
}
