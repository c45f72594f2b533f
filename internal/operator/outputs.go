package operator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"text/tabwriter"
	"time"
)

// NewOutput is a destination to add.
type NewOutput struct {
	URL   string `json:"url"`
	Name  string `json:"name,omitempty"`
	Check bool   `json:"check,omitempty"`
}

// output is a restream destination as the API shows it.
type output struct {
	ID, Name, URL, Status, Error string
	Connects                     int
	Sent, Dropped                uint64
	Warnings                     []string
}

// below is a path of these parts, each escaped.
func below(parts ...string) string {
	path := ""
	for _, p := range parts {
		path += "/" + url.PathEscape(p)
	}
	return path
}

func outputsPath(stream string, more ...string) string {
	return below(append([]string{"streams", stream, "outputs"}, more...)...)
}

// fetch is Call that keeps what the server said, for --json.
func (c Client) fetch(ctx context.Context, method, path string, in, out any) (raw json.RawMessage, err error) {
	if err := c.Call(ctx, method, path, in, &raw); err != nil {
		return nil, err
	}
	return raw, json.Unmarshal(raw, out)
}

// table prints rows under a header, in columns.
func table(out io.Writer, header []string, rows [][]string) error {
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	for _, row := range append([][]string{header}, rows...) {
		if _, err := fmt.Fprintln(w, strings.TrimRight(strings.Join(row, "\t"), "\t")); err != nil {
			return err
		}
	}
	return w.Flush()
}

// ListOutputs prints a stream's outputs.
func (c Client) ListOutputs(ctx context.Context, out io.Writer, asJSON bool, stream string) error {
	var list struct{ Outputs []output }
	raw, err := c.fetch(ctx, http.MethodGet, outputsPath(stream), nil, &list)
	if err != nil || asJSON {
		return printed(out, raw, err)
	}
	return printOutputs(out, list.Outputs)
}

// AddOutput adds one and prints it.
func (c Client) AddOutput(ctx context.Context, out io.Writer, asJSON bool, stream string, o NewOutput) error {
	var added output
	raw, err := c.fetch(ctx, http.MethodPost, outputsPath(stream), o, &added)
	if err != nil || asJSON {
		return printed(out, raw, err)
	}
	return printOutputs(out, []output{added})
}

// RemoveOutput removes one.
func (c Client) RemoveOutput(ctx context.Context, stream, id string) error {
	return c.Call(ctx, http.MethodDelete, outputsPath(stream, id), nil, nil)
}

// PauseOutput pauses or resumes one and prints it.
func (c Client) PauseOutput(ctx context.Context, out io.Writer, asJSON bool, stream, id string, paused bool) error {
	var now output
	raw, err := c.fetch(ctx, http.MethodPatch, outputsPath(stream, id), map[string]bool{"paused": paused}, &now)
	if err != nil || asJSON {
		return printed(out, raw, err)
	}
	return printOutputs(out, []output{now})
}

func printOutputs(out io.Writer, list []output) error {
	rows := make([][]string, 0, len(list))
	var warnings []string
	for _, o := range list {
		rows = append(rows, []string{o.ID, o.Status, fmt.Sprint(o.Sent), fmt.Sprint(o.Dropped), fmt.Sprint(o.Connects), o.Name, o.URL, o.Error})
		warnings = append(warnings, o.Warnings...)
	}
	if err := table(out, []string{"ID", "STATUS", "SENT", "DROPPED", "CONNECTS", "NAME", "DESTINATION", "ERROR"}, rows); err != nil {
		return err
	}
	for _, w := range warnings {
		if _, err := fmt.Fprintln(out, "Note: "+w); err != nil {
			return err
		}
	}
	return nil
}

// ErrCheck says that a destination does not answer as it should.
var ErrCheck = errors.New("the destination does not answer as it should")

