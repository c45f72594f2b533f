package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"text/tabwriter"
	"time"

	"glimpse/internal/operator"
	"glimpse/protocol"
)

type recordingsCommand struct {
	List     recordingsListCommand     `cmd:"" default:"withargs" help:"Recordings and clips, the newest first."`
	Start    recordingsStartCommand    `cmd:"" help:"Record a stream until it is stopped or ends."`
	Stop     recordingsStopCommand     `cmd:"" help:"Stop recording a stream."`
	Download recordingsDownloadCommand `cmd:"" help:"Copy a recording or clip to a file."`
	Delete   recordingsDeleteCommand   `cmd:"" help:"Delete a recording or clip with its file."`
}

type recordingsListCommand struct {
	operatorFlags
	Stream string `placeholder:"ID" help:"Only of this stream."`
	JSON   bool   `name:"json" help:"Print JSON."`
}

// Run prints the list.
func (c *recordingsListCommand) Run(ctx context.Context) error {
	cloud, err := c.client()
	if err != nil {
		return err
	}
	var list struct {
		Recordings []protocol.Recording `json:"recordings"`
	}
	if err := cloud.Call(ctx, http.MethodGet, "/recordings?limit=1000&stream="+url.QueryEscape(c.Stream), nil, &list); err != nil {
		return err
	}
	return show(list.Recordings, c.JSON, func() {
		w := tabwriter.NewWriter(os.Stdout, 0, 4, 2, ' ', 0)
		fmt.Fprintln(w, "ID\tKIND\tSTREAM\tSTATUS\tBEGAN\tLENGTH\tMB")
		for _, r := range list.Recordings {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%v\t%.1f\n", r.ID, r.Kind, r.Stream, r.Status,
				r.Started.Local().Format("2006-01-02 15:04:05"), time.Duration(r.Duration*float64(time.Second)).Round(time.Second), float64(r.Bytes)/1e6)
		}
		_ = w.Flush() // to a terminal, see .golangci.yml
	})
}

type recordingsStartCommand struct {
	operatorFlags
	Stream string `arg:"" placeholder:"ID" help:"Id of the stream."`
	JSON   bool   `name:"json" help:"Print JSON."`
}

// Run starts a recording.
func (c *recordingsStartCommand) Run(ctx context.Context) error {
	return c.record(ctx, http.MethodPost, c.Stream, c.JSON)
}

type recordingsStopCommand struct {
	operatorFlags
	Stream string `arg:"" placeholder:"ID" help:"Id of the stream."`
	JSON   bool   `name:"json" help:"Print JSON."`
}

// Run stops it.
func (c *recordingsStopCommand) Run(ctx context.Context) error {
	return c.record(ctx, http.MethodDelete, c.Stream, c.JSON)
}

func (f operatorFlags) record(ctx context.Context, method, stream string, asJSON bool) error {
	cloud, err := f.client()
	if err != nil {
		return err
	}
	var rec protocol.Recording
	if err := cloud.Call(ctx, method, "/streams/"+url.PathEscape(stream)+"/recording", nil, &rec); err != nil {
		return err
	}
	return show(rec, asJSON, func() {
		if rec.ID == "" {
			fmt.Println("The stream is not live: it is recorded when it is.")
			return
		}
		fmt.Println(rec.Status, rec.ID)
		fmt.Println(rec.Page)
	})
}

type recordingsDownloadCommand struct {
	operatorFlags
	ID     string `arg:"" help:"Id of the recording or clip."`
	Output string `short:"o" placeholder:"FILE" help:"Where to; ID.mp4 when left out, - is standard output."`
}

// Run copies the file.
func (c *recordingsDownloadCommand) Run(ctx context.Context) error {
	cloud, err := c.client()
	if err != nil {
		return err
	}
	if c.Output == "" {
		c.Output = c.ID + ".mp4"
	}
	return download(ctx, cloud, c.ID, c.Output)
}

// download copies a recording to a file that is not there yet.
func download(ctx context.Context, cloud operator.Client, id, to string) (err error) {
	var w io.Writer = os.Stdout
	if to != "-" {
		f, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
		if err != nil {
			return err
		}
		defer func() {
			if err = errors.Join(err, f.Close()); err != nil {
				err = errors.Join(err, os.Remove(to)) // no halves
			}
		}()
		w = f
	}
	return cloud.Download(ctx, "/recordings/"+url.PathEscape(id)+"/file", w)
}

type recordingsDeleteCommand struct {
	operatorFlags
	ID string `arg:"" help:"Id of the recording or clip."`
}

// Run deletes it.
func (c *recordingsDeleteCommand) Run(ctx context.Context) error {
	cloud, err := c.client()
	if err != nil {
		return err
	}
	return cloud.Call(ctx, http.MethodDelete, "/recordings/"+url.PathEscape(c.ID), nil, nil)
}
