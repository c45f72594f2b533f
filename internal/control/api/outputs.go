package api

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"glimpse/internal/control/session"
	"glimpse/protocol"
)

// Outputs changes and tries restream destinations. Refusals are *session.Refusal
// or the errors of package streams.
type Outputs interface {
	// ID is the name of a destination in the API.
	ID(stream, url string) string
	// Change does what it says; when it returns, Media.Stream shows it.
	Change(ctx context.Context, change OutputChange) error
	// Check does everything that sending needs except sending. With a stream, it
	// compares that with what the platform asks for.
	Check(ctx context.Context, url, stream string) (*OutputCheck, error)
}

// OutputAction is what a change does.
type OutputAction uint8

// The actions.
const (
	AddOutput OutputAction = iota + 1
	RemoveOutput
	PauseOutput
	ResumeOutput
)

// OutputChange is a change of a stream's outputs.
type OutputChange struct {
	Stream string
	App    string // who asks; empty: the operator
	Do     OutputAction
	ID     string // of all but AddOutput
	URL    string // of AddOutput; secret
	Name   string // of AddOutput
}

// Output is a restream destination of a stream and how it does.
type Output struct {
	ID        string       `json:"id"`
	Name      string       `json:"name,omitempty"`
	URL       string       `json:"url" doc:"Without its key."`
	Status    string       `json:"status" enum:"idle,connecting,active,retrying,error,stopped" doc:"idle: the stream is not live. retrying: waits for the next attempt, makes it, or the destination takes no data. error: the address cannot be used; a pause and a resume try again. stopped: paused."`
	Error     string       `json:"error,omitempty" doc:"Why it is not active."`
	Since     time.Time    `json:"since" doc:"Of the status."`
	Attempts  int          `json:"attempts,omitempty" doc:"Failed ones in a row."`
	Connects  int          `json:"connects" doc:"Times that the destination took the stream."`
	Sent      uint64       `json:"sent" doc:"Frames of the publisher."`
	Bytes     uint64       `json:"bytes" doc:"Sent."`
	Dropped   uint64       `json:"dropped" doc:"Frames lost because the destination is slow."`
	Apps      []string     `json:"apps,omitempty" doc:"Apps that asked for it; none: the operator did."`
	Platform  string       `json:"platform,omitempty" doc:"The service, when its host is known."`
	Warnings  []string     `json:"warnings,omitempty" doc:"What the platform would not like in the stream, a sentence each."`
	Preflight *OutputCheck `json:"preflight,omitempty" doc:"What the destination answered before the stream was live."`
}

// OutputCheck is what a destination answers to everything but publishing.
type OutputCheck struct {
	At       time.Time    `json:"at"`
	OK       bool         `json:"ok"`
	Error    string       `json:"error,omitempty" doc:"Of the stage that failed."`
	Stages   []CheckStage `json:"stages"`
	Platform string       `json:"platform,omitempty"`
	Warnings []string     `json:"warnings,omitempty" doc:"What the platform would not like in the stream."`
}

// CheckStage is one step of a check.
type CheckStage struct {
	Name    string  `json:"name" enum:"dns,tcp,tls,rtmp,srt" doc:"rtmp: connect and createStream. srt: the handshake."`
	Seconds float64 `json:"seconds"`
	Error   string  `json:"error,omitempty"`
}

// newOutput is a destination of a stream that is being made.
type newOutput struct {
	URL  string `json:"url" maxLength:"2048" doc:"rtmp://host/app/key, rtmps://host/app/key or srt://host:port?streamid=… Secret: it is never shown again."`
	Name string `json:"name,omitempty" maxLength:"128" doc:"For people."`
}

type outputInput struct {
	ID     string `path:"id" maxLength:"128"`
	Output string `path:"output" maxLength:"64"`
}

type outputOutput struct{ Body Output }

type outputsOutput struct {
	Body struct {
		Outputs []Output `json:"outputs"`
	}
}

type addOutputInput struct {
	ID   string `path:"id" maxLength:"128"`
	Body struct {
		URL   string `json:"url" maxLength:"2048" doc:"rtmp://host/app/key, rtmps://host/app/key or srt://host:port?streamid=… Secret: it is never shown again."`
		Name  string `json:"name,omitempty" maxLength:"128" doc:"For people."`
		Check bool   `json:"check,omitempty" doc:"Add it only if the destination answers as it should."`
	}
}

type patchOutputInput struct {
	ID     string `path:"id" maxLength:"128"`
	Output string `path:"output" maxLength:"64"`
	Body   struct {
		Paused bool `json:"paused"`
	}
}

type checkInput struct {
	Body struct {
		URL    string `json:"url" maxLength:"2048"`
		Stream string `json:"stream,omitempty" maxLength:"128" doc:"Id of a stream to compare with what the platform asks for."`
	}
}

type checkOutput struct{ Body OutputCheck }

