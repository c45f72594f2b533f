package glasses

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"glimpse/internal/media/frame"
	"glimpse/internal/media/rtmp"
	"glimpse/internal/media/srt"
	"glimpse/internal/media/webrtc/push"
)

// Publishing connects by the scheme of a URL: RTMP, RTMPS, SRT, or WHIP for https
// and http. TLS is for RTMPS and WHIP; nil is the system's.
type Publishing struct{ TLS *tls.Config }

// Publish is a PublishFunc. WHIP takes Opus for its sound, the others take AAC.
func (p Publishing) Publish(ctx context.Context, target string, tracks []*frame.Track, net *Network) (Publisher, error) {
	scheme, _, _ := strings.Cut(target, ":")
	var pub Publisher
	var err error
	switch scheme {
	case "srt":
		pub, err = publishSRT(ctx, target, tracks, net)
	case "https", "http":
		pub, err = p.publishWHIP(ctx, target, tracks, net)
	default:
		pub, err = rtmp.Dial(ctx, target, rtmp.Options{Tracks: tracks, Dial: net.DialContext, TLS: p.TLS})
	}
	if err != nil {
		return nil, refusal(err)
	}
	return pub, nil
}

// refusal marks the errors after which trying again is useless.
func refusal(err error) error {
	var byRTMP *rtmp.RefusedError
	var bySRT *srt.RefusedError
	var byWHIP *push.RefusedError
	if errors.As(err, &byRTMP) || errors.As(err, &bySRT) || errors.As(err, &byWHIP) ||
		errors.Is(err, srt.ErrAddress) || errors.Is(err, push.ErrAddress) {
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	return err
}

// publishSRT publishes through a relay, because the library makes its own sockets.
func publishSRT(ctx context.Context, target string, tracks []*frame.Track, net *Network) (Publisher, error) {
	if net.down() {
		return nil, errNetworkDown
	}
	u, err := url.Parse(strings.SplitN(target, "?", 2)[0])
	if err != nil || u.Port() == "" {
		return nil, srt.ErrAddress
	}
	at, closeRelay, err := net.Relay(ctx, u.Host)
	if err != nil {
		return nil, fmt.Errorf("srt: connect: %w", err)
	}
	c, err := srt.Dial(ctx, strings.Replace(target, "://"+u.Host, "://"+at, 1), srt.Options{Tracks: tracks})
	if err != nil {
		closeRelay()
		return nil, err
	}
	return &relayed{Client: c, closeRelay: closeRelay}, nil
}

type relayed struct {
	*srt.Client
	closeRelay func()
}

// lastPackets is how long those of a stream that was stopped may take to arrive.
const lastPackets = 500 * time.Millisecond

func (r *relayed) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), lastPackets)
	defer cancel()
	r.Drain(ctx)
	err := r.Client.Close()
	r.closeRelay()
	return err
}

func (p Publishing) publishWHIP(ctx context.Context, target string, tracks []*frame.Track, net *Network) (Publisher, error) {
	sockets, err := net.Sockets()
	if err != nil {
		return nil, fmt.Errorf("whip: %w", err)
	}
	transport := &http.Transport{DialContext: net.DialContext, TLSClientConfig: p.TLS, DisableKeepAlives: true, ForceAttemptHTTP2: true}
	return push.Dial(ctx, target, push.Options{Tracks: tracks, HTTP: &http.Client{Transport: transport}, Net: sockets})
}

// soundFor is the codec in which a target takes sound.
func soundFor(target string) string {
	if strings.HasPrefix(target, "http") {
		return "Opus"
	}
	return "AAC"
}

// isClosed says whether a socket of ours was closed by us.
func isClosed(err error) bool { return errors.Is(err, net.ErrClosed) }
