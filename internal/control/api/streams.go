package api

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"glimpse/internal/control/streams"
)

// Live is an open stream as the media plane knows it.
type Live struct {
	ID         string
	Name       string
	Wearer     string // user id; empty for a standing stream
	Status     string // "idle", "live", "interrupted"
	IngestKey  string
	PlaybackID string
	Passphrase string // of SRT; empty: plain
	Stats      Stats
	Outputs    []Output
}

// Stats of a stream now.
type Stats struct {
	Protocol    string         `json:"protocol,omitempty" doc:"Of the publisher."`
	Since       *time.Time     `json:"live_since,omitempty"`
	Duration    float64        `json:"duration" doc:"Seconds of the present run."`
	Bitrate     float64        `json:"bitrate" doc:"Bit/s received over the last seconds."`
	FPS         float64        `json:"fps" doc:"Pictures a second received."`
	KeyInterval float64        `json:"key_interval" doc:"Seconds between the last two key frames."`
	Bytes       uint64         `json:"bytes" doc:"Received since the stream was opened."`
	Frames      uint64         `json:"frames" doc:"Pictures received since then."`
	Publishers  int            `json:"publishers" doc:"Times that a publisher became the source."`
	Dropped     uint64         `json:"dropped" doc:"Frames that slow readers lost."`
	Viewers     map[string]int `json:"viewers" doc:"By protocol."`
	PeakViewers int            `json:"peak_viewers"`
	Tracks      []Track        `json:"tracks"`
	Sound       string         `json:"sound" doc:"The source's codec in lower case, or none."`
	// SoundProblem is a sentence.
	SoundProblem string `json:"sound_problem,omitempty" doc:"Why some outputs carry no sound although the source does."`
	Notice       string `json:"notice,omitempty" doc:"What keeps viewers from seeing the newest picture, as a sentence."`
	// Unplayable are the outputs that cannot carry the stream.
	Unplayable map[string]string `json:"unplayable,omitempty" doc:"Protocols that cannot carry the stream's pictures, and why."`
	Looking    []FrameSubscriber `json:"frame_subscribers,omitempty" doc:"Apps that are given decoded pictures."`
	Link       *Link             `json:"link,omitempty" doc:"What the network does with the publisher's packets, when its protocol knows (SRT)."`
}

// Link is a publisher's network.
type Link struct {
	Lost    uint64  `json:"lost" doc:"Packets that never came."`
	Resent  uint64  `json:"resent" doc:"Packets that came at a second attempt."`
	RTT     float64 `json:"rtt" doc:"Round trip in seconds."`
	Latency float64 `json:"latency" doc:"Seconds that a lost packet may take to come again."`
}

// Track is one track of a stream.
type Track struct {
	Codec      string `json:"codec" doc:"Like H264 or AAC."`
	Width      int    `json:"width,omitempty"`
	Height     int    `json:"height,omitempty"`
	SampleRate int    `json:"sample_rate,omitempty"`
	Channels   int    `json:"channels,omitempty"`
}

// streamBody is a stream as the API shows it.
type streamBody struct {
	ID           string       `json:"id"`
	Name         string       `json:"name,omitempty"`
	Status       string       `json:"status" enum:"idle,live,interrupted" doc:"idle: nobody publishes. interrupted: the publisher is away and may come back."`
	Kind         string       `json:"kind" enum:"standing,wearer"`
	Wearer       string       `json:"wearer,omitempty" doc:"User id."`
	ReadOnly     bool         `json:"read_only,omitempty" doc:"It is in the configuration file."`
	Created      *time.Time   `json:"created_at,omitempty"`
	ResumeWindow int          `json:"resume_window,omitempty" doc:"Seconds."`
	Ingest       IngestURLs   `json:"ingest"`
	Playback     PlaybackURLs `json:"playback"`
	Record       string       `json:"record" enum:"always,on-demand,never" doc:"When it is recorded."`
	Recording    *Recording   `json:"recording,omitempty" doc:"The one in progress."`
	Stats        *Stats       `json:"stats,omitempty"`
	Outputs      []Output     `json:"outputs" doc:"Where it is sent on to."`
}

type newStream struct {
	Body *struct {
		Name         string       `json:"name,omitempty" maxLength:"128"`
		ResumeWindow *int         `json:"resume_window,omitempty" minimum:"0" maximum:"1800" doc:"Seconds that a publisher may be away; 30 when left out."`
		Passphrase   string       `json:"srt_passphrase,omitempty" doc:"Encrypts SRT, to publish and to watch: 10 to 79 characters of A-Z a-z 0-9 _ -. Other protocols go without."`
		Record       recordPolicy `json:"record,omitempty"`
		Restream     []newOutput  `json:"restream,omitempty" maxItems:"10" doc:"Where to send the stream on to, now and after a restart."`
	}
}

type streamInput struct {
	ID string `path:"id" maxLength:"128"`
}

type streamOutput struct{ Body streamBody }

type streamsOutput struct {
	Body struct {
		Streams []streamBody `json:"streams"`
	}
}

