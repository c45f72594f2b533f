package server

import (
	"log/slog"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
)

// Lines of the text format as we write it.
var (
	typeLine   = regexp.MustCompile(`^# TYPE (\w+) (gauge|counter|histogram|summary)$`)
	helpLine   = regexp.MustCompile(`^# HELP (\w+) \S.*$`)
	sampleLine = regexp.MustCompile(`^(\w+)(\{\w+="[^"\\\n]*"(?:, ?\w+="[^"\\\n]*")*\})? (\S+)$`)
)

// The answer of /metrics is the text format of Prometheus: the samples of a name
// stand together below its type, none comes twice, and those of the process and of
// Go are among them.
func TestMetrics(t *testing.T) {
	s, err := New(t.Context(), testConfig(t), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	panics := new(atomic.Uint64)
	panics.Store(3)
	w := httptest.NewRecorder()
	s.metrics(panics).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if kind := w.Header().Get("Content-Type"); kind != "text/plain; version=0.0.4; charset=utf-8" {
		t.Errorf("Content-Type %q", kind)
	}
	family, closed, samples := "", map[string]bool{}, map[string]string{}
	for line := range strings.Lines(w.Body.String()) {
		line = strings.TrimSuffix(line, "\n")
		begins := typeLine.FindStringSubmatch(line)
		switch m := sampleLine.FindStringSubmatch(line); {
		case strings.HasPrefix(line, "# HELP"):
			if !helpLine.MatchString(line) {
				t.Errorf("bad help: %q", line)
			}
			continue
		case begins != nil:
			family = begins[1]
		case m == nil:
			t.Errorf("bad line: %q", line)
			continue
		case !strings.HasPrefix(m[1], "glimpse_"): // written by the library
			samples[m[1]+m[2]] = m[3]
			continue
		case m[1] != family:
			t.Errorf("%q stands below the type of %q", line, family)
		case samples[m[1]+m[2]] != "":
			t.Errorf("twice: %q", line)
		default:
			samples[m[1]+m[2]] = m[3]
			continue
		}
		if closed[family] {
			t.Errorf("%q has two groups", family)
		}
		closed[family] = true
	}
	for name, want := range map[string]string{
		`glimpse_panics_total{part="http"}`: "3", `glimpse_panics_total{part="gateway"}`: "0", `glimpse_streams{state="live"}`: "0",
		`glimpse_viewers{protocol="hls"}`: "0", `glimpse_ffmpeg_children`: "0",
	} {
		if samples[name] != want {
			t.Errorf("%s is %q, want %q", name, samples[name], want)
		}
	}
	for _, name := range []string{"go_goroutines", "go_memstats_alloc_bytes", "process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds"} {
		if samples[name] == "" {
			t.Errorf("no %s", name)
		}
	}
}
