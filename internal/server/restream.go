package server

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"net"
	"strings"
	"sync"

	"glimpse/internal/control/session"
	"glimpse/internal/media/frame"
	"glimpse/internal/media/hub"
	"glimpse/internal/media/restream"
	"glimpse/internal/media/rtmp"
	"glimpse/internal/media/srt"
	"glimpse/internal/outbound"
	"glimpse/protocol"
)

// restreams makes the supervisors of streams.
type restreams struct {
	allowPrivate bool
	log          *slog.Logger
}

// supervise returns a supervisor that tells the session of its outputs.
func (r restreams) supervise(stream *hub.Stream, tell func(session.OutputEvent)) *outputs {
	o := &outputs{urls: map[string]string{}, tell: tell}
	o.supervisor = restream.New(stream, restream.Config{Dial: r.dial, Notify: o.changed, Log: r.log})
	return o
}

// dial connects to a destination whose resolved address is permitted.
func (r restreams) dial(ctx context.Context, address string, tracks []*frame.Track) (restream.Pusher, error) {
	if strings.HasPrefix(address, "srt://") {
		at, err := r.resolve(ctx, address)
		if err != nil {
			return nil, err
		}
		return srt.Dial(ctx, at, srt.Options{Tracks: tracks})
	}
	return rtmp.Dial(ctx, address, rtmp.Options{Tracks: tracks, Dial: outbound.Dialer(r.allowPrivate).DialContext})
}

// resolve puts the resolved address into an SRT URL: the library would look the
// name up again.
func (r restreams) resolve(ctx context.Context, address string) (string, error) {
	rest := strings.TrimPrefix(address, "srt://")
	end := strings.IndexAny(rest, "/?")
	if end < 0 {
		end = len(rest)
	}
	host, port, err := net.SplitHostPort(rest[:end])
	if err != nil {
		return "", restream.ErrAddress
	}
	at, err := outbound.Resolve(ctx, host, r.allowPrivate)
	if err != nil {
		return "", err
	}
	return "srt://" + net.JoinHostPort(at.String(), port) + rest[end:], nil
}

// outputs are the destinations of one managed stream.
type outputs struct {
	supervisor *restream.Supervisor
	tell       func(session.OutputEvent)
	mu         sync.Mutex
	urls       map[string]string // by the output's id
}

// set makes the destinations exactly these.
func (o *outputs) set(list []protocol.Destination) error {
	var to []restream.Destination
	o.mu.Lock()
	clear(o.urls)
	for _, d := range list {
		id := outputID(d.URL)
		o.urls[id] = d.URL
		to = append(to, restream.Destination{ID: id, Name: d.Name, URL: d.URL})
	}
	o.mu.Unlock()
	return o.supervisor.Set(to)
}

// outputID names a destination in logs without its address, which is secret.
func outputID(url string) string {
	sum := sha256.Sum256([]byte(url))
	return hex.EncodeToString(sum[:6])
}

// changed tells the session how an output does, in the words of the SDKs.
func (o *outputs) changed(s restream.Status) {
	o.mu.Lock()
	url, known := o.urls[s.ID]
	o.mu.Unlock()
	if !known {
		return
	}
	e := session.OutputEvent{URL: url, Status: protocol.StatusStopped}
	switch s.State {
	case restream.Active:
		e.Status = protocol.StatusActive
	case restream.Retrying, restream.Failed:
		e.Status, e.Error = protocol.StatusError, s.Error
	case restream.Idle, restream.Connecting, restream.Stopped:
	}
	o.tell(e)
}
