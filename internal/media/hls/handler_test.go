package hls

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"glimpse/internal/media/cmaf"
	"glimpse/internal/media/viewers"
)

// B6 C12 C34
func TestURLsAnswerOnlyWhenThereIsMedia(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer r.close()
		for _, path := range []string{"index.m3u8", "video.m3u8", "~hbcdefghij234567/audio.m3u8"} {
			w := r.get(path)
			if w.Code != http.StatusServiceUnavailable || w.Header().Get("Cache-Control") != "no-store" || !strings.HasSuffix(w.Body.String(), ".\n") {
				t.Errorf("%s before the first picture: %d %v %s", path, w.Code, w.Header(), w.Body)
			}
		}
		r.publish()
		begun := time.Now()
		r.play(time.Second / 30) // one key frame
		<-r.pack.Store(r.stream.Run()).Ready()
		if d := time.Since(begun); d > time.Second {
			t.Errorf("ready %v after the first key frame", d)
		}
		for _, path := range []string{"index.m3u8", "video.m3u8", "audio.m3u8"} {
			if w := r.get(path); w.Code != http.StatusOK || w.Body.Len() == 0 {
				t.Errorf("%s when ready: %d", path, w.Code)
			}
		}
		for _, body := range []string{r.get("video.m3u8").Body.String(), r.get("audio.m3u8").Body.String()} {
			m := media(t, body)
			if w := r.get(m.Map.URI); w.Code != http.StatusOK || w.Body.Len() == 0 {
				t.Errorf("%s: %d", m.Map.URI, w.Code)
			}
		}
		r.stream.Close("test")
		if w := r.get("index.m3u8"); w.Code != http.StatusServiceUnavailable {
			t.Errorf("after the end: %d", w.Code)
		}
		r.stream = nil
		if w := r.get("index.m3u8"); w.Code != http.StatusNotFound || w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("unknown stream: %d %v", w.Code, w.Header())
		}
	})
}

func TestHeaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer r.close()
		r.publish()
		r.play(5 * time.Second)
		synctest.Wait()
		s := r.session()
		m := media(t, r.get(s+"video.m3u8").Body.String())
		msn := strconv.Itoa(m.MediaSequence)
		segment, part := m.Segments[1].URI, m.Segments[1].Parts[0].URI
		for _, tc := range []struct {
			path, cache, mime string
			status            int
		}{
			{"index.m3u8", "no-store", listType, 200},
			{s + "video.m3u8", "public, max-age=1", listType, 200},
			{s + "audio.m3u8?_HLS_msn=" + msn, "public, max-age=0, s-maxage=1", listType, 200},
			{s + m.Map.URI, "public, max-age=60, immutable", "video/mp4", 200},
			{s + segment, "public, max-age=60, immutable", "video/mp4", 200},
			{part, "public, max-age=60, immutable", "video/mp4", 200},
			{s + strings.Replace(part, "-v-", "-a-", 1), "public, max-age=60, immutable", "audio/mp4", 200},
			{s + "index.m3u8", "no-store", "text/plain; charset=utf-8", 404},
			{s + "other-v-1-2.m4s", "no-store", "text/plain; charset=utf-8", 404},
			{s + strings.Replace(segment, "-v-", "-v-9", 1), "no-store", "text/plain; charset=utf-8", 404},
			{"~short/video.m3u8", "no-store", "text/plain; charset=utf-8", 404},
			{"~ABCDEFGHIJ234567/video.m3u8", "no-store", "text/plain; charset=utf-8", 404},
			{s + "video.m3u8?_HLS_part=1", "no-store", "text/plain; charset=utf-8", 400},
			{s + "video.m3u8?_HLS_msn=x", "no-store", "text/plain; charset=utf-8", 400},
			{s + "video.m3u8?_HLS_msn=9999999999", "no-store", "text/plain; charset=utf-8", 400},
		} {
			for _, method := range []string{http.MethodGet, http.MethodHead} {
				w := r.do(t.Context(), method, tc.path)
				h := w.Header()
				if w.Code != tc.status || h.Get("Cache-Control") != tc.cache || h.Get("Content-Type") != tc.mime {
					t.Errorf("%s %s: %d %q %q", method, tc.path, w.Code, h.Get("Cache-Control"), h.Get("Content-Type"))
				}
				if h.Get("Access-Control-Allow-Origin") != "*" || h.Get("X-Content-Type-Options") != "nosniff" ||
					h.Get("Access-Control-Expose-Headers") != "Location, Link, ETag, Age" {
					t.Errorf("%s %s: %v", method, tc.path, h)
				}
				if method == http.MethodHead && w.Code == 200 && w.Body.Len() > 0 {
					t.Errorf("HEAD %s has a body", tc.path)
				}
			}
		}
		if w := r.do(t.Context(), http.MethodPost, "index.m3u8"); w.Code != 405 || w.Header().Get("Allow") == "" {
			t.Errorf("POST: %d", w.Code)
		}
		if w := r.do(t.Context(), http.MethodOptions, s+segment); w.Code != 204 || w.Header().Get("Access-Control-Allow-Methods") == "" {
			t.Errorf("OPTIONS: %d", w.Code)
		}
	})
}

