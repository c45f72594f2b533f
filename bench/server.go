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
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	adminToken = "token-of-the-benchmark"
	coreSecret = "core-secret-of-the-benchmark"
)

// server is a glimpse process on free loopback ports.
type server struct {
	cmd   *exec.Cmd
	dir   string
	url   string
	ready time.Duration // from exec to /readyz
}

func launch(ctx context.Context, binary string) (*server, error) {
	dir, err := os.MkdirTemp("", "glimpse-bench-")
	if err != nil {
		return nil, err
	}
	s := &server{dir: dir}
	path := filepath.Join(dir, "glimpse.yaml")
	yaml := fmt.Sprintf("data_dir: %s\nlog_level: warn\nadmin_token: %s\nhttp: {addr: \"127.0.0.1:0\"}\nrtmp: {addr: \"127.0.0.1:0\"}\nsrt: {addr: \"\"}\nhttps: {addr: \"\"}\nrtmps: {addr: \"\"}\nwebrtc: {addr: \"127.0.0.1:0\"}\n"+
		"core_token_secret: %s\noutbound: {allow_private: true}\n",
		filepath.Join(dir, "data"), adminToken, coreSecret)
	if err := os.WriteFile(path, []byte(yaml), 0o600); err != nil {
		return nil, err
	}
	s.cmd = exec.CommandContext(ctx, binary, "serve", "--config", path)
	s.cmd.Stderr = os.Stderr
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	began := time.Now()
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	address := regexp.MustCompile(`http://127\.0\.0\.1:\d+`)
	lines := bufio.NewScanner(out)
	for s.url == "" && lines.Scan() {
		s.url = address.FindString(lines.Text())
	}
	if s.url == "" {
		s.stop()
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
				s.ready = time.Since(began)
				return s, nil
			}
		}
	}
	s.stop()
	return nil, errors.New("the server did not become ready")
}

func (s *server) stop() {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	_ = s.cmd.Wait()
	_ = os.RemoveAll(s.dir)
}

// stream is a standing stream's answer.
type stream struct {
	ID     string            `json:"id"`
	Status string            `json:"status"`
	Ingest map[string]string `json:"ingest"`
	Play   map[string]string `json:"playback"`
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

// cpu is the CPU time that the process has used (Linux).
func (s *server) cpu() (time.Duration, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond, nil
}

// memory is the resident size in bytes (Linux).
func (s *server) memory() (float64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			return kb * 1024, err
		}
	}
	return 0, errors.New("no VmRSS")
}

// cost measures the CPU and memory that n things take over a time.
func (s *server) cost(ctx context.Context, seconds, n int, what string) ([]figure, error) {
	before, err := s.cpu()
	if err != nil {
		return nil, err
	}
	began := time.Now()
	select {
	case <-time.After(time.Duration(seconds) * time.Second):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	after, err := s.cpu()
	if err != nil {
		return nil, err
	}
	bytes, err := s.memory()
	if err != nil {
		return nil, err
	}
	ms := float64(after-before) / float64(time.Millisecond)
	return []figure{
		{Metric: "cpu_per_" + what, Value: ms / time.Since(began).Seconds() / float64(n), Unit: "ms/s", N: n},
		{Metric: "memory", Value: bytes / (1 << 20), Unit: "MiB", N: n},
	}, nil
}
