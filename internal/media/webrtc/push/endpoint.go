package push

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Bounds of what an endpoint may answer and take.
const (
	maxAnswer  = 64 << 10 // bytes of SDP
	maxReason  = 200      // bytes of a refusal's text
	deleteTime = 2 * time.Second
)

// RefusedError is an endpoint's refusal to take the stream: trying again with the
// same URL is of little use.
type RefusedError struct {
	Status int    // of HTTP, 400-499
	Reason string // the first line of its body, bounded; may be empty
}

// Error gives the endpoint's words. They never hold the URL, unless it repeats it.
func (e *RefusedError) Error() string {
	return strings.TrimSpace(fmt.Sprintf("whip: the endpoint refused the stream: %d %s %s", e.Status, http.StatusText(e.Status), e.Reason))
}

// ErrAddress says that a URL is no endpoint's.
var ErrAddress = errors.New("whip: the address must be https://host/path or http://…")

// endpoint is a WHIP endpoint and, once it has answered, the resource there.
type endpoint struct {
	url      *url.URL
	http     *http.Client
	resource *url.URL // nil before the answer
	etag     string
}

func newEndpoint(raw string, client *http.Client) (*endpoint, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") {
		return nil, ErrAddress // url's own error would repeat the key
	}
	if client == nil {
		client = http.DefaultClient
	}
	return &endpoint{url: u, http: client}, nil
}

// offer posts an offer and returns the answer.
func (e *endpoint) offer(ctx context.Context, sdp string) (string, error) {
	res, err := e.do(ctx, http.MethodPost, e.url, "application/sdp", sdp)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	switch {
	case err != nil:
		return "", fmt.Errorf("whip: read the answer: %w", withoutURL(err))
	case res.StatusCode == http.StatusCreated && len(body) <= maxAnswer:
		if at, err := res.Request.URL.Parse(res.Header.Get("Location")); err == nil && res.Header.Get("Location") != "" {
			e.resource, e.etag = at, res.Header.Get("ETag")
		}
		return string(body), nil
	case res.StatusCode >= 400 && res.StatusCode < 500:
		return "", &RefusedError{Status: res.StatusCode, Reason: reason(body)}
	}
	return "", fmt.Errorf("whip: the endpoint answered %d %s", res.StatusCode, http.StatusText(res.StatusCode))
}

// delete ends the resource, if the endpoint has named one.
func (e *endpoint) delete() error {
	if e.resource == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), deleteTime)
	defer cancel()
	res, err := e.do(ctx, http.MethodDelete, e.resource, "", "")
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode >= 300 && res.StatusCode != http.StatusNotFound { // it may be gone already
		return fmt.Errorf("whip: the endpoint answered %d to the end", res.StatusCode)
	}
	return nil
}

func (e *endpoint) do(ctx context.Context, method string, at *url.URL, kind, body string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, at.String(), strings.NewReader(body))
	if err != nil {
		return nil, ErrAddress
	}
	if kind != "" {
		req.Header.Set("Content-Type", kind)
	}
	res, err := e.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("whip: connect: %w", withoutURL(err))
	}
	return res, nil
}

// withoutURL takes the URL, whose path is a secret, out of an error of net/http.
func withoutURL(err error) error {
	var with *url.Error
	if errors.As(err, &with) {
		return with.Err
	}
	return err
}

// reason is the first line of a refusal.
func reason(body []byte) string {
	line, _, _ := strings.Cut(strings.TrimSpace(string(body[:min(len(body), maxReason)])), "\n")
	return strings.ToValidUTF8(line, "")
}
