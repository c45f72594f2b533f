package dash

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"

	schema "github.com/Eyevinn/dash-mpd/mpd"
)

// words are the elements and attributes of a document, each as often as it is
// there.
func words(t *testing.T, document string) map[string]int {
	t.Helper()
	seen := map[string]int{}
	var path []string
	for d := xml.NewDecoder(strings.NewReader(document)); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return seen
		}
		if err != nil {
			t.Fatal(err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			path = append(path, token.Name.Local)
			at := strings.Join(path, "/")
			seen[at]++
			for _, a := range token.Attr {
				seen[at+"@"+a.Name.Local]++
			}
		case xml.EndElement:
			path = path[:len(path)-1]
		}
	}
}

// Another maker's library, whose types come from the schema of ISO/IEC 23009-1,
// reads every element and attribute that is written, over two periods, and the
// periods follow each other.
func TestAnotherLibraryReadsAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newPeriods(t)
		rw, _ := w.get(t)
		ours := rw.Body.String()
		m, err := schema.ReadFromString(ours)
		if err != nil {
			t.Fatalf("%v\n%s", err, ours)
		}
		var again bytes.Buffer
		if _, err := m.Write(&again, " ", false); err != nil {
			t.Fatal(err)
		}
		theirs := words(t, again.String())
		for word, n := range words(t, ours) {
			if theirs[word] < n {
				t.Errorf("%s: %d are written, %d understood", word, n, theirs[word])
			}
		}
		if m.GetType() != "dynamic" || len(m.Periods) != 2 || len(m.UTCTimings) != 1 {
			t.Fatalf("%d periods of a %s presentation\n%s", len(m.Periods), m.GetType(), ours)
		}
		ends := map[string]float64{}
		for i, p := range m.Periods {
			for _, set := range p.AdaptationSets {
				rep := set.Representations[0]
				template := rep.GetSegmentTemplate()
				s := template.SegmentTimeline.S
				scale, offset := float64(*template.Timescale), float64(*template.PresentationTimeOffset)
				first, last := s[0], s[len(s)-1]
				begins := p.Start.Seconds() + (float64(*first.T)-offset)/scale
				if before, ok := ends[rep.Id]; ok && (begins-before > 0.05 || before-begins > 0.05) {
					t.Errorf("period %d: %s begins at %.3f s, the one before ends at %.3f s", i, rep.Id, begins, before)
				}
				ends[rep.Id] = p.Start.Seconds() + (float64(*last.T+last.D)-offset)/scale
			}
		}
	})
}
