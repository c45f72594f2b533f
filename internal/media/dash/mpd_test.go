package dash

import (
	"encoding/xml"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	schema "github.com/Eyevinn/dash-mpd/mpd"

	"glimpse/internal/media/cmaf"
	"glimpse/internal/media/frame"
)

// inTime makes a world whose frames come when they are due. It runs in a synctest
// bubble.
func inTime(t *testing.T) (w *world, pause func(time.Duration)) {
	t.Helper()
	w = newWorld(t)
	start := time.Now()
	w.pace = func(f *frame.Frame) { time.Sleep(time.Until(start.Add(f.DTS))) }
	return w, func(d time.Duration) { // nobody publishes
		time.Sleep(d)
		start = start.Add(d)
		w.resume()
	}
}

// ask asks for a path below the stream's playback path.
func (w *world) ask(path string) *httptest.ResponseRecorder {
	rw := httptest.NewRecorder()
	w.serve.ServeHTTP(rw, httptest.NewRequest(http.MethodGet, "/live/p/"+path, nil))
	return rw
}

// A run is one presentation, for all viewers and whatever its publisher did; the next
// one, whose times begin anew, is another.
func TestRunIsAPresentation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, pause := inTime(t)
		w.feed(5)
		synctest.Wait()
		_, first := w.get(t)
		if media := first.Periods[0].Sets[0].Rep.Template.Media; len(first.ID) < 8 || !strings.HasPrefix(media, first.ID+"-") {
			t.Errorf("the id is %q, want what everybody knows from the names of files: %q", first.ID, media)
		}
		same := func(when string, d document) {
			t.Helper()
			if d.ID != first.ID || d.AST != first.AST {
				t.Errorf("%s: %s from %s on, want %s from %s on", when, d.ID, d.AST, first.ID, first.AST)
			}
		}
		for _, path := range []string{w.ask(Name).Header().Get("Location"), PublicName + "?" + query} {
			var theirs document
			if err := xml.Unmarshal(w.ask(path).Body.Bytes(), &theirs); err != nil {
				t.Fatal(err)
			}
			same(path, theirs)
		}
		pause(3 * time.Second)
		w.feed(15)
		synctest.Wait()
		_, later := w.get(t)
		same("after a hold", later)
		pause(2 * time.Minute) // the run is over
		w.feed(5)
		synctest.Wait()
		if _, next := w.get(t); next.ID == "" || next.ID == first.ID || next.AST == first.AST {
			t.Errorf("the next run: %s from %s on; the first was %s from %s on", next.ID, next.AST, first.ID, first.AST)
		}
	})
}

// An open segment is listed with the length of the last one, whatever that was,
// until it is longer itself.
func TestListedLength(t *testing.T) {
	init := &cmaf.Init{Timescale: 90_000}
	for _, test := range []struct {
		name       string
		last, open time.Duration
		closed     bool
		want       time.Duration
	}{
		{"begun after a usual one", 2 * time.Second, 200 * time.Millisecond, false, 2 * time.Second},
		{"begun after a long one", 10 * time.Second, 200 * time.Millisecond, false, 10 * time.Second},
		{"begun after a short one", 900 * time.Millisecond, 200 * time.Millisecond, false, 900 * time.Millisecond},
		{"longer than the last one", 2 * time.Second, 2200 * time.Millisecond, false, 2200 * time.Millisecond},
		{"closed", 2 * time.Second, 1800 * time.Millisecond, true, 1800 * time.Millisecond},
	} {
		ticks := func(d time.Duration) uint64 { return uint64(d / time.Millisecond * 90) }
		nominal := time.Hour
		before := &cmaf.Segment{Init: init, Duration: test.last, Ticks: ticks(test.last), Closed: true}
		now := &cmaf.Segment{Init: init, Duration: test.open, Ticks: ticks(test.open), Closed: test.closed}
		if got := listed(before, &nominal).ticks; got != ticks(test.last) {
			t.Errorf("%s: the last one is listed with %d ticks", test.name, got)
		}
		if got := listed(now, &nominal).ticks; got != ticks(test.want) {
			t.Errorf("%s: %d ticks, want %d", test.name, got, ticks(test.want))
		}
	}
}

