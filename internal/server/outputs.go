package server

import (
	"context"
	"time"

	"glimpse/internal/control/api"
	"glimpse/internal/control/camera"
	"glimpse/internal/control/session"
	"glimpse/internal/control/streams"
	"glimpse/internal/media/hub"
	"glimpse/internal/media/restream"
	"glimpse/protocol"
)

// outputControl lets the API change restream destinations: a standing stream's in
// its registry, a wearer's through the session, so that apps are told.
type outputControl struct {
	standing  *streams.Registry
	sessions  *session.Registry
	hub       *hub.Hub
	restreams *restreams
}

var _ api.Outputs = (*outputControl)(nil)

// ID of a destination of a stream.
func (c *outputControl) ID(stream, url string) string { return c.restreams.alias(stream, url) }

// Change adds, removes, pauses or resumes an output.
func (c *outputControl) Change(ctx context.Context, change api.OutputChange) error {
	to := protocol.Destination{URL: change.URL, Name: change.Name}
	s := c.hub.Stream(change.Stream)
	if s == nil {
		return &session.Refusal{Code: protocol.CodeStreamNotFound, Text: "There is no such stream"}
	}
	if change.Do == api.AddOutput {
		if err := restream.CheckAddress(restream.Normal(change.URL)); err != nil {
			return &session.Refusal{Code: protocol.CodeInvalidURL, Text: "Invalid URL: " + err.Error()}
		}
	} else {
		o := c.restreams.find(change.Stream)
		var known bool
		var outlet camera.Outlet
		if o != nil {
			outlet, known = o.outlet(change.ID)
		}
		if !known {
			return &session.Refusal{Code: protocol.CodeOutputNotFound, Text: "The stream has no such output"}
		}
		to = outlet.Destination
	}
	if !s.Standing() {
		return c.sessions.ChangeOutput(ctx, s.Name(), camera.ChangeOutput{
			StreamID: change.Stream, App: change.App, Destination: to, Do: action(change.Do),
		})
	}
	if change.App != "" {
		return &session.Refusal{Code: protocol.CodeNotViewer, Text: "The stream is the operator's"}
	}
	switch change.Do {
	case api.AddOutput:
		return c.standing.AddOutput(ctx, change.Stream, streams.Output{URL: to.URL, Name: to.Name})
	case api.RemoveOutput:
		return c.standing.RemoveOutput(ctx, change.Stream, to.URL)
	case api.PauseOutput, api.ResumeOutput:
	}
	return c.standing.PauseOutput(ctx, change.Stream, to.URL, change.Do == api.PauseOutput)
}

func action(do api.OutputAction) camera.OutputAction {
	switch do {
	case api.AddOutput:
		return camera.AddOutput
	case api.RemoveOutput:
		return camera.RemoveOutput
	case api.PauseOutput:
		return camera.PauseOutput
	case api.ResumeOutput:
	}
	return camera.ResumeOutput
}

// Check makes a pre-flight; with a stream, what its platform would say of that.
func (c *outputControl) Check(ctx context.Context, url, stream string) (*api.OutputCheck, error) {
	to := restream.Destination{URL: restream.Normal(url)}
	found, err := c.restreams.network.Check(ctx, to)
	if err != nil {
		return nil, err
	}
	check := preflight(found)
	platform, _ := restream.PlatformOf(to.URL)
	check.Platform = platform.Name
	if s := c.hub.Stream(stream); s != nil {
		check.Warnings = restream.Advise(to.URL, s.Stats())
	}
	return check, nil
}

// preflight is a pre-flight in the API's words.
func preflight(p *restream.Preflight) *api.OutputCheck {
	if p == nil {
		return nil
	}
	check := &api.OutputCheck{At: p.At.UTC().Truncate(time.Millisecond), OK: p.Err() == "", Error: p.Err(), Stages: []api.CheckStage{}}
	for _, s := range p.Stages {
		check.Stages = append(check.Stages, api.CheckStage{Name: s.Name, Seconds: s.Took.Seconds(), Error: s.Error})
	}
	return check
}

// describe is how the outputs of a stream do, in the API's words.
func (o *outputs) describe(st hub.Stats) []api.Output {
	list := []api.Output{}
	if o == nil {
		return list
	}
	for _, s := range o.supervisor.Status() {
		d, known := o.outlet(s.ID)
		if !known {
			continue
		}
		platform, _ := restream.PlatformOf(d.URL)
		out := api.Output{
			ID: s.ID, Name: s.Name, URL: s.URL, Status: string(s.State), Error: s.Error, Since: s.Since.UTC().Truncate(time.Millisecond),
			Attempts: s.Attempts, Connects: s.Connects, Sent: s.Sent, Bytes: s.Bytes, Dropped: s.Dropped,
			Apps: d.Apps, Platform: platform.Name, Preflight: preflight(s.Preflight),
		}
		if !st.Since.IsZero() {
			out.Warnings = restream.Advise(restream.Normal(d.URL), st)
		}
		list = append(list, out)
	}
	return list
}
