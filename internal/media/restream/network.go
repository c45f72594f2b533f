package restream

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/url"
	"strings"
	"time"

	"glimpse/internal/media/frame"
	"glimpse/internal/media/rtmp"
	"glimpse/internal/media/srt"
	"glimpse/internal/outbound"
)

// Network reaches destinations by RTMP, RTMPS and SRT. The zero value refuses
// private addresses, judged after names were resolved, at every attempt.
type Network struct {
	AllowPrivate bool        // for all destinations; Destination.Trusted is for one
	TLS          *tls.Config // of RTMPS; nil: the system's roots and the URL's host name
}

// Dial is for Config.
func (n Network) Dial(ctx context.Context, to Destination, tracks []*frame.Track) (Pusher, error) {
	push, err := n.dial(ctx, to, tracks)
	switch {
	case errors.Is(err, rtmp.ErrAddress), errors.Is(err, srt.ErrAddress):
		return nil, ErrAddress
	case err != nil:
		return nil, err
	}
	return push, nil
}

func (n Network) dial(ctx context.Context, to Destination, tracks []*frame.Track) (Pusher, error) {
	if !isSRT(to.URL) {
		return rtmp.Dial(ctx, to.URL, rtmp.Options{Tracks: tracks, Dial: n.dialer(to).DialContext, TLS: n.TLS})
	}
	at, err := n.resolved(ctx, to)
	if err != nil {
		return nil, err
	}
	return srt.Dial(ctx, at, srt.Options{Tracks: tracks})
}

func (n Network) private(to Destination) bool { return n.AllowPrivate || to.Trusted }

func (n Network) dialer(to Destination) *net.Dialer { return outbound.Dialer(n.private(to)) }

func isSRT(address string) bool { return strings.HasPrefix(address, "srt://") }

// hostOf is the host and the port of a checked address; the port is empty when
// the address leaves it to the protocol.
func hostOf(address string) (host, port string) {
	scheme, rest, _ := strings.Cut(address, "://")
	if end := strings.IndexAny(rest, "/?"); end >= 0 {
		rest = rest[:end]
	}
	u, err := url.Parse(scheme + "://" + rest)
	if err != nil {
		return "", ""
	}
	return u.Hostname(), u.Port()
}

// resolved puts the resolved address into an SRT URL: the library would look the
// name up again.
func (n Network) resolved(ctx context.Context, to Destination) (string, error) {
	rest := strings.TrimPrefix(to.URL, "srt://")
	end := strings.IndexAny(rest, "/?")
	if end < 0 {
		end = len(rest)
	}
	host, port := hostOf(to.URL)
	at, err := outbound.Resolve(ctx, host, n.private(to))
	if err != nil {
		return "", err
	}
	return "srt://" + net.JoinHostPort(at.String(), port) + rest[end:], nil
}

// Stage of a pre-flight.
type Stage struct {
	Name  string        // "dns", "tcp", "tls", "rtmp" (connect and createStream), "srt" (the handshake)
	Took  time.Duration // until it was passed, or failed
	Error string        // why it failed; the stages after it are missing
}

// Preflight is what a destination answered before anything was sent to it.
type Preflight struct {
	At     time.Time
	Stages []Stage // in order; the last one may have failed
}

// Err is why the destination cannot be used now, "" when it can.
func (p *Preflight) Err() string {
	if p == nil || len(p.Stages) == 0 {
		return ""
	}
	return p.Stages[len(p.Stages)-1].Error
}

// preflightTime bounds a pre-flight.
const preflightTime = 10 * time.Second

// Check does everything that sending needs except sending: it resolves, connects,
// and asks for a stream, but never publishes. It takes at most 10 s. The error is
// ErrAddress for an address that cannot be one, or that of ctx.
func (n Network) Check(ctx context.Context, to Destination) (*Preflight, error) {
	if err := CheckAddress(to.URL); err != nil {
		return nil, err
	}
	limited, cancel := context.WithTimeout(ctx, preflightTime)
	defer cancel()
	f := &flight{begun: time.Now()}
	f.At = f.begun
	err := n.fly(limited, to, f)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		f.failed(err)
	}
	return &f.Preflight, nil
}

// flight is a pre-flight in progress.
type flight struct {
	Preflight
	begun time.Time // of the stage
	next  []string  // the stages that are not passed
}

func (f *flight) passed(stage string) {
	now := time.Now()
	f.Stages = append(f.Stages, Stage{Name: stage, Took: now.Sub(f.begun)})
	f.begun = now
	if len(f.next) > 0 {
		f.next = f.next[1:]
	}
}

func (f *flight) failed(err error) {
	text := err.Error()
	if errors.Is(err, context.DeadlineExceeded) {
		text = "no answer (timeout)"
	}
	f.Stages = append(f.Stages, Stage{Name: f.next[0], Took: time.Since(f.begun), Error: text})
}

func (n Network) fly(ctx context.Context, to Destination, f *flight) error {
	host, _ := hostOf(to.URL)
	f.next = []string{"dns", "tcp", "rtmp"}
	switch {
	case isSRT(to.URL):
		f.next = []string{"dns", "srt"}
	case strings.HasPrefix(to.URL, "rtmps://"):
		f.next = []string{"dns", "tcp", "tls", "rtmp"}
	}
	if _, err := outbound.Resolve(ctx, host, n.private(to)); err != nil {
		return err
	}
	f.passed("dns")
	if !isSRT(to.URL) {
		return rtmp.Probe(ctx, to.URL, rtmp.Options{Dial: n.dialer(to).DialContext, TLS: n.TLS, Passed: f.passed})
	}
	at, err := n.resolved(ctx, to)
	if err == nil {
		err = srt.Probe(ctx, at)
	}
	if err == nil {
		f.passed("srt")
	}
	return err
}

// Ask is for Config: Check of destinations on the public internet, and of those
// that are refused anyway. Other listeners may be somebody's own that take one
// connection in their life (ffmpeg -listen 1), so nobody asks them unasked.
func (n Network) Ask(ctx context.Context, to Destination) (*Preflight, error) {
	host, _ := hostOf(to.URL)
	if at, err := outbound.Resolve(ctx, host, true); err == nil && !outbound.Public(at) && n.private(to) {
		return nil, nil
	}
	return n.Check(ctx, to)
}
