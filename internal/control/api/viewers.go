package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"glimpse/internal/control/streams"
)

// Viewers is who watches a stream.
type Viewers struct {
	Active    int                 `json:"active" doc:"Now, by all protocols."`
	Peak      int                 `json:"peak" doc:"At the same time, since the stream was opened."`
	Protocols map[string]Watching `json:"protocols" doc:"Of the present run, or of the last one."`
	Viewers   []Viewer            `json:"viewers" doc:"Now, the first to come first, at most 1,000."`
}

// Watching are the viewers of one protocol.
type Watching struct {
	Active  int     `json:"active"`
	Peak    int     `json:"peak"`
	Total   int     `json:"total" doc:"Who joined in all."`
	Watched float64 `json:"watched" doc:"Seconds, of all of them together."`
}

// Viewer is one who watches.
type Viewer struct {
	ID       string    `json:"id" doc:"Random, for as long as the viewer is there."`
	Protocol string    `json:"protocol"`
	Address  string    `json:"address,omitempty" doc:"The network only: a.b.c.0/24 or the first 48 bits."`
	Since    time.Time `json:"since"`
	Bytes    uint64    `json:"bytes" doc:"Sent."`
	Dropped  uint64    `json:"dropped" doc:"Frames left out because the viewer is slow."`
	Lost     uint64    `json:"lost" doc:"Packets that the network lost, when the protocol knows (SRT, WebRTC)."`
	RTT      float64   `json:"rtt,omitempty" doc:"Round trip in seconds, when the protocol knows (SRT, WebRTC)."`
}

type viewersOutput struct{ Body Viewers }

func (a *API) registerViewers(h huma.API) {
	huma.Register(h, operation("list-viewers", http.MethodGet, "/streams/{id}/viewers", "Who watches a stream, and how that goes", http.StatusNotFound), a.listViewers)
}

func (a *API) listViewers(_ context.Context, in *streamInput) (*viewersOutput, error) {
	v, ok := a.deps.Media.Viewers(in.ID)
	if !ok {
		return nil, refusal(a.log, streams.ErrUnknown)
	}
	return &viewersOutput{Body: v}, nil
}
