package sdk

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"slices"
	"strings"
	"time"

	"glimpse/protocol"
)

// PostDetections tells the stream's viewers and other apps what was found in
// pictures, an empty list too. Of each result Epoch and PTS are those of the Frame
// (Result makes one), and boxes are in pixels of a picture of Width times Height.
// More than MaxResults go in several requests. Errors: an *Error when the cloud
// refused; a result for an epoch that is over for long is one.
func (l Live) PostDetections(ctx context.Context, results ...protocol.Detections) error {
	for part := range slices.Chunk(results, protocol.MaxResults) {
		for i := range part {
			part[i].Type = protocol.TypeDetections
		}
		if err := l.post(ctx, part); err != nil {
			return fmt.Errorf("post detections: %w", err)
		}
	}
	return nil
}

// PostState tells the stream's viewers how the app is doing. The cloud forgets it
// 25 s after the app's last word: repeat it.
func (l Live) PostState(ctx context.Context, state protocol.State) error {
	state.Type = protocol.TypeState
	if err := l.post(ctx, state); err != nil {
		return fmt.Errorf("post state: %w", err)
	}
	return nil
}

// PostDetections is Live.PostDetections.
func (st *Stream) PostDetections(ctx context.Context, results ...protocol.Detections) error {
	return st.Live().PostDetections(ctx, results...)
}

// PostState is Live.PostState.
func (st *Stream) PostState(ctx context.Context, state protocol.State) error {
	return st.Live().PostState(ctx, state)
}

// Result is the answer to a picture, with boxes in its own pixels.
func (f Frame) Result(found ...protocol.Detection) protocol.Detections {
	return protocol.Detections{
		Epoch: f.Epoch, PTS: float64(f.PTS) / float64(time.Millisecond), Width: f.Width, Height: f.Height, Detections: found,
	}
}

func (l Live) post(ctx context.Context, v any) error {
	return l.call(ctx, http.MethodPost, "detections", v, nil)
}

// Detections iterates over what apps find in the stream, from the last 3 s on. A
// lost connection is made again, for as long as ctx lasts; it ends silently with
// ctx. An *Error, its last word, says that the stream is over.
func (l Live) Detections(ctx context.Context) iter.Seq2[protocol.Detections, error] {
	return func(yield func(protocol.Detections, error) bool) {
		at, err := l.at("detections", nil)
		if err != nil {
			yield(protocol.Detections{}, err)
			return
		}
		lasting(ctx, func() (got bool, err error) { return l.readDetections(ctx, at, yield) }, func(err error) {
			if err != nil {
				yield(protocol.Detections{}, err)
			}
		})
	}
}

// Detections is Live.Detections, and ends with the stream or its session too.
func (st *Stream) Detections(ctx context.Context) iter.Seq2[protocol.Detections, error] {
	return alive(ctx, st, func(ctx context.Context) iter.Seq2[protocol.Detections, error] { return st.Live().Detections(ctx) })
}

// readDetections yields what one connection brings.
func (l Live) readDetections(ctx context.Context, at string, yield func(protocol.Detections, error) bool) (got bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		return false, err
	}
	silence := time.AfterFunc(connectWait, cancel)
	defer silence.Stop()
	res, err := l.client().Do(req)
	if err != nil {
		return false, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return false, answered(res)
	}
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(nil, maxMessage)
	for lines.Scan() {
		silence.Reset(frameSilence)
		data, found := strings.CutPrefix(lines.Text(), "data: ")
		if !found {
			continue
		}
		var d protocol.Detections
		if err := json.Unmarshal([]byte(data), &d); err != nil {
			return got, fmt.Errorf("sdk: a message that is not one: %w", err)
		}
		if d.Type != protocol.TypeDetections {
			continue
		}
		silence.Stop() // the loop may take its time
		got = true
		if !yield(d, nil) {
			return got, errBreak
		}
		silence.Reset(frameSilence)
	}
	return got, errors.Join(errGoing, lines.Err())
}