// CheckOutput tries a destination and prints each stage. Error: ErrCheck.
func (c Client) CheckOutput(ctx context.Context, out io.Writer, asJSON bool, address, stream string) error {
	var check struct {
		OK       bool
		Platform string
		Warnings []string
		Stages   []struct {
			Name    string
			Seconds float64
			Error   string
		}
	}
	raw, err := c.fetch(ctx, http.MethodPost, below("outputs", "check"), map[string]string{"url": address, "stream": stream}, &check)
	if err != nil || asJSON {
		if err = printed(out, raw, err); err == nil && !check.OK {
			err = ErrCheck
		}
		return err
	}
	var lines []string
	for _, s := range check.Stages {
		word := "ok"
		if s.Error != "" {
			word = s.Error
		}
		lines = append(lines, fmt.Sprintf("%-5s %7.0f ms  %s", s.Name, s.Seconds*1000, word))
	}
	if check.Platform != "" {
		lines = append(lines, "This is "+check.Platform+".")
	}
	lines = append(lines, check.Warnings...)
	if _, err := fmt.Fprintln(out, strings.Join(lines, "\n")); err != nil {
		return err
	}
	if !check.OK {
		return ErrCheck
	}
	return nil
}

// report is what became of a run as the API shows it.
type report struct {
	ID, Stream, Name, Wearer, End, Video, Sound string
	Started                                     time.Time `json:"started_at"`
	Duration, Bitrate, Interrupted              float64
	Reconnects                                  int
	Dropped                                     uint64
	Viewers                                     struct {
		Peak, Total int
		Watched     float64
	}
	Outputs []output
}

func seconds(s float64) string {
	return (time.Duration(s * float64(time.Second))).Round(time.Second).String()
}

// ListReports prints the newest reports, of a stream when one is named.
func (c Client) ListReports(ctx context.Context, out io.Writer, asJSON bool, stream string, limit int) error {
	query := url.Values{"limit": {fmt.Sprint(limit)}}
	if stream != "" {
		query.Set("stream", stream)
	}
	var list struct{ Reports []report }
	raw, err := c.fetch(ctx, http.MethodGet, "/reports?"+query.Encode(), nil, &list)
	if err != nil || asJSON {
		return printed(out, raw, err)
	}
	var rows [][]string
	for _, r := range list.Reports {
		rows = append(rows, []string{
			r.ID, r.Started.Local().Format("2006-01-02 15:04"), seconds(r.Duration), fmt.Sprintf("%.1f Mbit/s", r.Bitrate/1e6),
			fmt.Sprint(r.Viewers.Peak), fmt.Sprint(r.Reconnects), fmt.Sprint(len(r.Outputs)), r.End, r.Stream, r.Name + r.Wearer,
		})
	}
	return table(out, []string{"ID", "BEGAN", "LIVE FOR", "BITRATE", "VIEWERS", "RECONNECTS", "OUTPUTS", "END", "STREAM", "OF"}, rows)
}

// ShowReport prints one report.
func (c Client) ShowReport(ctx context.Context, out io.Writer, asJSON bool, id string) error {
	var r report
	raw, err := c.fetch(ctx, http.MethodGet, below("reports", id), nil, &r)
	if err != nil || asJSON {
		return printed(out, raw, err)
	}
	_, err = fmt.Fprintf(out, "Stream %s %s%s, from %s for %s (%s)\nMedia: %s, %s, %.2f Mbit/s\nSource: %d reconnects, %s without a publisher\n"+
		"Viewers: %d at most, %d in all, %s watched; slow ones lost %d frames\n",
		r.Stream, r.Name, r.Wearer, r.Started.Local().Format(time.DateTime), seconds(r.Duration), r.End,
		r.Video, r.Sound, r.Bitrate/1e6, r.Reconnects, seconds(r.Interrupted),
		r.Viewers.Peak, r.Viewers.Total, seconds(r.Viewers.Watched), r.Dropped)
	if err != nil || len(r.Outputs) == 0 {
		return err
	}
	return printOutputs(out, r.Outputs)
}

// printed passes on what the server said, unless there is an error.
func printed(out io.Writer, raw json.RawMessage, err error) error {
	if err != nil {
		return err
	}
	_, err = out.Write(append(raw, '\n'))
	return err
}
