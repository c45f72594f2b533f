package hls

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"glimpse/internal/media/cmaf"
)

// minute returns a rig with a full window. The pictures come as fast as the
// packager takes them.
func minute(b *testing.B) (*rig, *cmaf.Store) {
	b.Helper()
	r := newRig(b)
	r.publish()
	var store *cmaf.Store
	var lead uint64
	r.pause = func() {
		if store == nil {
			store = r.pack.Store(r.stream.Run())
			<-store.Ready()
			store.Expect() // parts are closed at once
			lead = store.Video().Snapshot().Segments[0].Number
		}
		if r.n%60 != 0 {
			return
		}
		// The ninth part of the segment that the next picture closes.
		if _, err := store.Video().Wait(b.Context(), lead+uint64(r.n/60), 8); err != nil {
			b.Fatal(err)
		}
	}
	r.play(65 * time.Second)
	return r, store
}

func BenchmarkPlaylistRender(b *testing.B) {
	r, store := minute(b)
	defer r.close()
	rd := rendition{store.Video(), store.Audio(), audioName}
	s := store.Video().Snapshot()
	b.ReportAllocs()
	for b.Loop() {
		mediaPlaylist(rd, s)
	}
	b.ReportMetric(float64(len(mediaPlaylist(rd, s))), "bytes")
}

func BenchmarkPlaylistCompress(b *testing.B) {
	r, store := minute(b)
	defer r.close()
	plain := mediaPlaylist(rendition{store.Video(), store.Audio(), audioName}, store.Video().Snapshot())
	b.ReportAllocs()
	for b.Loop() {
		l := list{plain: plain}
		l.compressed()
	}
}

// nobody takes an answer and keeps nothing.
type nobody struct{ header http.Header }

func (n nobody) Header() http.Header         { return n.header }
func (n nobody) Write(b []byte) (int, error) { return len(b), nil }
func (n nobody) WriteHeader(int)             {}

func benchmarkRequest(b *testing.B, path func(r *rig, session string) string) {
	r, _ := minute(b)
	defer r.close()
	name := path(r, r.session())
	req := httptest.NewRequest(http.MethodGet, "/live/pb/"+name, nil)
	req.Header.Set("Accept-Encoding", "gzip")
	w := nobody{http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		clear(w.header)
		r.handler.ServeHTTP(w, req, r.stream, name)
	}
}

func BenchmarkCachedPlaylist(b *testing.B) {
	benchmarkRequest(b, func(_ *rig, session string) string { return session + videoName })
}

func BenchmarkCachedPart(b *testing.B) {
	benchmarkRequest(b, func(r *rig, session string) string {
		_, after, _ := strings.Cut(r.get(videoName).Body.String(), "#EXT-X-PART:DURATION=0.20000,URI=\"")
		name, _, _ := strings.Cut(after, "\"")
		return session + name
	})
}
