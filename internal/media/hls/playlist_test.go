package hls

import (
	"flag"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bluenviron/gohlslib/v2/pkg/playlist"
	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files")

var random = regexp.MustCompile(`~[a-z0-9]{16}|\b[a-z0-9]{8}-([va])-`)

// golden compares a playlist, its random names made plain.
func golden(t *testing.T, name, got string) {
	t.Helper()
	got = random.ReplaceAllStringFunc(got, func(s string) string {
		if s[0] == '~' {
			return "~session"
		}
		return "run" + s[8:]
	})
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s differs (-want +got; -update writes it):\n%s", name, diff)
	}
}

// media parses a media playlist with another library.
func media(t *testing.T, body string) *playlist.Media {
	t.Helper()
	var m playlist.Media
	if err := m.Unmarshal([]byte(body)); err != nil {
		t.Fatalf("%v\n%s", err, body)
	}
	return &m
}

// B19
func TestPlaylists(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer r.close()
		r.publish()
		r.play(100 * time.Millisecond)
		synctest.Wait()
		golden(t, "start.index.m3u8", r.get("index.m3u8").Body.String())
		golden(t, "start.video.m3u8", r.get("video.m3u8").Body.String())
		golden(t, "start.audio.m3u8", r.get("audio.m3u8").Body.String())
		r.play(5 * time.Second)
		synctest.Wait()
		golden(t, "live.index.m3u8", r.get("index.m3u8").Body.String())
		golden(t, "live.video.m3u8", r.get("video.m3u8").Body.String())
		golden(t, "live.audio.m3u8", r.get("audio.m3u8").Body.String())

		var index playlist.Multivariant
		if err := index.Unmarshal(r.get("index.m3u8").Body.Bytes()); err != nil {
			t.Fatal(err)
		}
		v := index.Variants[0]
		if v.Resolution != "640x360" || len(v.Codecs) != 2 || v.Bandwidth == 0 || v.FrameRate == nil || *v.FrameRate != 30 {
			t.Errorf("variant: %+v", v)
		}
		m := media(t, r.get("video.m3u8").Body.String())
		if m.TargetDuration != 12 || m.PartInf == nil || m.PartInf.PartTarget != 210*time.Millisecond ||
			m.ServerControl == nil || !m.ServerControl.CanBlockReload || m.PreloadHint == nil || !m.IndependentSegments {
			t.Errorf("media playlist: %+v", m)
		}
		if hold := *m.ServerControl.PartHoldBack; hold < 3*m.PartInf.PartTarget {
			t.Errorf("PART-HOLD-BACK %v", hold)
		}
		// The wall clock goes on from segment to segment.
		for i, s := range m.Segments[1:] {
			if d := s.DateTime.Sub(*m.Segments[i].DateTime) - m.Segments[i].Duration; math.Abs(d.Seconds()) > 0.001 {
				t.Errorf("segment %d: wall clock off by %v", i+1, d)
			}
		}
	})
}

// A run with new parameters and an interruption, trimmed to its window. While the
// publisher is away the playlist grows, and its return is no discontinuity.
func TestPlaylistOfAnEventfulRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer r.close()
		r.publish()
		r.play(4 * time.Second)
		r.check(r.pub.SetTrack(videoTrack(t, 1)))
		r.play(4 * time.Second)
		before := media(t, r.get("video.m3u8").Body.String())
		r.pub.Close()
		time.Sleep(10 * time.Second)
		away := media(t, r.get("video.m3u8").Body.String())
		if away.MediaSequence != before.MediaSequence || len(away.Segments) < len(before.Segments)+4 {
			t.Errorf("while the publisher is away: %d segments from %d", len(away.Segments), away.MediaSequence)
		}
		r.publish()
		r.check(r.pub.SetTrack(videoTrack(t, 1)))
		r.n, r.sound, r.at = 0, 0, 0 // its clock starts again
		r.play(5 * time.Second)
		synctest.Wait()
		golden(t, "eventful.video.m3u8", r.get("video.m3u8").Body.String())
		golden(t, "eventful.audio.m3u8", r.get("audio.m3u8").Body.String())
		for _, name := range []string{"video.m3u8", "audio.m3u8"} {
			if n := strings.Count(r.get(name).Body.String(), "#EXT-X-DISCONTINUITY\n"); n != 1 {
				t.Errorf("%s: %d discontinuities, want that of the new parameters alone", name, n)
			}
		}

		last := away.MediaSequence
		for range 75 {
			r.play(time.Second)
			v, a := media(t, r.get("video.m3u8").Body.String()), media(t, r.get("audio.m3u8").Body.String())
			if v.MediaSequence < last || v.MediaSequence != a.MediaSequence {
				t.Fatalf("media sequences %d, %d after %d", v.MediaSequence, a.MediaSequence, last)
			}
			last = v.MediaSequence
		}
		body := r.get("video.m3u8").Body.String()
		if m := media(t, body); m.DiscontinuitySequence == nil || *m.DiscontinuitySequence != 1 || strings.Contains(body, "#EXT-X-DISCONTINUITY\n") {
			t.Errorf("discontinuities that left the window are not counted:\n%.400s", body)
		}
	})
}

func TestSeconds(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0.00000", 210 * time.Millisecond: "0.21000", 2*time.Second + 1: "2.00000", 1999999 * time.Microsecond: "2.00000",
		5 * time.Microsecond: "0.00001", 12345678 * time.Microsecond: "12.34568",
	} {
		if got := string(appendSeconds(nil, d)); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
}

// C25: what the server adds: a picture is listed at the latest 0.25 s after it
// was published, and its sound with it. The player's hold-back comes on top.
func TestListedSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer r.close()
		r.publish()
		r.play(3 * time.Second)
		for range 80 {
			r.play(100 * time.Millisecond)
			synctest.Wait()
			for _, name := range []string{"video.m3u8", "audio.m3u8"} {
				m := media(t, r.get(name).Body.String())
				var edge time.Time
				if n := len(m.Segments); n > 0 {
					last := m.Segments[n-1]
					edge = last.DateTime.Add(last.Duration)
				}
				for _, p := range m.Parts {
					edge = edge.Add(p.Duration)
				}
				if d := time.Since(edge); d > 250*time.Millisecond {
					t.Fatalf("%s ends %v ago", name, d)
				}
			}
		}
	})
}

func TestHandles(t *testing.T) {
	for rest, want := range map[string]bool{
		"index.m3u8": true, "~abcdefghij234567/video.m3u8": true, "abcdefgh-v-i0.mp4": true, "abcdefgh-v-1-2.m4s": true,
		"": false, "whep": false, "thumbnail.jpg": false, "frame.jpg": false,
	} {
		if got := Handles(rest); got != want {
			t.Errorf("%q: %t", rest, got)
		}
	}
}