func TestBytes(t *testing.T) { // a segment is its parts; ranges; gzip; the same for all
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer r.close()
		r.publish()
		r.play(5 * time.Second)
		synctest.Wait()
		s, other := r.session(), r.session()
		if s == other {
			t.Error("two viewers have one session")
		}
		plain := r.get(s + "video.m3u8").Body.Bytes()
		if !bytes.Equal(plain, r.get(other+"video.m3u8").Body.Bytes()) {
			t.Error("two viewers get different playlists")
		}
		w := r.get(s+"video.m3u8", "Accept-Encoding", "br, gzip;q=0.8")
		if w.Header().Get("Content-Encoding") != "gzip" || w.Header().Get("Vary") != "Accept-Encoding" || w.Header().Get("Content-Length") != strconv.Itoa(w.Body.Len()) {
			t.Errorf("gzip: %v", w.Header())
		}
		zr, err := gzip.NewReader(w.Body)
		r.check(err)
		unzipped, err := io.ReadAll(zr)
		r.check(err)
		if !bytes.Equal(unzipped, plain) {
			t.Error("the compressed playlist is another")
		}
		for _, no := range []string{"", "br", "gzip;q=0"} {
			if w := r.get(s+"video.m3u8", "Accept-Encoding", no); w.Header().Get("Content-Encoding") != "" {
				t.Errorf("Accept-Encoding %q is answered with gzip", no)
			}
		}

		m := media(t, string(plain))
		seg := m.Segments[1]
		whole := r.get(s + seg.URI).Body.Bytes()
		var joined []byte
		for _, p := range seg.Parts {
			joined = append(joined, r.get(s+p.URI).Body.Bytes()...)
		}
		if len(whole) == 0 || !bytes.Equal(whole, joined) {
			t.Errorf("the segment has %d bytes, its parts %d", len(whole), len(joined))
		}
		w = r.get(s+seg.URI, "Range", "bytes=100-5000")
		if w.Code != http.StatusPartialContent || !bytes.Equal(w.Body.Bytes(), whole[100:5001]) {
			t.Errorf("range: %d, %d bytes", w.Code, w.Body.Len())
		}
		w = r.get(s+seg.URI, "Range", "bytes=-10")
		if w.Code != http.StatusPartialContent || !bytes.Equal(w.Body.Bytes(), whole[len(whole)-10:]) {
			t.Errorf("range at the end: %d, %d bytes", w.Code, w.Body.Len())
		}
		if w = r.get(s+seg.URI, "Range", "bytes=99999999-"); w.Code != http.StatusRequestedRangeNotSatisfiable {
			t.Errorf("range beyond the end: %d", w.Code)
		}
		if w = r.get(s+seg.URI, "If-None-Match", `"`+seg.URI+`"`); w.Code != http.StatusNotModified {
			t.Errorf("If-None-Match: %d", w.Code)
		}
	})
}

// start asks in the background; the answer comes on the channel.
func (r *rig) start(ctx context.Context, path string) chan *httptest.ResponseRecorder {
	c := make(chan *httptest.ResponseRecorder, 1)
	go func() { c <- r.do(ctx, http.MethodGet, path) }()
	synctest.Wait()
	return c
}

// live runs a test beside a stream that has been live for 5 s.
func live(t *testing.T, name string, f func(t *testing.T, r *rig, session string, video *cmaf.Rendition)) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t)
			defer r.close()
			r.publish()
			r.play(5 * time.Second)
			synctest.Wait()
			f(t, r, r.session(), r.pack.Store(r.stream.Run()).Video())
		})
	})
}