func (a *API) registerOutputs(h huma.API) {
	const all, one = "/streams/{id}/outputs", "/streams/{id}/outputs/{output}"
	huma.Register(h, operation("list-outputs", http.MethodGet, all, "Where a stream is sent on to", http.StatusNotFound), a.listOutputs)
	huma.Register(h, operation("add-output", http.MethodPost, all, "Send a stream on to one more destination, live or not",
		http.StatusNotFound, http.StatusConflict, http.StatusUnprocessableEntity, http.StatusBadGateway), a.addOutput)
	huma.Register(h, operation("get-output", http.MethodGet, one, "One output", http.StatusNotFound), a.getOutput)
	huma.Register(h, operation("pause-output", http.MethodPatch, one, "Stop sending to a destination, or begin again",
		http.StatusNotFound, http.StatusConflict), a.pauseOutput)
	huma.Register(h, operation("remove-output", http.MethodDelete, one, "Send a stream there no more",
		http.StatusNotFound, http.StatusConflict), a.removeOutput)
	check := operation("check-output", http.MethodPost, "/outputs/check",
		"Try a destination without publishing: DNS, TCP, TLS, RTMP's connect and createStream or SRT's handshake", http.StatusUnprocessableEntity)
	check.DefaultStatus = http.StatusOK
	huma.Register(h, check, a.checkOutput)
}

// outputsOf are the outputs that the caller may see: an app sees its own.
func (a *API) outputsOf(ctx context.Context, id string) ([]Output, error) {
	live, ok := a.deps.Media.Stream(id)
	if !ok {
		return nil, &session.Refusal{Code: protocol.CodeStreamNotFound, Text: "There is no such stream"}
	}
	app := appOfContext(ctx)
	return slices.DeleteFunc(slices.Clone(live.Outputs), func(o Output) bool {
		return app != "" && !slices.Contains(o.Apps, app)
	}), nil
}

func (a *API) outputOf(ctx context.Context, stream, id string) (*outputOutput, error) {
	list, err := a.outputsOf(ctx, stream)
	if err != nil {
		return nil, refusal(a.log, err)
	}
	i := slices.IndexFunc(list, func(o Output) bool { return o.ID == id })
	if i < 0 {
		return nil, refusal(a.log, &session.Refusal{Code: protocol.CodeOutputNotFound, Text: "The stream has no such output"})
	}
	return &outputOutput{Body: list[i]}, nil
}

func (a *API) listOutputs(ctx context.Context, in *streamInput) (*outputsOutput, error) {
	list, err := a.outputsOf(ctx, in.ID)
	if err != nil {
		return nil, refusal(a.log, err)
	}
	out := &outputsOutput{}
	out.Body.Outputs = append([]Output{}, list...)
	return out, nil
}

func (a *API) addOutput(ctx context.Context, in *addOutputInput) (*outputOutput, error) {
	if in.Body.Check {
		found, err := a.deps.Outputs.Check(ctx, in.Body.URL, in.ID)
		if err != nil {
			return nil, badURL(err)
		}
		if !found.OK {
			return nil, problem(http.StatusBadGateway, protocol.CodeDestination, "The destination does not answer as it should: "+found.Error+".")
		}
	}
	err := a.deps.Outputs.Change(ctx, OutputChange{
		Stream: in.ID, App: appOfContext(ctx), Do: AddOutput, URL: in.Body.URL, Name: in.Body.Name,
	})
	if err != nil {
		return nil, refusal(a.log, err)
	}
	id := a.deps.Outputs.ID(in.ID, in.Body.URL)
	a.log.Info("output added", "stream", in.ID, "output", id, "app", appOfContext(ctx))
	return a.outputOf(ctx, in.ID, id)
}

func (a *API) getOutput(ctx context.Context, in *outputInput) (*outputOutput, error) {
	return a.outputOf(ctx, in.ID, in.Output)
}

func (a *API) pauseOutput(ctx context.Context, in *patchOutputInput) (*outputOutput, error) {
	do := ResumeOutput
	if in.Body.Paused {
		do = PauseOutput
	}
	if err := a.deps.Outputs.Change(ctx, OutputChange{Stream: in.ID, App: appOfContext(ctx), Do: do, ID: in.Output}); err != nil {
		return nil, refusal(a.log, err)
	}
	return a.outputOf(ctx, in.ID, in.Output)
}

func (a *API) removeOutput(ctx context.Context, in *outputInput) (*struct{}, error) {
	if err := a.deps.Outputs.Change(ctx, OutputChange{Stream: in.ID, App: appOfContext(ctx), Do: RemoveOutput, ID: in.Output}); err != nil {
		return nil, refusal(a.log, err)
	}
	a.log.Info("output removed", "stream", in.ID, "output", in.Output, "app", appOfContext(ctx))
	return nil, nil
}

func (a *API) checkOutput(ctx context.Context, in *checkInput) (*checkOutput, error) {
	found, err := a.deps.Outputs.Check(ctx, in.Body.URL, in.Body.Stream)
	if err != nil {
		return nil, badURL(err)
	}
	return &checkOutput{Body: *found}, nil
}

// badURL is the refusal of what cannot be a destination.
func badURL(err error) *Problem {
	return problem(http.StatusUnprocessableEntity, protocol.CodeInvalidURL, "Invalid URL: "+err.Error()+".")
}
