package hls

import (
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"glimpse/internal/media/cmaf"
)

// written is what a handler does to a connection: each write, without a copy, and how
// many of them were flushed.
type written struct {
	header  http.Header
	mu      sync.Mutex
	writes  [][]byte
	flushed int
}

func (w *written) Header() http.Header { return w.header }
func (w *written) WriteHeader(int)     {}

func (w *written) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.writes = append(w.writes, b)
	return len(b), nil
}

// FlushError is what http.ResponseController calls.
func (w *written) FlushError() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.flushed = len(w.writes)
	return nil
}

// soFar is what was written, and how much of it is flushed.
func (w *written) soFar() (writes [][]byte, flushed int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.writes, w.flushed
}

// write answers a request with what it notes, until the answer is complete.
func (r *rig) write(path string) *written {
	w := &written{header: http.Header{}}
	r.handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/live/pb/"+path, nil), r.stream, path)
	return w
}

// A segment that grows is sent part by part, each in one write that is flushed when the
// part is closed and not only when the next one is. It, the same segment when it is
// whole, and its parts one by one are the same memory: whoever asks, by whichever
// protocol, a part is joined once.
func TestPartsAreSharedAndFlushed(t *testing.T) {
	live(t, "growing", func(t *testing.T, r *rig, s string, video *cmaf.Rendition) {
		for video.Snapshot().NextPart != 0 { // until a segment has just been closed
			r.play(time.Second / 30)
			synctest.Wait()
		}
		number := video.Snapshot().NextNumber
		name := string(video.AppendSegment(nil, number))
		growing, done := &written{header: http.Header{}}, make(chan struct{})
		go func() {
			defer close(done)
			defer func() { _ = recover() }() // it is cut off when the test has failed
			request := httptest.NewRequest(http.MethodGet, "/live/pb/"+s+name, nil)
			r.handler.ServeHTTP(growing, request, r.stream, s+name)
		}()
		for video.Snapshot().NextNumber == number {
			r.play(time.Second / 30)
			synctest.Wait()
			now := video.Snapshot()
			if now.NextNumber != number {
				break
			}
			if writes, flushed := growing.soFar(); len(writes) != now.NextPart || flushed != now.NextPart {
				t.Fatalf("%d parts are there, %d written and %d flushed", now.NextPart, len(writes), flushed)
			}
		}
		<-done
		parts, _ := growing.soFar()
		if segment := video.Snapshot().Segment(number); len(parts) != len(segment.Parts) || len(parts) < 5 {
			t.Fatalf("%d writes, %d parts", len(parts), len(segment.Parts))
		}
		whole := r.write(s + name).writes
		for i := range parts {
			alone := r.write(string(video.AppendPart(nil, number, i))).writes
			if len(alone) != 1 || len(alone[0]) != len(parts[i]) || &alone[0][0] != &parts[i][0] || &whole[i][0] != &parts[i][0] {
				t.Errorf("part %d: %d writes; by itself, in its segment and while that grew it is not the same memory", i, len(alone))
			}
		}
	})
}