// reload is the request for a position after what is there.
func reload(video *cmaf.Rendition, numbers uint64) string {
	return "video.m3u8?_HLS_msn=" + strconv.FormatUint(video.Snapshot().NextNumber+numbers, 10)
}

func TestBlockingReload(t *testing.T) {
	live(t, "next part", func(t *testing.T, r *rig, s string, video *cmaf.Rendition) {
		hint := media(t, r.get("video.m3u8").Body.String()).PreloadHint.URI
		path := s + reload(video, 0) + "&_HLS_part=" + strconv.Itoa(video.Snapshot().NextPart)
		c, part := r.start(t.Context(), path), r.start(t.Context(), s+hint)
		if len(c) != 0 || len(part) != 0 {
			t.Fatal("answered before the part was there")
		}
		r.play(300 * time.Millisecond)
		synctest.Wait()
		if len(c) != 1 || len(part) != 1 {
			t.Fatal("not answered when the part came")
		}
		if w := <-c; w.Code != 200 || !strings.Contains(w.Body.String(), hint) || w.Header().Get("Cache-Control") != "public, max-age=0, s-maxage=1" {
			t.Errorf("%d %v", w.Code, w.Header())
		}
		if w := <-part; w.Code != 200 || w.Body.Len() == 0 {
			t.Errorf("hinted part: %d", w.Code)
		}
	})
	live(t, "nothing comes", func(t *testing.T, r *rig, s string, video *cmaf.Rendition) {
		begun := time.Now()
		hint := media(t, r.get("video.m3u8").Body.String()).PreloadHint.URI
		part := r.start(t.Context(), s+hint)
		w := r.get(s + reload(video, 1))
		if d := time.Since(begun); d != 3*time.Second || w.Code != 200 || w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("after %v: %d %v", d, w.Code, w.Header())
		}
		if w := <-part; w.Code != 503 || w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("a part that does not come: %d", w.Code)
		}
	})
	live(t, "viewer leaves", func(t *testing.T, r *rig, s string, video *cmaf.Rendition) {
		ctx, leave := context.WithCancel(t.Context())
		begun := time.Now()
		c := r.start(ctx, s+reload(video, 1))
		leave()
		<-c
		if d := time.Since(begun); d != 0 {
			t.Errorf("waited %v", d)
		}
	})
	live(t, "too many", func(t *testing.T, r *rig, s string, video *cmaf.Rendition) {
		ctx, leave := context.WithCancel(t.Context())
		r.get(s + "video.m3u8")
		var waiting []chan *httptest.ResponseRecorder
		for range viewers.MaxBlocked {
			waiting = append(waiting, r.start(ctx, s+reload(video, 1)))
		}
		if w := r.get(s + reload(video, 1)); w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") == "" {
			t.Errorf("request %d of a session: %d", viewers.MaxBlocked+1, w.Code)
		}
		other := r.start(ctx, r.session()+reload(video, 1))
		if len(other) != 0 {
			t.Errorf("another session: %d", (<-other).Code)
		}
		leave()
		for _, c := range append(waiting, other) {
			<-c
		}
		c := r.start(t.Context(), s+reload(video, 1))
		if len(c) != 0 {
			t.Error("places are not given back")
		}
		<-c
	})
	live(t, "too far", func(t *testing.T, r *rig, s string, video *cmaf.Rendition) {
		if w := r.get(s + reload(video, 3)); w.Code != 400 {
			t.Errorf("three ahead: %d", w.Code)
		}
	})
	live(t, "the run ends", func(t *testing.T, r *rig, s string, video *cmaf.Rendition) {
		c := r.start(t.Context(), s+reload(video, 0))
		r.stream.Close("test")
		if w := <-c; w.Code != 404 {
			t.Errorf("%d", w.Code)
		}
	})
}

