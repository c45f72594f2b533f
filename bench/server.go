package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"time"
)

const (
	adminToken = "token-of-the-benchmark"
	coreSecret = "core-secret-of-the-benchmark"
)

// server is a glimpse process on free loopback ports.
type server struct {
	url string
}

// launch starts one with a data folder of its own and waits until it is ready.
func launch(ctx context.Context, binary string) (*instance, error) {
	dir, err := os.MkdirTemp("", "glimpse-bench-")
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, "glimpse.yaml")
	yaml := fmt.Sprintf("data_dir: %s\nlog_level: warn\nadmin_token: %s\nhttp: {addr: \"127.0.0.1:0\"}\nrtmp: {addr: \"127.0.0.1:0\"}\nsrt: {addr: \"127.0.0.1:0\"}\nhttps: {addr: \"\"}\nrtmps: {addr: \"\"}\nwebrtc: {addr: \"127.0.0.1:0\"}\n"+
		"core_token_secret: %s\noutbound: {allow_private: true}\n",
		filepath.Join(dir, "data"), adminToken, coreSecret)
	if err := os.WriteFile(path, []byte(yaml), 0o600); err != nil {
		return nil, err
	}
	s, cmd := &server{}, exec.CommandContext(ctx, binary, "serve", "--config", path)
	i := &instance{ours: s, newStream: s.newStream}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	began := time.Now()
	if err := i.exec(cmd, os.Stderr); err != nil {
		return nil, err
	}
	stop := i.stop
	i.stop = func() {
		stop()
		_ = os.RemoveAll(dir)
	}
	address := regexp.MustCompile(`http://127\.0\.0\.1:\d+`)
	lines := bufio.NewScanner(out)
	for s.url == "" && lines.Scan() {
		s.url = address.FindString(lines.Text())
	}
	if s.url == "" {
		i.stop()
		return nil, errors.New("the server ended before it said its address")
	}
	go func() {
		for lines.Scan() { // keeps the pipe from filling up
			continue
		}
	}()
	for ; ctx.Err() == nil; time.Sleep(time.Millisecond) {
		if res, err := http.Get(s.url + "/readyz"); err == nil {
			_ = res.Body.Close()
			if res.StatusCode == http.StatusOK {
				i.ready = time.Since(began)
				return i, nil
			}
		}
	}
	i.stop()
	return nil, errors.New("the server did not become ready")
}

func (s *server) call(ctx context.Context, method, path string, body []byte, out any) error {
	req, err := http.NewRequestWithContext(ctx, method, s.url+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+adminToken)
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode >= 300 {
		return fmt.Errorf("%s %s: %s", method, path, res.Status)
	}
	return json.NewDecoder(res.Body).Decode(out)
}

func (s *server) newStream(ctx context.Context) (stream, error) {
	var st stream
	err := s.call(ctx, "POST", "/api/v1/streams", []byte("{}"), &st)
	return st, err
}
