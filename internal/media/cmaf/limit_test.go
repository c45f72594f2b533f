package cmaf

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"glimpse/internal/media/hub"
	"glimpse/internal/media/mp4"
)

// When all windows together are larger than the node's limit, those of the streams
// that hold most are shortened, down to what players need, and each such stream says
// so once; the counter counts every segment.
func TestNodeLimitIsSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var said bytes.Buffer
		log := slog.New(slog.NewTextHandler(&said, nil))
		p := New(Config{NodeBytes: 1 << 20}, log)
		h := hub.New(hub.Config{}, slog.New(slog.DiscardHandler), p.Output)
		defer h.Close()
		publishers := map[string]*hub.Publisher{}
		for _, id := range []string{"small", "large"} {
			if _, err := h.Open(hub.Spec{ID: id, IngestKey: id, PlaybackID: "p-" + id}); err != nil {
				t.Fatal(err)
			}
			pub, err := h.Publish(id, hub.PublisherInfo{})
			if err != nil {
				t.Fatal(err)
			}
			if err := pub.SetTrack(videoTrack(t, 1)); err != nil {
				t.Fatal(err)
			}
			publishers[id] = pub
		}
		for i := range 30 * 30 {
			at, key := time.Duration(i)*time.Second/30, i%60 == 0
			for id, size := range map[string]int{"small": 100, "large": 5000} { // 6 and 300 kB a segment
				if err := publishers[id].Video(at, at, key, payload(size, key)); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(time.Second / 30)
		}
		synctest.Wait()
		got := p.Stats()
		if got.Bytes > 1<<20+700_000 || got.Shrunk < 5 { // what is open comes on top
			t.Errorf("%d bytes are kept, %d segments were dropped early", got.Bytes, got.Shrunk)
		}
		if n := strings.Count(said.String(), "the window is shortened"); n != 1 || !strings.Contains(said.String(), "stream=large") {
			t.Errorf("said %d times: %s", n, said.String())
		}
	})
}

// A part is one piece of memory of its exact size, made once; its frames are let go
// then, else each would be in memory twice.
func TestPartIsOneAllocation(t *testing.T) {
	samples := make([]sample, 6)
	size := mp4.FragmentSize(true, len(samples))
	for i := range samples {
		samples[i] = sample{payload: fmt.Appendf(nil, "picture %d", i), duration: 3000, key: i == 0}
		size += len(samples[i].payload)
	}
	parts := make([]Part, 101) // AllocsPerRun warms up once
	for i := range parts {
		parts[i] = Part{Size: size, video: true, samples: samples}
	}
	next := 0
	if n := testing.AllocsPerRun(100, func() {
		parts[next].Bytes()
		next++
	}); n != 1 {
		t.Errorf("%g allocations", n)
	}
	for i := range parts {
		if parts[i].samples != nil {
			t.Fatalf("part %d keeps its frames", i)
		}
	}
	if n := testing.AllocsPerRun(100, func() { parts[0].Bytes() }); n != 0 {
		t.Errorf("%g allocations when it is there", n)
	}
}