// The segment after the last closed one grows as its parts come, and is whole in
// the end; one that is never finished is not taken for whole, and nobody asks
// further ahead.
func TestOpenSegmentGrows(t *testing.T) {
	name := func(video *cmaf.Rendition, ahead uint64) string {
		return string(video.AppendSegment(nil, video.Snapshot().NextNumber+ahead))
	}
	live(t, "whole", func(t *testing.T, r *rig, s string, video *cmaf.Rendition) {
		path := s + name(video, 0)
		c := r.start(t.Context(), path)
		r.play(3 * time.Second)
		synctest.Wait()
		if len(c) != 1 {
			t.Fatal("not answered when the segment was closed")
		}
		got, want := <-c, r.get(path)
		if got.Code != 200 || got.Body.Len() == 0 || !bytes.Equal(got.Body.Bytes(), want.Body.Bytes()) {
			t.Errorf("%d, %d bytes while it grew, %d afterwards", got.Code, got.Body.Len(), want.Body.Len())
		}
		for _, h := range []string{"Content-Type", "Cache-Control"} {
			if got.Header().Get(h) != want.Header().Get(h) {
				t.Errorf("%s: %q, afterwards %q", h, got.Header().Get(h), want.Header().Get(h))
			}
		}
	})
	live(t, "too far", func(t *testing.T, r *rig, s string, video *cmaf.Rendition) {
		if w := r.get(s + name(video, 1)); w.Code != 404 {
			t.Errorf("%d", w.Code)
		}
	})
	live(t, "never finished", func(t *testing.T, r *rig, s string, video *cmaf.Rendition) {
		fault := make(chan any, 1)
		go func() {
			defer func() { fault <- recover() }()
			r.get(s + name(video, 0))
		}()
		synctest.Wait()
		r.stream.Close("test")
		if got, _ := (<-fault).(error); !errors.Is(got, http.ErrAbortHandler) {
			t.Errorf("ended with %v, want the connection cut", got)
		}
	})
	live(t, "begins", func(t *testing.T, r *rig, s string, video *cmaf.Rendition) {
		for video.Snapshot().NextPart != 0 { // until a segment has just been closed
			r.play(time.Second / 30)
			synctest.Wait()
		}
		c := r.start(t.Context(), s+name(video, 0))
		r.play(2500 * time.Millisecond)
		synctest.Wait()
		if len(c) != 1 || (<-c).Code != 200 {
			t.Error("not held until it began")
		}
	})
}

func TestViewersAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer r.close()
		r.publish()
		r.play(3 * time.Second)
		viewers := func(want int) {
			t.Helper()
			synctest.Wait()
			if got := r.stream.Stats().Viewers["hls"]; got != want {
				t.Errorf("%d viewers, want %d", got, want)
			}
		}
		a, b := r.session(), r.session()
		viewers(0) // an index alone is no viewer
		r.get(a + "video.m3u8")
		r.get(a + "audio.m3u8")
		viewers(1)
		r.get(b + "video.m3u8")
		r.get("video.m3u8") // without a session: not counted here
		viewers(2)
		time.Sleep(15 * time.Second)
		r.get(b + "audio.m3u8")
		time.Sleep(6 * time.Second)
		viewers(1)
		time.Sleep(15 * time.Second)
		viewers(0)
		r.get(a + "video.m3u8")
		viewers(1)
		r.viewers.Close()
		viewers(0)
		r.get(a + "video.m3u8")
		viewers(0)
	})
}

func FuzzParseQuery(f *testing.F) {
	for _, seed := range []string{"", "_HLS_msn=1", "_HLS_msn=1&_HLS_part=2", "_HLS_part=2", "_HLS_msn=-1", "_HLS_msn=1&_HLS_msn=2", "x=1&_HLS_skip=YES", "_HLS_part=99999999999&_HLS_msn=3", "&&==&"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		p, err := parseQuery(raw)
		if err != nil {
			if p != (position{}) && p != (position{part: -1}) {
				t.Errorf("%q: %+v beside an error", raw, p)
			}
			return
		}
		if p.part < -1 || p.part > maxPart || (!p.asked && (p.part >= 0 || p.number != 0)) || p.number >= 1<<62 {
			t.Errorf("%q: %+v", raw, p)
		}
	})
}

// Whatever path and query come to a live stream, an answer is one of a few
// kinds, and whatever is not media says so in a sentence that nobody caches.
func FuzzServe(f *testing.F) {
	r := newRig(f)
	f.Cleanup(r.close)
	r.handler.wait = time.Millisecond
	r.pause = func() {}
	r.publish()
	r.play(time.Second)
	store := r.pack.Store(r.stream.Run())
	<-store.Ready()
	next := string(store.Video().AppendPart(nil, store.Video().Snapshot().NextNumber, 3))
	for _, seed := range []string{"index.m3u8", "video.m3u8", "~hbcdefghij234567/audio.m3u8", "~hbcdefghij234567/x", next, "../x", "%00"} {
		f.Add(seed, "_HLS_msn=1")
	}
	f.Fuzz(func(t *testing.T, path, query string) {
		req := httptest.NewRequest(http.MethodGet, "/", nil)
		req.URL.RawQuery = query
		w := httptest.NewRecorder()
		r.handler.ServeHTTP(w, req, r.stream, path)
		switch w.Code {
		case 200:
		case 400, 404, 503:
			if w.Header().Get("Cache-Control") != "no-store" || !strings.HasSuffix(w.Body.String(), ".\n") {
				t.Errorf("%q: %d %v %q", path, w.Code, w.Header(), w.Body)
			}
		default:
			t.Errorf("%q: %d", path, w.Code)
		}
	})
}

