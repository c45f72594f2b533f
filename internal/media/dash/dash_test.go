package dash

import (
	"context"
	"encoding/xml"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"glimpse/internal/glasses/clip"
	"glimpse/internal/glasses/source"
	"glimpse/internal/media/cmaf"
	"glimpse/internal/media/codec"
	"glimpse/internal/media/frame"
	"glimpse/internal/media/hls"
	"glimpse/internal/media/hub"
	"glimpse/internal/media/viewers"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a stream that has received some seconds of the clip, and its server.
type world struct {
	hub    *hub.Hub
	stream *hub.Stream
	packs  *cmaf.Packager
	serve  http.Handler
	feed   func(seconds int)
	pace   func(*frame.Frame)          // waits before the next frame is fed
	resume func(other ...*frame.Track) // by a new publisher, with other parameters of a kind
}

func newWorld(t *testing.T) *world {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	packs := cmaf.New(cmaf.Config{Window: 12 * time.Second}, log)
	w := &world{packs: packs, hub: hub.New(hub.Config{}, log, packs.Output)}
	w.pace = func(f *frame.Frame) { // as fast as the packager follows, which without a viewer is seldom
		const behind = 2 * time.Second
		for f.DTS > behind && edge(packs.Store(w.stream.Run()).Video().Snapshot()).Before(w.stream.Run().Start().Add(f.DTS-behind)) {
			runtime.Gosched()
		}
	}
	watching := viewers.New()
	list, media := New(packs, watching), hls.New(packs, watching, hls.Config{})
	var err error
	w.stream, err = w.hub.Open(hub.Spec{ID: "s", IngestKey: "k", PlaybackID: "p", ResumeWindow: time.Minute, Standing: true})
	if err != nil {
		t.Fatal(err)
	}
	w.serve = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if rest := strings.TrimPrefix(r.URL.Path, "/live/p/"); Handles(rest) {
			list.ServeHTTP(rw, r, w.hub.ByPlayback("p"), rest)
		} else {
			media.ServeHTTP(rw, r, w.hub.ByPlayback("p"), rest)
		}
	})
	clipFile := clip.Open()
	film, err := source.Read(clipFile, clipFile.Size())
	if err != nil {
		t.Fatal(err)
	}
	var p *hub.Publisher
	connect := func() {
		if p, err = w.hub.Publish("k", hub.PublisherInfo{}); err != nil {
			t.Fatal(err)
		}
		for _, track := range film.Tracks() {
			if err := p.SetTrack(track); err != nil {
				t.Fatal(err)
			}
		}
	}
	connect()
	player := film.Player()
	sent := time.Duration(0)
	w.feed = func(seconds int) {
		for end := sent + time.Duration(seconds)*time.Second; sent < end; {
			f, err := player.Next()
			if err != nil {
				t.Fatal(err)
			}
			if sent = f.DTS; f.IsVideo() {
				err = p.Video(f.PTS, f.DTS, f.Key, f.Payload)
			} else {
				err = p.Audio(f.PTS, f.Payload)
			}
			if err != nil {
				t.Fatal(err)
			}
			w.pace(f)
		}
	}
	w.resume = func(other ...*frame.Track) {
		p.Close()
		connect()
		for _, track := range other {
			if err := p.SetTrack(track); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Cleanup(func() {
		p.Close()
		w.hub.Close()
		watching.Close()
	})
	return w
}

// edge is the wall clock up to which a rendition has come.
func edge(s *cmaf.Snapshot) time.Time {
	if len(s.Segments) == 0 {
		return time.Time{}
	}
	last := s.Segments[len(s.Segments)-1]
	return last.Wall.Add(last.Duration)
}

func (w *world) get(t *testing.T) (*httptest.ResponseRecorder, document) {
	t.Helper()
	rw := httptest.NewRecorder()
	w.serve.ServeHTTP(rw, httptest.NewRequest(http.MethodGet, "/live/p/"+PublicName, nil))
	var d document
	if rw.Code == http.StatusOK {
		if err := xml.Unmarshal(rw.Body.Bytes(), &d); err != nil {
			t.Fatal(err)
		}
	}
	return rw, d
}

// document is what the tests look at.
type document struct {
	ID      string `xml:"id,attr"`
	Type    string `xml:"type,attr"`
	AST     string `xml:"availabilityStartTime,attr"`
	Periods []struct {
		Start string `xml:"start,attr"`
		Sets  []struct {
			Kind string `xml:"contentType,attr"`
			Rep  struct {
				Codecs   string `xml:"codecs,attr"`
				Template struct {
					Timescale   uint64 `xml:"timescale,attr"`
					StartNumber uint64 `xml:"startNumber,attr"`
					Media       string `xml:"media,attr"`
					Offset      uint64 `xml:"presentationTimeOffset,attr"`
					Early       string `xml:"availabilityTimeOffset,attr"`
					Complete    string `xml:"availabilityTimeComplete,attr"`
					Timeline    struct {
						S []struct {
							T uint64 `xml:"t,attr"`
							D uint64 `xml:"d,attr"`
						}
					} `xml:"SegmentTimeline"`
				} `xml:"SegmentTemplate"`
			} `xml:"Representation"`
		} `xml:"AdaptationSet"`
	} `xml:"Period"`
}

// ready waits until the packager has closed n segments.
func (w *world) ready(t *testing.T, n int) document {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for ctx.Err() == nil {
		runtime.Gosched()
		if _, d := w.get(t); len(d.Periods) > 0 && len(d.Periods[len(d.Periods)-1].Sets[0].Rep.Template.Timeline.S) >= n {
			return d
		}
	}
	t.Fatalf("no %d segments", n)
	return document{}
}

// The description lists whole segments of both tracks that follow each other
// without a gap, begins at a fixed moment, and ffmpeg's DASH reader plays it.
//
// B20
func TestMPDPlays(t *testing.T) {
	w := newWorld(t)
	if rw, _ := w.get(t); rw.Code != http.StatusServiceUnavailable || rw.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("before the first picture: %d, %s", rw.Code, rw.Header().Get("Cache-Control"))
	}
	w.feed(9)
	d := w.ready(t, 4)
	if d.Type != "dynamic" || len(d.Periods) != 1 || len(d.Periods[0].Sets) != 2 {
		t.Fatalf("%+v", d)
	}
	for _, set := range d.Periods[0].Sets {
		s := set.Rep.Template.Timeline.S
		for i := 1; i < len(s); i++ {
			if s[i-1].T+s[i-1].D != s[i].T {
				t.Errorf("%s: segment %d begins at %d, the one before ends at %d", set.Kind, i, s[i].T, s[i-1].T+s[i-1].D)
			}
		}
		if !strings.Contains(set.Rep.Template.Media, "$Number$") {
			t.Errorf("media %q", set.Rep.Template.Media)
		}
	}
	w.feed(4)
	if later := w.ready(t, 6); later.AST != d.AST {
		t.Errorf("availabilityStartTime moves: %s, %s", d.AST, later.AST)
	}
	srv := httptest.NewServer(w.serve)
	defer srv.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, "ffmpeg", "-hide_banner", "-nostdin", "-v", "warning", "-i", srv.URL+"/live/p/"+Name, "-t", "4",
		"-map", "0:v", "-map", "0:a", "-f", "null", "-progress", "pipe:1", "-").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "progress=end") || strings.Contains(string(out), "frame=0\nfps") {
		t.Errorf("ffmpeg: %v\n%s", err, out)
	}
}

