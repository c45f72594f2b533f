package server

import (
	"context"
	"log/slog"
	"sync"

	"glimpse/internal/control/camera"
	"glimpse/internal/control/events"
	"glimpse/internal/control/session"
	"glimpse/internal/control/streams"
	"glimpse/internal/media/hub"
	"glimpse/internal/media/restream"
	"glimpse/protocol"
)

// restreams makes and keeps the supervisors of streams.
type restreams struct {
	network restream.Network
	alias   func(stream, url string) string // the id of a destination
	events  *events.Log
	log     *slog.Logger
	ctx     context.Context // ends when the server drains
	wg      sync.WaitGroup  // of those who wait for the end of a stream

	mu sync.Mutex
	by map[string]*outputs // by stream id
}

// newRestreams returns keepers of nothing; they end with ctx.
func newRestreams(ctx context.Context, network restream.Network, alias func(stream, url string) string, news *events.Log, log *slog.Logger) *restreams {
	return &restreams{ctx: ctx, network: network, alias: alias, events: news, log: log, by: map[string]*outputs{}}
}

// supervise begins to care for a stream's outputs, until it ends. tell hears of
// them in the words of the SDKs; nil: nobody.
func (r *restreams) supervise(stream *hub.Stream, tell func(session.OutputEvent)) *outputs {
	o := &outputs{of: stream, all: r, tell: tell, outlets: map[string]camera.Outlet{}}
	o.supervisor = restream.New(stream, restream.Config{Dial: r.network.Dial, Check: r.network.Ask, Notify: o.changed, Log: r.log})
	r.mu.Lock()
	r.by[stream.ID()] = o
	r.mu.Unlock()
	r.wg.Go(func() { // however it ends
		select {
		case <-stream.Done():
		case <-r.ctx.Done():
		}
		o.supervisor.Close()
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.by[stream.ID()] == o {
			delete(r.by, stream.ID())
		}
	})
	return o
}

// find returns the outputs of an open stream, or nil.
func (r *restreams) find(stream string) *outputs {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.by[stream]
}

// outputs are the destinations of one stream.
type outputs struct {
	of         *hub.Stream
	all        *restreams
	supervisor *restream.Supervisor
	tell       func(session.OutputEvent)

	mu      sync.Mutex
	outlets map[string]camera.Outlet // by the output's id
}

// set makes the destinations exactly these. Trusted ones may be private addresses.
func (o *outputs) set(list []camera.Outlet, trusted bool) {
	var to []restream.Destination
	o.mu.Lock()
	clear(o.outlets)
	for _, d := range list {
		id := o.all.alias(o.of.ID(), d.URL)
		o.outlets[id] = d
		to = append(to, restream.Destination{ID: id, Name: d.Name, URL: restream.Normal(d.URL), Trusted: trusted, Paused: d.Paused})
	}
	o.mu.Unlock()
	if err := o.supervisor.Set(to); err != nil { // the control plane has counted them
		o.all.log.Error("a restream destination cannot be had", "stream", o.of.ID(), "error", err)
	}
}

// outlet is who wants the destination with this id.
func (o *outputs) outlet(id string) (camera.Outlet, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	d, ok := o.outlets[id]
	return d, ok
}

// changed tells how an output does.
func (o *outputs) changed(s restream.Status) {
	d, known := o.outlet(s.ID)
	if !known || o.all.ctx.Err() != nil { // removed, or the server goes down, which is no news
		return
	}
	said := session.OutputEvent{URL: d.URL, Status: protocol.StatusStopped}
	switch s.State {
	case restream.Active:
		said.Status = protocol.StatusActive
	case restream.Retrying, restream.Failed:
		said.Status, said.Error = protocol.StatusError, s.Error
	case restream.Idle:
		if s.Error != "" { // it will not work
			said.Status, said.Error = protocol.StatusError, s.Error
		}
	case restream.Connecting, restream.Stopped:
	}
	if o.tell != nil {
		o.tell(said)
	}
	e := about(o.of)
	e.Output, e.Message = s.ID, s.Error
	switch s.State {
	case restream.Active:
		e.Type = events.OutputActive
	case restream.Retrying:
		e.Type = events.OutputRetrying
	case restream.Failed:
		e.Type = events.OutputFailed
	case restream.Stopped:
		e.Type = events.OutputStopped
	case restream.Idle, restream.Connecting:
		return
	}
	o.all.events.Publish(e)
}

// outlets are a standing stream's destinations.
func outlets(list []streams.Output) []camera.Outlet {
	var o []camera.Outlet
	for _, d := range list {
		o = append(o, camera.Outlet{Destination: protocol.Destination{URL: d.URL, Name: d.Name}, Paused: d.Paused})
	}
	return o
}
