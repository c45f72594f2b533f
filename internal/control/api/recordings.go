package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"glimpse/internal/control/streams"
	"glimpse/protocol"
)

// Codes of recordings and clips.
const (
	codeRecordingGone protocol.Code = "RECORDING_NOT_FOUND"
	codeNotRecorded   protocol.Code = "NOT_RECORDED"
	codeNeverRecorded protocol.Code = "RECORDING_OFF"
	codeQuota         protocol.Code = "QUOTA_REACHED"
	codeDiskFull      protocol.Code = "DISK_FULL"
	codeInProgress    protocol.Code = "IN_PROGRESS"
	codeClipRange     protocol.Code = "NOTHING_OF_THAT_TIME"
	codeNotLive       protocol.Code = "NOT_LIVE"
)

// The refusals of Recordings; test with errors.Is.
var (
	ErrRecordingUnknown = errors.New("there is no such recording")
	ErrRecordingOff     = errors.New("this stream is not to be recorded: its policy is never")
	ErrRecordingQuota   = errors.New("the quota for recordings is used up: delete some first")
	ErrRecordingDisk    = errors.New("the disk is almost full: nothing can be recorded")
	ErrRecordingOpen    = errors.New("the recording is in progress: stop it first")
)

// Recordings is what is kept of streams: recordings and clips.
type Recordings interface {
	// List returns all, the newest first.
	List() []Recording
	// Policy is when a stream is recorded; now is what is in progress, nil for
	// nothing.
	Policy(stream string) (policy string, now *Recording)
	// Delete removes a recording or clip with its file.
	Delete(id string) error
	// Record starts or stops the recording of a stream in the name of an app, or
	// of the operator (""). It returns the recording concerned: a started one that
	// has no id waits for the stream to be live; nil when there was none to stop.
	Record(ctx context.Context, stream, by string, on bool) (*Recording, error)
	// Serve answers with the file of a recording that exists.
	Serve(w http.ResponseWriter, r *http.Request, id string)
}

// Recording is a recording or a clip as the API shows it.
type Recording struct {
	ID       string     `json:"id,omitempty"`
	Kind     string     `json:"kind" enum:"recording,clip"`
	Stream   string     `json:"stream" doc:"Id of the stream."`
	Name     string     `json:"name,omitempty" doc:"Of a standing stream."`
	Wearer   string     `json:"wearer,omitempty" doc:"Of whose glasses."`
	App      string     `json:"app,omitempty" doc:"Package of the app that asked for it."`
	Status   string     `json:"status" enum:"waiting,recording,paused,unfinished,finished" doc:"waiting: for the stream to be live. paused: the disk takes nothing, see problem. unfinished: without its index, which is made as soon as the disk allows; it plays."`
	Started  *time.Time `json:"started_at,omitempty" doc:"Wall clock of its first picture."`
	Ended    *time.Time `json:"ended_at,omitempty"`
	Duration float64    `json:"duration" doc:"Seconds."`
	Bytes    int64      `json:"bytes"`
	Video    string     `json:"video,omitempty" doc:"Codec."`
	Width    int        `json:"width,omitempty"`
	Height   int        `json:"height,omitempty"`
	Sound    string     `json:"sound,omitempty" doc:"Codec. A stream without sound is recorded with silence."`
	Gaps     []Gap      `json:"gaps" doc:"Times that show nothing of the source: its last picture stands still."`
	Problem  string     `json:"problem,omitempty" doc:"What keeps it from going on, as a sentence."`
	After    string     `json:"continues,omitempty" doc:"Id of the recording that it goes on from."`
	Key      string     `json:"-"` // whoever has it may watch
	RecordingURLs
}

// RecordingURLs are where a recording is watched, by whoever has them.
type RecordingURLs struct {
	Page string `json:"page,omitempty" doc:"Plays it, for humans. Whoever has the address may watch."`
	HLS  string `json:"hls,omitempty" doc:"HLS of a recording, also while it grows."`
	File string `json:"file,omitempty" doc:"The MP4 file, with ranges."`
}

// Gap is a time in a recording.
type Gap struct {
	From   float64 `json:"from" doc:"Seconds into the recording."`
	To     float64 `json:"to"`
	Reason string  `json:"reason" doc:"A sentence."`
}

// recordPolicy is a stream's wish: a policy, or true for always.
type recordPolicy string

// UnmarshalJSON takes a policy, a boolean, or null.
func (p *recordPolicy) UnmarshalJSON(b []byte) error {
	var on bool
	if string(b) == "null" {
		return nil
	}
	if json.Unmarshal(b, &on) == nil {
		*p = ""
		if on {
			*p = streams.RecordAlways
		}
		return nil
	}
	return json.Unmarshal(b, (*string)(p))
}

// Schema implements huma.SchemaProvider.
func (recordPolicy) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{
		Description: "When it is recorded: always, on-demand or never. true means always; left out, false or null: as recording.policy of the configuration says.",
		OneOf: []*huma.Schema{
			{Type: huma.TypeString, Enum: []any{"", streams.RecordAlways, streams.RecordOnDemand, streams.RecordNever}},
			{Type: huma.TypeBoolean},
		},
	}
}

type recordingOutput struct{ Body Recording }

type recordingsOutput struct {
	Body struct {
		Recordings []Recording `json:"recordings"`
	}
}