// The first viewer's first lists have a closed segment each, however early it
// comes: ffmpeg 5 dies of a list without one.
func TestFirstListsHaveSegments(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer r.close()
		r.mute = true
		r.publish()
		r.pause = func() { time.Sleep(200 * time.Millisecond) } // a slow source
		done := make(chan struct{})
		go func() {
			defer close(done)
			time.Sleep(10 * time.Millisecond)
			begun := time.Now()
			session := r.session()
			if d := time.Since(begun); d > time.Second {
				t.Errorf("the first list took %v", d)
			}
			for _, name := range []string{"video.m3u8", "audio.m3u8"} {
				if w := r.get(session + name); !strings.Contains(w.Body.String(), "#EXTINF") {
					t.Errorf("%s without a segment: %s", name, w.Body)
				}
			}
		}()
		r.play(time.Second)
		<-done
	})
}

// GStreamer's first lists have two closed segments each: with one it aborts.
func TestFirstListsForGStreamer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer r.close()
		r.publish()
		done := make(chan struct{})
		go func() {
			defer close(done)
			time.Sleep(100 * time.Millisecond)
			begun := time.Now()
			w := r.get("index.m3u8", "User-Agent", "GStreamer souphttpsrc 1.22.0 libsoup/3.2.3")
			if d := time.Since(begun); w.Code != http.StatusOK || d < time.Second || d > 3*time.Second {
				t.Errorf("%d after %v", w.Code, d)
			}
			for _, name := range []string{"video.m3u8", "audio.m3u8"} {
				if w := r.get(name); strings.Count(w.Body.String(), "#EXTINF") < 2 {
					t.Errorf("%s has less than two segments: %s", name, w.Body)
				}
			}
		}()
		r.play(4 * time.Second)
		<-done
	})
}

// t asks for a time before now; what cannot be one is refused.
func TestRewindQuery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer r.close()
		r.publish()
		r.play(10 * time.Second)
		for query, want := range map[string]string{
			"?t=-30": "#EXT-X-START:TIME-OFFSET=-30.00000,PRECISE=YES\n", "?t=-2.5": "#EXT-X-START:TIME-OFFSET=-2.50000,PRECISE=YES\n",
			"?t=-3600": "#EXT-X-START:TIME-OFFSET=-3600.00000,PRECISE=YES\n", "?t=0": "", "?t=": "", "": "",
		} {
			w := r.get("index.m3u8" + query)
			if body := w.Body.String(); w.Code != http.StatusOK || !strings.Contains(body, want) || want == "" && strings.Contains(body, "EXT-X-START") {
				t.Errorf("%q: %d %s", query, w.Code, body)
			}
		}
		for _, query := range []string{"?t=30", "?t=-3601", "?t=yesterday", "?t=NaN", "?t=-Inf", "?t=-1e9"} {
			if w := r.get("index.m3u8" + query); w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), "like -30") {
				t.Errorf("%q: %d %s", query, w.Code, w.Body)
			}
		}
	})
}

// What ?t= asks for lies within the last hour, and is read again as the same.
func FuzzRewind(f *testing.F) {
	for _, seed := range []string{"", "-30", "-0x1p4", "1e-9", "-3600.0000001", "-Inf", "NaN", "-0"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		back, err := rewind(text)
		if err != nil {
			if back != 0 {
				t.Errorf("%q is refused and %v", text, back)
			}
			return
		}
		if back < 0 || back > maxRewind {
			t.Fatalf("%q is %v", text, back)
		}
		if again, err := rewind(strconv.FormatFloat(-back.Seconds(), 'f', -1, 64)); err != nil || (again-back).Abs() > time.Microsecond {
			t.Errorf("%v is read again as %v, %v", back, again, err)
		}
	})
}
