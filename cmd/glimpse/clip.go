package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"glimpse/protocol"
)

type clipCommand struct {
	operatorFlags
	Stream string        `arg:"" placeholder:"ID" help:"Id of the stream."`
	Last   time.Duration `placeholder:"30s" help:"So much up to now; 30s when no times are given."`
	From   string        `placeholder:"TIME" help:"Or from this time, like 2026-11-28T12:00:00Z,"`
	To     string        `placeholder:"TIME" help:"to this one."`
	Output string        `short:"o" placeholder:"FILE" help:"Also copy it to a file."`
	JSON   bool          `name:"json" help:"Print JSON."`
}

// Help tells what a clip is.
func (clipCommand) Help() string {
	return `Makes an MP4 of what a stream has just shown, without transcoding, and prints the
address of its page. A minute of a live stream is always kept, more where it is recorded.`
}

// Run makes a clip.
func (c *clipCommand) Run(ctx context.Context) error {
	cloud, err := c.client()
	if err != nil {
		return err
	}
	in := map[string]any{}
	switch {
	case c.From != "" && c.To != "" && c.Last == 0:
		in["from"], in["to"] = c.From, c.To
	case c.From != "" || c.To != "":
		return errors.New("give --last, or --from and --to")
	case c.Last == 0:
		c.Last = 30 * time.Second
		fallthrough
	default:
		in["last"] = c.Last.Seconds()
	}
	var clip protocol.Recording
	if err := cloud.Call(ctx, http.MethodPost, "/streams/"+url.PathEscape(c.Stream)+"/clips", in, &clip); err != nil {
		return err
	}
	if c.Output != "" {
		if err := download(ctx, cloud, clip.ID, c.Output); err != nil {
			return err
		}
	}
	return show(clip, c.JSON, func() {
		fmt.Printf("%.1f s, %s\n%s\n", clip.Duration, clip.ID, clip.Page)
	})
}