// What steers players is what MEDIA C4 and the decisions say: the next description a
// second later, the open segment a part after it began, and how far behind live.
func TestWhatPlayersAreTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, _ := inTime(t)
		w.feed(7) // a second is open
		synctest.Wait()
		m, err := schema.ReadFromString(w.ask(PublicName).Body.String())
		if err != nil {
			t.Fatal(err)
		}
		if got := m.MinimumUpdatePeriod.Seconds(); got != 1 {
			t.Errorf("asked for again after %g s", got)
		}
		for _, set := range m.Periods[0].AdaptationSets {
			template := set.Representations[0].GetSegmentTemplate()
			s := template.SegmentTimeline.S
			length := float64(s[len(s)-1].D) / float64(*template.Timescale)
			// Its first part is there when it is whole, which is a PART-TARGET at most.
			if early := float64(template.AvailabilityTimeOffset); early < length-0.2105 || early > length-0.2095 {
				t.Errorf("%s: a segment of %.3f s may be asked for %.3f s early", set.ContentType, length, early)
			}
		}
		said := m.ServiceDescription[0]
		if l := said.Latencies[0]; *l.Target != 1500 || *l.Min != 500 || *l.Max != 10_000 {
			t.Errorf("latency %d (%d to %d) ms", *l.Target, *l.Min, *l.Max)
		}
		if r := said.PlaybackRates[0]; r.Min != 0.96 || r.Max != 1.5 {
			t.Errorf("rates from %g to %g", r.Min, r.Max)
		}
	})
}

// The start of the presentation and a segment's time give the wall clock that HLS
// gives for it; that time is its first part's, and small.
func TestTimesAreTheSegments(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		w := newPeriods(t)
		_, d := w.get(t)
		start, err := time.Parse(time.RFC3339, d.AST)
		if err != nil {
			t.Fatal(err)
		}
		if ahead := begun.Sub(start); ahead != 10*time.Second {
			t.Errorf("the first picture is %v after the start, want 10 s", ahead)
		}
		store := w.packs.Store(w.stream.Run())
		for _, p := range d.Periods {
			from, err := time.ParseDuration(lower(p.Start))
			if err != nil {
				t.Fatal(err)
			}
			for _, set := range p.Sets {
				index := store.Video().Snapshot()
				if set.Kind == "audio" {
					index = store.Audio().Snapshot()
				}
				template := set.Rep.Template
				for i, s := range template.Timeline.S {
					segment := index.Segment(template.StartNumber + uint64(i))
					if segment == nil {
						t.Fatalf("%s: number %d is listed and not there", set.Kind, template.StartNumber+uint64(i))
					}
					if s.T != segment.Time || segment.Parts[0].Time != s.T {
						t.Errorf("%s %d: listed at %d, is at %d", set.Kind, segment.Number, s.T, segment.Time)
					}
					shown := start.Add(from + time.Duration(float64(int64(s.T)-int64(template.Offset))/float64(template.Timescale)*float64(time.Second)))
					if d := shown.Sub(segment.Wall); d.Abs() > 25*time.Millisecond {
						t.Errorf("%s %d: at %v by DASH, at %v by HLS", set.Kind, segment.Number, shown, segment.Wall)
					}
				}
			}
		}
		if p := d.Periods[0]; p.Start != "PT0.000S" || p.Sets[0].Rep.Template.Offset != 0 {
			t.Errorf("the first period starts at %s, with offset %d", p.Start, p.Sets[0].Rep.Template.Offset)
		}
	})
}

// lower makes an xs:duration of seconds alone one of Go's.
func lower(duration string) string { return duration[2:len(duration)-1] + "s" }

// The clock that players are sent to is ours, below the address that they have the
// description from, with a session and without.
func TestClockIsOurs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, _ := inTime(t)
		w.feed(5)
		synctest.Wait()
		for _, path := range []string{w.ask(Name).Header().Get("Location"), PublicName} {
			base, err := url.Parse("https://cam.example/live/p/" + path)
			if err != nil {
				t.Fatal(err)
			}
			m, err := schema.ReadFromString(w.ask(path).Body.String())
			if err != nil {
				t.Fatal(err)
			}
			timing := m.UTCTimings[0]
			at, err := base.Parse(timing.Value)
			if err != nil || at.Host != base.Host || timing.SchemeIdUri != "urn:mpeg:dash:utc:http-iso:2014" {
				t.Fatalf("%s: the time is at %s: %v", path, timing.Value, err)
			}
			rw := httptest.NewRecorder()
			w.serve.ServeHTTP(rw, httptest.NewRequest(http.MethodGet, at.RequestURI(), nil))
			if now, err := time.Parse(time.RFC3339, rw.Body.String()); err != nil || time.Since(now).Abs() > time.Millisecond {
				t.Errorf("%s: %s says %s, %s: %v", path, at, strconv.Quote(rw.Body.String()), rw.Header().Get("Cache-Control"), err)
			}
		}
	})
}