// A publisher that comes back finds its period still going on: the hold has
// filled it.
func TestSamePeriodAfterAHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		start := time.Now()
		w.pace = func(f *frame.Frame) { time.Sleep(time.Until(start.Add(f.DTS))) }
		w.feed(5)
		time.Sleep(3 * time.Second) // nobody publishes
		w.resume()
		start = start.Add(3 * time.Second)
		w.feed(5)
		synctest.Wait()
		_, d := w.get(t)
		if len(d.Periods) != 1 {
			t.Fatalf("%+v", d)
		}
		for _, set := range d.Periods[0].Sets {
			s := set.Rep.Template.Timeline.S
			for i := 1; i < len(s); i++ {
				if s[i-1].T+s[i-1].D != s[i].T {
					t.Errorf("%s: segment %d begins at %d, the one before ends at %d", set.Kind, i, s[i].T, s[i-1].T+s[i-1].D)
				}
			}
		}
	})
}

// newPeriods feeds a stream whose sound has other parameters after a pause. It
// runs in a synctest bubble.
func newPeriods(t *testing.T) *world {
	t.Helper()
	other, err := codec.NewAAC([]byte{0x12, 0x10}) // 44.1 kHz
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	start := time.Now()
	w.pace = func(f *frame.Frame) { time.Sleep(time.Until(start.Add(f.DTS))) }
	w.feed(7)
	time.Sleep(3 * time.Second) // nobody publishes
	w.resume(&frame.Track{Codec: other})
	start = start.Add(3 * time.Second)
	w.feed(9)
	synctest.Wait()
	return w
}