type recordingsInput struct {
	Stream string `query:"stream" maxLength:"128" doc:"Only of the stream with this id."`
	Wearer string `query:"wearer" maxLength:"384" doc:"Only of this user's glasses."`
	Kind   string `query:"kind" enum:"recording,clip" doc:"Only these."`
	Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"At most so many, the newest."`
}

type recordingInput struct {
	ID string `path:"id" maxLength:"128"`
}

func (a *API) registerRecordings(h huma.API) {
	huma.Register(h, operation("list-recordings", http.MethodGet, "/recordings", "Recordings and clips, the newest first"), a.listRecordings)
	huma.Register(h, operation("get-recording", http.MethodGet, "/recordings/{id}", "One of them", http.StatusNotFound),
		func(ctx context.Context, in *recordingInput) (*recordingOutput, error) {
			rec, err := a.recording(ctx, in.ID)
			return &recordingOutput{rec}, err
		})
	huma.Register(h, operation("delete-recording", http.MethodDelete, "/recordings/{id}", "Delete a recording or clip with its file",
		http.StatusNotFound, http.StatusConflict), a.deleteRecording)
	download := operation("download-recording", http.MethodGet, "/recordings/{id}/file", "The MP4 file, with ranges", http.StatusNotFound)
	download.Responses = map[string]*huma.Response{"200": {
		Description: "The file; of a recording in progress, what is there so far.",
		Content:     map[string]*huma.MediaType{"video/mp4": {Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}}},
	}}
	huma.Register(h, download, a.downloadRecording)
	huma.Register(h, operation("start-recording", http.MethodPost, "/streams/{id}/recording",
		"Record a stream until it is stopped or its run ends; a stream that is not live yet, with its next run",
		http.StatusNotFound, http.StatusConflict, http.StatusInsufficientStorage), a.startRecording)
	stop := operation("stop-recording", http.MethodDelete, "/streams/{id}/recording",
		"Stop recording a stream; one that is always recorded begins again with its next run", http.StatusNotFound, http.StatusConflict)
	stop.DefaultStatus = http.StatusOK
	huma.Register(h, stop, a.stopRecording)
}

func (a *API) listRecordings(ctx context.Context, in *recordingsInput) (*recordingsOutput, error) {
	at := a.endpoints(baseOf(ctx))
	out := &recordingsOutput{}
	out.Body.Recordings = []Recording{}
	for _, rec := range a.deps.Recordings.List() {
		if in.Stream != "" && rec.Stream != in.Stream || in.Wearer != "" && rec.Wearer != in.Wearer || in.Kind != "" && rec.Kind != in.Kind {
			continue
		}
		if len(out.Body.Recordings) == in.Limit {
			break
		}
		out.Body.Recordings = append(out.Body.Recordings, at.recording(rec))
	}
	return out, nil
}

// recording looks one up.
func (a *API) recording(ctx context.Context, id string) (Recording, error) {
	for _, rec := range a.deps.Recordings.List() {
		if rec.ID == id {
			return a.endpoints(baseOf(ctx)).recording(rec), nil
		}
	}
	return Recording{}, refusal(a.log, ErrRecordingUnknown)
}

func (a *API) deleteRecording(_ context.Context, in *recordingInput) (*struct{}, error) {
	if err := a.deps.Recordings.Delete(in.ID); err != nil {
		return nil, refusal(a.log, err)
	}
	a.log.Info("recording deleted by the operator", "recording", in.ID)
	return nil, nil
}

func (a *API) downloadRecording(ctx context.Context, in *recordingInput) (*huma.StreamResponse, error) {
	rec, err := a.recording(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		r, w := humago.Unwrap(hc)
		a.deps.Recordings.Serve(w, r, rec.ID)
	}}, nil
}

// known reports whether there is a stream with this id.
func (a *API) known(id string) bool {
	_, live := a.deps.Media.Stream(id)
	return live || a.isStanding(id)
}

func (a *API) startRecording(ctx context.Context, in *streamInput) (*recordingOutput, error) {
	if !a.known(in.ID) {
		return nil, refusal(a.log, streams.ErrUnknown)
	}
	rec, err := a.deps.Recordings.Record(ctx, in.ID, "", true)
	if err != nil {
		return nil, refusal(a.log, err)
	}
	a.log.Info("recording started by the operator", "stream", in.ID, "recording", rec.ID)
	return &recordingOutput{a.endpoints(baseOf(ctx)).recording(*rec)}, nil
}

func (a *API) stopRecording(ctx context.Context, in *streamInput) (*recordingOutput, error) {
	if !a.known(in.ID) {
		return nil, refusal(a.log, streams.ErrUnknown)
	}
	rec, err := a.deps.Recordings.Record(ctx, in.ID, "", false)
	if err != nil {
		return nil, refusal(a.log, err)
	}
	if rec == nil {
		return nil, problem(http.StatusConflict, codeNotRecorded, "The stream is not being recorded.")
	}
	a.log.Info("recording stopped by the operator", "stream", in.ID, "recording", rec.ID)
	return &recordingOutput{a.endpoints(baseOf(ctx)).recording(*rec)}, nil
}

// recorded adds to a stream what is recorded of it.
func (a *API) recorded(at Endpoints, s *streamBody) {
	policy, now := a.deps.Recordings.Policy(s.ID)
	s.Record = policy
	if now != nil {
		rec := at.recording(*now)
		s.Recording = &rec
	}
}

// recording fills in the URLs; those of one that has no file stay empty.
func (e Endpoints) recording(rec Recording) Recording {
	if rec.Gaps == nil {
		rec.Gaps = []Gap{}
	}
	if rec.Key == "" {
		return rec
	}
	rec.Page = e.Base + "/recordings/" + url.PathEscape(rec.Key) + "/"
	rec.File = rec.Page + "video.mp4"
	if rec.Kind != "clip" {
		rec.HLS = rec.Page + "index.m3u8"
	}
	return rec
}
