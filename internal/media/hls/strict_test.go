package hls

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/grafov/m3u8"
)

// Another maker's library finds nothing to complain about when it is strict, and
// reads all segments of all lists that the goldens hold, which are what is served.
// (Eyevinn/hls-m3u8 v0.6.0 refuses lists that begin with parts: m3u8/writer.go:731
// takes a part only after a whole segment, though RFC 8216bis §4.4.4.9 has a segment's
// parts before it. Of the others it finds nothing either.)
//
// B19
func TestStrictParser(t *testing.T) {
	files, err := filepath.Glob("testdata/*.m3u8")
	if err != nil || len(files) == 0 {
		t.Fatal("no lists", err)
	}
	for _, file := range files {
		body, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		list, _, err := m3u8.DecodeFrom(bytes.NewReader(body), true)
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		switch list := list.(type) {
		case *m3u8.MasterPlaylist:
			v := list.Variants[0]
			if len(list.Variants) != 1 || v.Bandwidth == 0 || v.Resolution != "640x360" || v.FrameRate != 30 || v.Alternatives[0].GroupId != v.Audio {
				t.Errorf("%s: %+v", file, v)
			}
		case *m3u8.MediaPlaylist:
			if want := strings.Count(string(body), "#EXTINF"); int(list.Count()) != want || list.Map == nil || list.Closed {
				t.Errorf("%s: %d segments of %d, init %v, closed %v", file, list.Count(), want, list.Map, list.Closed)
			}
			breaks := 0
			for _, s := range list.Segments[:list.Count()] {
				if s.Duration <= 0 || s.Duration > list.TargetDuration || s.ProgramDateTime.IsZero() {
					t.Errorf("%s: %+v", file, s)
				}
				if s.Discontinuity {
					breaks++
				}
			}
			if want := strings.Count(string(body), "#EXT-X-DISCONTINUITY\n"); breaks != want {
				t.Errorf("%s: %d discontinuities of %d", file, breaks, want)
			}
		}
	}
}
