package sdk

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"glimpse/protocol"
)

// Clip makes an MP4 of the stream's last seconds, up to ten minutes, of which a
// minute is always there and more where the stream is recorded. It is ready when
// this returns, in less than a second; its Page is for people. Errors: an *Error
// when the cloud refused.
func (l Live) Clip(ctx context.Context, last time.Duration) (protocol.Recording, error) {
	return l.keep(ctx, http.MethodPost, "clips", map[string]any{"last": last.Seconds()})
}

// ClipBetween makes an MP4 of what happened between two times, see Clip.
func (l Live) ClipBetween(ctx context.Context, from, to time.Time) (protocol.Recording, error) {
	return l.keep(ctx, http.MethodPost, "clips", map[string]any{"from": from, "to": to})
}

// Record has the stream recorded until StopRecording or its end. A recording in
// progress goes on and is returned.
func (l Live) Record(ctx context.Context) (protocol.Recording, error) {
	return l.keep(ctx, http.MethodPost, "recording", nil)
}

// StopRecording ends the recording and returns it, finished.
func (l Live) StopRecording(ctx context.Context) (protocol.Recording, error) {
	return l.keep(ctx, http.MethodDelete, "recording", nil)
}

// Clip is Live.Clip.
func (st *Stream) Clip(ctx context.Context, last time.Duration) (protocol.Recording, error) {
	return st.Live().Clip(ctx, last)
}

// ClipBetween is Live.ClipBetween.
func (st *Stream) ClipBetween(ctx context.Context, from, to time.Time) (protocol.Recording, error) {
	return st.Live().ClipBetween(ctx, from, to)
}

// Record is Live.Record.
func (st *Stream) Record(ctx context.Context) (protocol.Recording, error) {
	return st.Live().Record(ctx)
}

// StopRecording is Live.StopRecording.
func (st *Stream) StopRecording(ctx context.Context) (protocol.Recording, error) {
	return st.Live().StopRecording(ctx)
}

// keep makes one call about recordings.
func (l Live) keep(ctx context.Context, method, name string, in any) (rec protocol.Recording, err error) {
	err = l.call(ctx, method, name, in, &rec)
	if err != nil {
		return rec, fmt.Errorf("%s: %w", name, err)
	}
	return rec, nil
}

// call sends in as JSON to what is below the stream's page, and reads the answer
// into out; both may be nil.
func (l Live) call(ctx context.Context, method, name string, in, out any) error {
	at, err := l.at(name, nil)
	if err != nil {
		return err
	}
	return exchange(ctx, l.client(), method, at, l.header(), in, out)
}

// exchange sends in as JSON (nil: an empty object) with a header of its own, and
// reads the answer into out unless that is nil.
func exchange(ctx context.Context, client *http.Client, method, at string, header http.Header, in, out any) error {
	body := []byte("{}")
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, at, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header = header
	req.Header.Set("Content-Type", "application/json")
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	switch {
	case res.StatusCode >= 300:
		return answered(res)
	case out == nil:
		return nil
	}
	return json.NewDecoder(res.Body).Decode(out)
}
