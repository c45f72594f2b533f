package main

import (
	"context"
	"io"

	"glimpse/internal/operator"
)

// cloudFlags are those of a command that can answer as the server does.
type cloudFlags struct {
	operatorFlags
	JSON bool `name:"json" help:"What the server answers, as it is."`
}

type outputsCommand struct {
	List   outputsList   `cmd:"" help:"Where a stream is sent on to, and how each destination does."`
	Add    outputsAdd    `cmd:"" help:"Send a stream on to one more destination, live or not."`
	Remove outputsRemove `cmd:"" help:"Send a stream there no more."`
	Pause  outputsPause  `cmd:"" help:"Stop sending to a destination for now."`
	Resume outputsResume `cmd:"" help:"Send to a paused or failed destination again."`
	Check  outputsCheck  `cmd:"" help:"Try a destination without publishing."`
}

// Help tells what a session looks like.
func (outputsCommand) Help() string {
	return `Restream destinations: YouTube, Twitch, anything that takes RTMP, RTMPS or SRT.

  glimpse outputs check rtmps://a.rtmps.youtube.com/live2/KEY
  glimpse outputs add STREAM rtmps://a.rtmps.youtube.com/live2/KEY --name YouTube
  glimpse outputs list STREAM

Keys are never shown again; an output is named by its id from then on.`
}

type outputsList struct {
	cloudFlags
	Stream string `arg:"" help:"Id of the stream (GET /api/v1/streams)."`
}

func (c *outputsList) Run(ctx context.Context, out io.Writer) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	return client.ListOutputs(ctx, out, c.JSON, c.Stream)
}

type outputsAdd struct {
	cloudFlags
	Stream string `arg:"" help:"Id of the stream."`
	URL    string `arg:"" help:"rtmp://host/app/key, rtmps://host/app/key or srt://host:port?streamid=…"`
	Name   string `help:"For people."`
	Check  bool   `help:"Add it only if the destination answers as it should."`
}

func (c *outputsAdd) Run(ctx context.Context, out io.Writer) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	return client.AddOutput(ctx, out, c.JSON, c.Stream, operator.NewOutput{URL: c.URL, Name: c.Name, Check: c.Check})
}

type outputsRemove struct{ oneOutput }

func (c *outputsRemove) Run(ctx context.Context) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	return client.RemoveOutput(ctx, c.Stream, c.Output)
}

type outputsPause struct{ oneOutput }

func (c *outputsPause) Run(ctx context.Context, out io.Writer) error { return c.pause(ctx, out, true) }

type outputsResume struct{ oneOutput }

func (c *outputsResume) Run(ctx context.Context, out io.Writer) error {
	return c.pause(ctx, out, false)
}

// oneOutput names an output.
type oneOutput struct {
	cloudFlags
	Stream string `arg:"" help:"Id of the stream."`
	Output string `arg:"" help:"Id of the output (glimpse outputs list)."`
}

func (c *oneOutput) pause(ctx context.Context, out io.Writer, paused bool) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	return client.PauseOutput(ctx, out, c.JSON, c.Stream, c.Output, paused)
}

type outputsCheck struct {
	cloudFlags
	URL    string `arg:"" help:"rtmp://host/app/key, rtmps://host/app/key or srt://host:port?streamid=…"`
	Stream string `help:"Id of a live stream to compare with what the platform asks for."`
}

// Help tells what is tried.
func (outputsCheck) Help() string {
	return `The server does everything that sending needs except sending: it resolves the
name, connects, and asks for a stream (RTMP: connect and createStream; SRT: the
handshake). Exit status 1 when the destination does not answer as it should.`
}

func (c *outputsCheck) Run(ctx context.Context, out io.Writer) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	return client.CheckOutput(ctx, out, c.JSON, c.URL, c.Stream)
}

type reportsCommand struct {
	cloudFlags
	ID     string `arg:"" optional:"" help:"Id of one report, for all of it."`
	Stream string `help:"Only reports of this stream."`
	Limit  int    `default:"20" help:"So many, the newest."`
}

// Help tells what a report is.
func (reportsCommand) Help() string {
	return `What became of streams: a report for each time that one was live, with its
bitrate, drops, reconnects, viewers and outputs. The newest 500 of 90 days are kept.`
}

func (c *reportsCommand) Run(ctx context.Context, out io.Writer) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	if c.ID != "" {
		return client.ShowReport(ctx, out, c.JSON, c.ID)
	}
	return client.ListReports(ctx, out, c.JSON, c.Stream, c.Limit)
}
