// Package operator is the operator's side of /api/v1 for commands: one call at a
// time, with the admin token, and the server's own sentence when it refuses. A
// Client has no state and may be used by several goroutines.
package operator

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// Client of one server.
type Client struct {
	Server string // its address, like http://localhost:8002
	Token  string // the admin token; a secret
}

// maxAnswer bounds an answer that is no file.
const maxAnswer = 64 << 20

// Call sends in as JSON (nil: nothing) to a path below /api/v1 and reads the answer
// into out (nil: it is not read). Errors are the server's sentences.
func (c Client) Call(ctx context.Context, method, path string, in, out any) error {
	res, err := c.do(ctx, method, path, in)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if out == nil || res.StatusCode == http.StatusNoContent {
		return nil
	}
	return json.NewDecoder(io.LimitReader(res.Body, maxAnswer)).Decode(out)
}

// Download copies what a path answers.
func (c Client) Download(ctx context.Context, path string, to io.Writer) error {
	res, err := c.do(ctx, http.MethodGet, path, nil)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	_, err = io.Copy(to, res.Body)
	return err
}

// do returns an answer that is a success; its body is the caller's to close.
func (c Client) do(ctx context.Context, method, path string, in any) (*http.Response, error) {
	base, err := url.Parse(c.Server)
	if err != nil || base.Host == "" || (base.Scheme != "http" && base.Scheme != "https") {
		return nil, fmt.Errorf("--server %q is no address such as http://localhost:8002", c.Server)
	}
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(c.Server, "/")+"/api/v1"+path, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+c.Token)
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("the server does not answer: %w", err)
	}
	if res.StatusCode < 300 {
		return res, nil
	}
	defer res.Body.Close()
	var problem struct{ Code, Detail string }
	if json.NewDecoder(io.LimitReader(res.Body, 64<<10)).Decode(&problem) != nil || problem.Detail == "" {
		return nil, errors.New("the server answered " + res.Status)
	}
	return nil, fmt.Errorf("%s (%s)", problem.Detail, problem.Code)
}
