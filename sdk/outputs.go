package sdk

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"glimpse/protocol"
)

// Output is a restream destination that the app asked for, and how it does.
type Output struct {
	ID       string    `json:"id"`
	Name     string    `json:"name"`
	URL      string    `json:"url"`    // without its key
	Status   string    `json:"status"` // idle, connecting, active, retrying, error, stopped (paused)
	Error    string    `json:"error"`  // why it is not active
	Since    time.Time `json:"since"`
	Connects int       `json:"connects"` // times that the destination took the stream
	Sent     uint64    `json:"sent"`     // frames
	Dropped  uint64    `json:"dropped"`  // frames lost because the destination is slow
	Platform string    `json:"platform"` // "YouTube" and its like, when the host is known
	Warnings []string  `json:"warnings"` // what the platform would not like in the stream
}

// What errors.Is can ask for of outputs.
var (
	ErrDuplicateURL   error = &Error{Code: protocol.CodeDuplicateURL}   // the stream goes there already
	ErrTooManyOutputs error = &Error{Code: protocol.CodeMaxOutputs}     // ten of the stream
	ErrTooManyOwn     error = &Error{Code: protocol.CodeMaxAppOutputs}  // ten of the app
	ErrNoOutput       error = &Error{Code: protocol.CodeOutputNotFound} // not, or not any more
)

// Outputs are the restream destinations that the app asked for.
func (st *Stream) Outputs(ctx context.Context) ([]Output, error) {
	var body struct{ Outputs []Output }
	err := st.call(ctx, http.MethodGet, "", nil, &body)
	return body.Outputs, err
}

// AddOutput sends a managed stream on to one more destination while it runs.
func (st *Stream) AddOutput(ctx context.Context, to protocol.Destination) (Output, error) {
	var o Output
	err := st.call(ctx, http.MethodPost, "", to, &o)
	return o, err
}

// RemoveOutput ends sending to a destination, named by Output.ID.
func (st *Stream) RemoveOutput(ctx context.Context, id string) error {
	return st.call(ctx, http.MethodDelete, id, nil, nil)
}

// PauseOutput stops sending to a destination, or begins again.
func (st *Stream) PauseOutput(ctx context.Context, id string, paused bool) (Output, error) {
	var o Output
	err := st.call(ctx, http.MethodPatch, id, map[string]bool{"paused": paused}, &o)
	return o, err
}

// call speaks with the cloud's REST interface about the stream's outputs.
func (st *Stream) call(ctx context.Context, method, output string, body, answer any) error {
	s := st.session
	at, err := url.Parse(s.address)
	if err != nil {
		return err
	}
	at.Scheme = strings.Replace(at.Scheme, "ws", "http", 1) // also wss
	at.Path, at.RawQuery = "/", ""
	at = at.JoinPath("api/v1/streams", st.ID(), "outputs", output)
	header := http.Header{}
	header.Set("Authorization", "Bearer "+s.app.cfg.Package+":"+s.app.cfg.APIKey)
	if err := exchange(ctx, s.app.cfg.HTTPClient, method, at.String(), header, body, answer); err != nil {
		return fmt.Errorf("outputs: %w", err)
	}
	return nil
}
