package dash

import (
	"encoding/xml"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// The compatible description lists closed segments only, says nothing of low
// latency, and its timeline begins at the period's start, however much was
// trimmed: one segment that has expired stands before the window. GStreamer is led
// to it by itself; everybody else by asking.
func TestCompatible(t *testing.T) {
	w := newWorld(t)
	w.feed(40) // the window is 12 s
	w.ready(t, 6)
	ask := func(path, agent string) *httptest.ResponseRecorder {
		rw, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/live/p/"+path, nil)
		r.Header.Set("User-Agent", agent)
		w.serve.ServeHTTP(rw, r)
		return rw
	}
	for _, test := range []struct {
		path, agent string
		compatible  bool
	}{
		{Name, "GStreamer souphttpsrc 1.22.0 libsoup/3.2.3", true},
		{Name + "?compat", "anybody", true},
		{Name, "anybody", false},
	} {
		at := ask(test.path, test.agent).Header().Get("Location")
		if strings.HasSuffix(at, Name+"?compat") != test.compatible {
			t.Errorf("%s for %s leads to %q", test.path, test.agent, at)
		}
	}
	body := ask(PublicName+"?compat", "anybody").Body.Bytes()
	for _, word := range []string{"ServiceDescription", "UTCTiming", "availabilityTimeOffset", "low-latency"} {
		if strings.Contains(string(body), word) {
			t.Errorf("%s in %s", word, body)
		}
	}
	var d, usual document
	if err := xml.Unmarshal(body, &d); err != nil {
		t.Fatal(err)
	}
	_, usual = w.get(t)
	for i, set := range d.Periods[0].Sets {
		template, theirs := set.Rep.Template, usual.Periods[0].Sets[i].Rep.Template
		s, listed := template.Timeline.S, theirs.Timeline.S
		if s[0].T != template.Offset || s[0].T+s[0].D != listed[0].T || template.StartNumber != theirs.StartNumber-1 {
			t.Errorf("%s: begins with %+v as number %d; the window with %+v as %d", set.Kind, s[0], template.StartNumber, listed[0], theirs.StartNumber)
		}
		if s[1] != listed[0] || len(s) > len(listed)+1 {
			t.Errorf("%s: %d segments from %+v on; %d are there", set.Kind, len(s)-1, s[1], len(listed))
		}
	}
}
