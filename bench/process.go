package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
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
	collected, spentBefore := p.gc.total()
	waited := p.waiting()
	began := time.Now()
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
		{"worked", milliseconds(after - before), "ms"},
		{"memory", bytes / (1 << 20), "MiB"},
	}
	if p.gc != nil {
		count, spent := p.gc.total()
		figures = append(figures,
			figure{"collections", float64(count-collected) / took, "1/s"},
			figure{"collecting", collecting(spent-spentBefore, after-before, p.waiting()-waited), "% of cpu"})
	}
	return figures, nil
}

// waiting is how long the process's threads have waited for a processor while they
// had something to do. The collector's clock goes on meanwhile.
func (p process) waiting() (sum time.Duration) {
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", p.pid))
	for _, path := range files {
		if b, err := os.ReadFile(path); err == nil {
			sum += runDelay(string(b))
		}
	}
	return sum
}

// runDelay is the second number of a thread's schedstat, in ns.
func runDelay(schedstat string) time.Duration {
	f := strings.Fields(schedstat)
	if len(f) < 2 {
		return 0
	}
	ns, _ := strconv.ParseInt(f[1], 10, 64)
	return time.Duration(ns)
}

// collecting is the share in percent of a process's CPU that its collections took, by
// the wall, when its threads had waited so long for processors.
func collecting(spent, worked, waited time.Duration) float64 {
	if worked <= 0 {
		return 0
	}
	return 100 * float64(spent) / float64(worked+max(waited, 0))
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// gcTrace counts what a Go process says of its collections (GODEBUG=gctrace=1) and
// passes everything else on. What a collection took is counted by the wall on each
// processor that took part, so what threads waited for processors meanwhile is taken
// off, as a share of all they waited.
type gcTrace struct {
	count atomic.Int64
	spent atomic.Int64 // nanoseconds of processors
}

// gcTracing is what makes a Go process say it.
const gcTracing = "GODEBUG=gctrace=1"

// total is how many collections there were and what they took.
func (g *gcTrace) total() (int64, time.Duration) {
	if g == nil {
		return 0, 0
	}
	return g.count.Load(), time.Duration(g.spent.Load())
}

// read takes lines until the end.
func (g *gcTrace) read(r io.Reader, rest io.Writer) {
	for lines := bufio.NewScanner(r); lines.Scan(); {
		if spent, ok := collection(lines.Text()); ok {
			g.spent.Add(int64(spent))
			g.count.Add(1)
		} else {
			fmt.Fprintf(rest, "%s\n", lines.Bytes())
		}
	}
}

// collection reads what one took, on all processors together:
//
//	gc 1 @0.012s 2%: 0.01+1.2+0.003 ms clock, 0.03+0.3/0.9/1.0+0.006 ms cpu, 4->4->2 MB, …
func collection(line string) (spent time.Duration, ok bool) {
	_, times, ok := strings.Cut(line, " ms clock, ")
	times, _, there := strings.Cut(times, " ms cpu")
	if !ok || !there || !strings.HasPrefix(line, "gc ") {
		return 0, false
	}
	for _, part := range strings.FieldsFunc(times, func(r rune) bool { return r == '+' || r == '/' }) {
		ms, err := strconv.ParseFloat(part, 64)
		if err != nil {
			return 0, false
		}
		spent += time.Duration(ms * float64(time.Millisecond))
	}
	return spent, true
}
