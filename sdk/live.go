package sdk

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strings"
	"time"

	"glimpse/protocol"
)

// Live is a live stream's pictures, and what apps found in them, at its address:
// for an app that has no session, such as a detector of a standing stream. A
// managed Stream has the same methods. The fields must not change once a method was called.
type Live struct {
	// URL is where the stream is watched: its page, or any address below that.
	URL string
	// Package and APIKey are those under which the cloud knows the app, which
	// needs the permission CAMERA. Detections needs neither.
	Package, APIKey string
	// HTTPClient makes the connections; http.DefaultClient when nil.
	HTTPClient *http.Client
}

// Live is the stream by its address. It is of use for managed streams only.
func (st *Stream) Live() Live {
	urls := st.URLs()
	at := urls.Preview
	if at == "" {
		at = urls.HLS
	}
	return Live{URL: at, Package: st.session.app.cfg.Package, APIKey: st.session.app.cfg.APIKey, HTTPClient: st.session.app.cfg.HTTPClient}
}

// Frames is Live.Frames, and ends with the stream or its session too.
func (st *Stream) Frames(ctx context.Context, o FrameOptions) iter.Seq2[Frame, error] {
	return alive(ctx, st, func(ctx context.Context) iter.Seq2[Frame, error] { return st.Live().Frames(ctx, o) })
}

// alive is an iterator whose context also ends with a stream.
func alive[T any](ctx context.Context, st *Stream, begin func(context.Context) iter.Seq2[T, error]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(st.session.life, cancel)()
		go func() {
			select {
			case <-st.ended:
				cancel()
			case <-ctx.Done():
			}
		}()
		for v, err := range begin(ctx) {
			if !yield(v, err) {
				return
			}
		}
	}
}

// at is the address of something below the stream's page.
func (l Live) at(name string, q url.Values) (string, error) {
	u, err := url.Parse(l.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return "", fmt.Errorf(`sdk: Live.URL must be like "http://localhost:8002/live/stream", not %q`, l.URL)
	}
	parts := strings.SplitN(strings.TrimPrefix(u.EscapedPath(), "/live/"), "/", 2)
	if !strings.HasPrefix(u.Path, "/live/") || parts[0] == "" {
		return "", fmt.Errorf("sdk: Live.URL %q is not that of a stream: its path must begin with /live/ and a name", l.URL)
	}
	return u.Scheme + "://" + u.Host + "/live/" + parts[0] + "/" + name + "?" + q.Encode(), nil
}

func (l Live) client() *http.Client {
	if l.HTTPClient == nil {
		return http.DefaultClient
	}
	return l.HTTPClient
}

func (l Live) header() http.Header {
	h := http.Header{}
	if l.Package != "" {
		h.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(l.Package+":"+l.APIKey)))
	}
	return h
}

// lasting makes a connection again and again until ctx ends or it is of no use:
// over is called then, with an *Error, or with nil when the connection is lost and
// will be made again. once says whether it got anything and how it ended.
func lasting(ctx context.Context, once func() (got bool, err error), over func(error)) {
	for attempt := 0; ctx.Err() == nil; {
		got, err := once()
		if got {
			attempt = 0
		}
		var final *Error
		switch {
		case errors.Is(err, errBreak), ctx.Err() != nil:
			return
		case errors.As(err, &final):
			over(final)
			return
		}
		over(nil)
		t := time.NewTimer(min(firstRetry<<min(attempt, 10), longRetry))
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
		}
		attempt++
	}
}

// answered is what an answer that is no success means: an *Error when asking again
// is of no use.
func answered(res *http.Response) error {
	if res.StatusCode >= 500 || res.StatusCode == http.StatusTooManyRequests {
		return errors.New("sdk: the cloud answered " + res.Status)
	}
	var p struct{ Code, Detail string }
	_ = json.NewDecoder(io.LimitReader(res.Body, maxWebhook)).Decode(&p) // what is missing stays empty
	if res.StatusCode == http.StatusUnauthorized {
		p.Code = string(protocol.CodeInvalidAPIKey)
	}
	return refusal(p.Code, p.Detail, "the cloud answered "+res.Status)
}

var (
	// errGoing says that a connection ended and another may be made.
	errGoing = errors.New("sdk: the connection ended")
	// errBreak says that the loop was left.
	errBreak = errors.New("sdk: loop left")
)