// With new parameters both tracks go on in a new period that begins where its
// first segment does.
func TestNewPeriod(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newPeriods(t)
		rw, d := w.get(t)
		if len(d.Periods) != 2 || d.Periods[1].Start == d.Periods[0].Start {
			t.Fatalf("%+v", d)
		}
		for i, set := range d.Periods[1].Sets {
			before := d.Periods[0].Sets[i].Rep.Template
			if set.Rep.Template.StartNumber != before.StartNumber+uint64(len(before.Timeline.S)) {
				t.Errorf("%s: numbers do not go on", set.Kind)
			}
			if t0 := set.Rep.Template; t0.Offset > t0.Timeline.S[0].T {
				t.Errorf("%s begins at %d, before its period (%d)", set.Kind, t0.Timeline.S[0].T, t0.Offset)
			}
		}

		// The first period goes, then the second one's oldest segments do.
		for range 3 {
			w.feed(9)
			synctest.Wait()
			var later document
			rw, later = w.get(t)
			last := later.Periods[len(later.Periods)-1]
			if later.AST != d.AST || last.Start != d.Periods[1].Start {
				t.Errorf("start %s, period %s; was %s, %s", later.AST, last.Start, d.AST, d.Periods[1].Start)
			}
			if got, was := last.Sets[0].Rep.Template.Offset, d.Periods[1].Sets[0].Rep.Template.Offset; got != was {
				t.Errorf("the period's offset moves from %d to %d", was, got)
			}
		}
		if n := strings.Count(rw.Body.String(), "<Period "); n != 1 {
			t.Errorf("%d periods after 27 s with a window of 12 s", n)
		}
	})
}

// The open segment is listed with the length of the one before, to be asked for
// as soon as its first part is there.
func TestOpenSegment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		start := time.Now()
		w.pace = func(f *frame.Frame) { time.Sleep(time.Until(start.Add(f.DTS))) }
		w.feed(7) // key frames each 2 s: one second is open
		synctest.Wait()
		_, d := w.get(t)
		for _, set := range d.Periods[0].Sets {
			list := set.Rep.Template.Timeline.S
			if len(list) != 5 { // the lead, three, the open one
				t.Errorf("%s: %d segments", set.Kind, len(list))
			}
			n := len(list) - 1
			if list[n].D != list[n-1].D || set.Rep.Template.Complete != "false" || !strings.HasPrefix(set.Rep.Template.Early, "1.") {
				t.Errorf("%s: length %d after %d, %s s early", set.Kind, list[n].D, list[n-1].D, set.Rep.Template.Early)
			}
		}
	})
}

