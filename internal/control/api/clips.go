package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"glimpse/internal/control/streams"
)

// The refusals of Clips; test with errors.Is.
var (
	ErrClipRange   = errors.New("there is nothing of that time: a live stream is kept for a minute, longer where it is recorded")
	ErrClipTooLong = errors.New("a clip is at most 10 minutes long")
	ErrClipNotLive = errors.New("the stream is not live: name two times of a recording")
	ErrClipMany    = errors.New("too many clips are being made: try again in a second")
)

// Clips makes clips.
type Clips interface {
	// Clip makes one. Its refusals are those above and those of Recordings.
	Clip(ctx context.Context, of ClipSpec) (Recording, error)
}

// ClipSpec says what a clip is to show: the newest Last of a live stream, or the
// time between From and To of a stream, or of a recording.
type ClipSpec struct {
	Stream, Recording string
	Last              time.Duration
	From, To          time.Time
	By                string // the app that asks; empty: the operator
}

type clipBody struct {
	Last float64    `json:"last,omitempty" minimum:"0.1" maximum:"600" doc:"Seconds up to now."`
	From *time.Time `json:"from,omitempty" doc:"Or between two times."`
	To   *time.Time `json:"to,omitempty"`
}

type streamClipInput struct {
	ID   string `path:"id" maxLength:"128"`
	Body clipBody
}

type recordingClipInput struct {
	ID   string `path:"id" maxLength:"128"`
	Body struct {
		From float64 `json:"from" minimum:"0" doc:"Seconds into the recording."`
		To   float64 `json:"to" minimum:"0"`
	}
}

func (a *API) registerClips(h huma.API) {
	op := operation("make-clip", http.MethodPost, "/streams/{id}/clips", "Make an MP4 of what was just seen, or of a time between two others",
		http.StatusNotFound, http.StatusConflict, http.StatusUnprocessableEntity, http.StatusInsufficientStorage)
	op.Description = "Nothing is transcoded; it begins with the picture that is shown at the time asked for, and is exactly as long as asked. A live stream is kept in memory for a minute; " +
		"of older times its recordings are used. A clip holds no change of parameters: it begins after the last one in its time."
	huma.Register(h, op, func(ctx context.Context, in *streamClipInput) (*recordingOutput, error) {
		if !a.known(in.ID) {
			return nil, refusal(a.log, streams.ErrUnknown)
		}
		spec, err := in.Body.spec()
		if err != nil {
			return nil, err
		}
		spec.Stream = in.ID
		return a.clip(ctx, spec)
	})
	huma.Register(h, operation("list-clips", http.MethodGet, "/streams/{id}/clips", "Clips of a stream, the newest first"),
		func(ctx context.Context, in *streamInput) (*recordingsOutput, error) {
			return a.listRecordings(ctx, &recordingsInput{Stream: in.ID, Kind: "clip", Limit: 1000})
		})
	huma.Register(h, operation("clip-recording", http.MethodPost, "/recordings/{id}/clips", "Make an MP4 of a part of a recording",
		http.StatusNotFound, http.StatusConflict, http.StatusUnprocessableEntity, http.StatusInsufficientStorage),
		func(ctx context.Context, in *recordingClipInput) (*recordingOutput, error) {
			rec, err := a.recording(ctx, in.ID)
			if err != nil {
				return nil, err
			}
			at := func(s float64) time.Time { return rec.Started.Add(time.Duration(s * float64(time.Second))) }
			return a.clip(ctx, ClipSpec{Recording: rec.ID, From: at(in.Body.From), To: at(in.Body.To)})
		})
}

// spec reads a body: last, or from and to.
func (b clipBody) spec() (ClipSpec, error) {
	switch {
	case b.Last > 0 && b.From == nil && b.To == nil:
		return ClipSpec{Last: time.Duration(b.Last * float64(time.Second))}, nil
	case b.Last == 0 && b.From != nil && b.To != nil:
		return ClipSpec{From: *b.From, To: *b.To}, nil
	}
	return ClipSpec{}, problem(http.StatusUnprocessableEntity, codeInvalid, `Send {"last": seconds}, or {"from": time, "to": time}.`)
}

func (a *API) clip(ctx context.Context, spec ClipSpec) (*recordingOutput, error) {
	rec, err := a.deps.Clips.Clip(ctx, spec)
	if err != nil {
		return nil, refusal(a.log, err)
	}
	return &recordingOutput{a.endpoints(baseOf(ctx)).recording(rec)}, nil
}
