package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// process is a server's, whoever started it. What it costs is read in /proc
// (Linux).
type process struct {
	pid int
	gc  *gcTrace // nil when it was not started here
}

// cpu is the CPU time that the process has used.
func (p process) cpu() (time.Duration, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.pid))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond, nil
}

// memory is the resident size in bytes.
func (p process) memory() (float64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.pid))
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
func (p process) cost(ctx context.Context, d time.Duration, n int) ([]figure, error) {
	before, err := p.cpu()
	if err != nil {
		return nil, err
	}
	collected, began := p.gc.total(), time.Now()
	select {
	case <-time.After(d):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	after, err := p.cpu()
	if err != nil {
		return nil, err
	}
	took := time.Since(began).Seconds()
	bytes, err := p.memory()
	if err != nil {
		return nil, err
	}
	figures := []figure{
		{"cpu", milliseconds(after-before) / took / float64(n), "ms/s each"},
		{"memory", bytes / (1 << 20), "MiB"},
	}
	if p.gc != nil {
		figures = append(figures, figure{"collections", float64(p.gc.total()-collected) / took, "1/s"})
	}
	return figures, nil
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// gcTrace counts what a Go process says of its collections (GODEBUG=gctrace=1) and
// passes everything else on. The times in those lines are of the wall, which tells
// nothing on a busy machine.
type gcTrace struct {
	count atomic.Int64
}

// gcTracing is what makes a Go process say it.
const gcTracing = "GODEBUG=gctrace=1"

func (g *gcTrace) total() int64 {
	if g == nil {
		return 0
	}
	return g.count.Load()
}

// read takes lines until the end.
func (g *gcTrace) read(r io.Reader, rest io.Writer) {
	for lines := bufio.NewScanner(r); lines.Scan(); {
		if bytes.HasPrefix(lines.Bytes(), []byte("gc ")) {
			g.count.Add(1)
		} else {
			fmt.Fprintf(rest, "%s\n", lines.Bytes())
		}
	}
}