// Who asks for the MPD is led into a session, counts as a viewer of DASH by what
// it asks for there, and nobody by a malformed one.
func TestSessions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		start := time.Now()
		w.pace = func(f *frame.Frame) { time.Sleep(time.Until(start.Add(f.DTS))) }
		w.feed(5)
		synctest.Wait()
		ask := func(path string) *httptest.ResponseRecorder {
			rw := httptest.NewRecorder()
			w.serve.ServeHTTP(rw, httptest.NewRequest(http.MethodGet, path, nil))
			return rw
		}
		first := ask("/live/p/" + Name)
		session, rest, ok := strings.Cut(first.Header().Get("Location"), "/")
		if first.Code != http.StatusTemporaryRedirect || !ok || rest != Name || first.Header().Get("Cache-Control") != "no-store" {
			t.Fatalf("%d %v", first.Code, first.Header())
		}
		if other := ask("/live/p/" + Name).Header().Get("Location"); strings.HasPrefix(other, session) {
			t.Error("two viewers have one session")
		}
		count := func(want int) {
			t.Helper()
			if n := w.stream.Stats().Viewers; n["dash"] != want || n["hls"] != 0 {
				t.Errorf("viewers %v; want %d of DASH", n, want)
			}
		}
		count(0)
		in, public := ask("/live/p/"+session+"/"+Name), ask("/live/p/"+PublicName)
		if in.Code != http.StatusOK || in.Body.String() != public.Body.String() || in.Header().Get("Cache-Control") != "public, max-age=1" {
			t.Errorf("%d, %d bytes; without a session %d bytes", in.Code, in.Body.Len(), public.Body.Len())
		}
		count(1)
		_, d := w.get(t)
		rep := d.Periods[0].Sets[0].Rep.Template
		segment := strings.ReplaceAll(rep.Media, "$Number$", strconv.FormatUint(rep.StartNumber, 10))
		for range 3 {
			time.Sleep(15 * time.Second)
			ask("/live/p/" + session + "/" + segment) // whatever it answers: somebody is there
			count(1)
		}
		time.Sleep(25 * time.Second)
		count(0)
		for _, bad := range []string{"~x/" + Name, strings.Replace(session, "~d", "~x", 1) + "/" + Name, session + "/" + PublicName, "other.mpd"} {
			if rw := ask("/live/p/" + bad); rw.Code != http.StatusNotFound {
				t.Errorf("%s: %d", bad, rw.Code)
			}
		}
	})
}

// The server tells its time, so that no player asks a stranger.
func TestTime(t *testing.T) {
	w := newWorld(t)
	rw := httptest.NewRecorder()
	w.serve.ServeHTTP(rw, httptest.NewRequest(http.MethodGet, "/live/p/"+Name+"?"+timeQuery, nil))
	at, err := time.Parse(time.RFC3339, rw.Body.String())
	if err != nil || time.Since(at).Abs() > time.Second || rw.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("%v, %v, %s", at, err, rw.Header().Get("Cache-Control"))
	}
}

// Who comes before a stream's first segment waits for it, in the same request.
func TestTooEarly(t *testing.T) {
	w := newWorld(t)
	came := make(chan *httptest.ResponseRecorder)
	go func() {
		for w.stream.Run() == nil { // until then it is not live, which is told at once
			runtime.Gosched()
		}
		rw, _ := w.get(t)
		came <- rw
	}()
	w.feed(3)
	if rw := <-came; rw.Code != http.StatusOK {
		t.Errorf("%d: %s", rw.Code, rw.Body)
	}
}

// An unknown stream is 404, another method 405.
func TestRefusals(t *testing.T) {
	h := New(cmaf.New(cmaf.Config{}, slog.New(slog.DiscardHandler)), viewers.New())
	for method, want := range map[string]int{http.MethodGet: 404, http.MethodPost: 405} {
		rw := httptest.NewRecorder()
		h.ServeHTTP(rw, httptest.NewRequest(method, "/live/p/index.mpd", nil), nil, Name)
		if rw.Code != want {
			t.Errorf("%s: %d, want %d", method, rw.Code, want)
		}
	}
}