func (a *API) registerStreams(h huma.API) {
	huma.Register(h, operation("create-stream", http.MethodPost, "/streams", "Make a standing stream that any encoder may feed",
		http.StatusConflict, http.StatusUnprocessableEntity), a.createStream)
	huma.Register(h, operation("list-streams", http.MethodGet, "/streams", "All streams, standing and of wearers"), a.listStreams)
	huma.Register(h, operation("get-stream", http.MethodGet, "/streams/{id}", "One stream with live statistics", http.StatusNotFound), a.getStream)
	huma.Register(h, operation("delete-stream", http.MethodDelete, "/streams/{id}",
		"End a stream: a standing one for good, a wearer's with \"stopped\" to every app that holds it",
		http.StatusNotFound, http.StatusConflict), a.deleteStream)
}

func (a *API) createStream(ctx context.Context, in *newStream) (*streamOutput, error) {
	spec := streams.Spec{ResumeWindow: streams.DefaultResumeWindow}
	if b := in.Body; b != nil {
		for _, o := range b.Restream {
			spec.Restream = append(spec.Restream, streams.Output{URL: o.URL, Name: o.Name})
		}
		spec.Name, spec.Passphrase, spec.Record = b.Name, b.Passphrase, string(b.Record)
		if b.ResumeWindow != nil {
			spec.ResumeWindow = time.Duration(*b.ResumeWindow) * time.Second
		}
	}
	s, err := a.deps.Standing.Create(ctx, spec)
	if err != nil {
		return nil, refusal(a.log, err)
	}
	a.log.Info("standing stream made", "stream", s.ID, "name", s.Name)
	return &streamOutput{Body: a.standing(a.endpoints(baseOf(ctx)), s)}, nil
}

func (a *API) listStreams(ctx context.Context, _ *struct{}) (*streamsOutput, error) {
	at := a.endpoints(baseOf(ctx))
	out := &streamsOutput{}
	out.Body.Streams = []streamBody{}
	for _, s := range a.deps.Standing.List() {
		out.Body.Streams = append(out.Body.Streams, a.standing(at, s))
	}
	for _, live := range a.deps.Media.Streams() {
		if _, ok := a.deps.Standing.Get(live.ID); !ok {
			out.Body.Streams = append(out.Body.Streams, a.wearerStream(at, live))
		}
	}
	slices.SortFunc(out.Body.Streams, func(x, y streamBody) int { return strings.Compare(x.ID, y.ID) })
	return out, nil
}

func (a *API) getStream(ctx context.Context, in *streamInput) (*streamOutput, error) {
	at := a.endpoints(baseOf(ctx))
	if s, ok := a.deps.Standing.Get(in.ID); ok {
		return &streamOutput{Body: a.standing(at, s)}, nil
	}
	if live, ok := a.deps.Media.Stream(in.ID); ok {
		return &streamOutput{Body: a.wearerStream(at, live)}, nil
	}
	return nil, refusal(a.log, streams.ErrUnknown)
}

func (a *API) deleteStream(ctx context.Context, in *streamInput) (*struct{}, error) {
	err := a.deps.Standing.Delete(ctx, in.ID)
	if err == nil {
		a.log.Info("standing stream deleted", "stream", in.ID)
		return nil, nil
	}
	if _, live := a.deps.Media.Stream(in.ID); !live || a.isStanding(in.ID) {
		return nil, refusal(a.log, err)
	}
	if err := a.deps.Media.EndStream(ctx, in.ID); err != nil {
		return nil, refusal(a.log, err)
	}
	a.log.Info("wearer's stream ended by the operator", "stream", in.ID)
	return nil, nil
}

func (a *API) isStanding(id string) bool {
	_, ok := a.deps.Standing.Get(id)
	return ok
}

// standing shows a standing stream with what the media plane says of it.
func (a *API) standing(at Endpoints, s streams.Stream) streamBody {
	body := streamBody{
		ID: s.ID, Name: s.Name, Status: "idle", Kind: "standing", ReadOnly: s.FromConfig,
		ResumeWindow: int(s.ResumeWindow / time.Second),
		Ingest:       at.Ingest(s.IngestKey, s.Passphrase), Playback: at.Playback(s.PlaybackID, s.Passphrase),
		Outputs: []Output{},
	}
	if !s.Created.IsZero() {
		body.Created = &s.Created
	}
	if live, ok := a.deps.Media.Stream(s.ID); ok {
		body.Status = live.Status
		body.Stats, body.Outputs = filled(live.Stats), append(body.Outputs, live.Outputs...)
	}
	a.recorded(at, &body)
	return body
}

// wearerStream shows a wearer's stream.
func (a *API) wearerStream(at Endpoints, live Live) streamBody {
	body := streamBody{
		ID: live.ID, Name: live.Name, Status: live.Status, Kind: "wearer", Wearer: live.Wearer,
		Ingest: at.Ingest(live.IngestKey, live.Passphrase), Playback: at.Playback(live.PlaybackID, live.Passphrase), Stats: filled(live.Stats),
		Outputs: append([]Output{}, live.Outputs...),
	}
	a.recorded(at, &body)
	return body
}

// filled makes absent lists empty ones, for clients that do not expect null.
func filled(s Stats) *Stats {
	if s.Viewers == nil {
		s.Viewers = map[string]int{}
	}
	if s.Tracks == nil {
		s.Tracks = []Track{}
	}
	return &s
}
