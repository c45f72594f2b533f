package codec

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// encode makes a clip of two groups of 24 pictures with x264.
func encode(t *testing.T, size, pixels, options string) [][]byte {
	t.Helper()
	args := []string{"-f", "lavfi", "-i", "testsrc2=size=" + size + ":rate=24:duration=2", "-pix_fmt", pixels,
		"-c:v", "libx264", "-preset", "veryfast", "-threads", "1", "-x264-params", "keyint=24:min-keyint=24:scenecut=0:" + options, "-f", "h264", "pipe:1"}
	return accessUnits(t, ffmpeg(t, nil, args...))
}

// ffmpeg runs ffmpeg, which must have nothing to say.
func ffmpeg(t *testing.T, in []byte, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "ffmpeg", append([]string{"-hide_banner", "-v", "warning"}, args...)...)
	var errs bytes.Buffer
	cmd.Stdin, cmd.Stderr = bytes.NewReader(in), &errs
	out, err := cmd.Output()
	if err != nil || errs.Len() > 0 {
		t.Fatalf("ffmpeg %v: %v\n%s", args, err, errs.String())
	}
	return out
}

// accessUnits splits a byte stream (ITU-T H.264 annex B) of frames into access
// units in AVCC form.
func accessUnits(t *testing.T, b []byte) [][]byte {
	t.Helper()
	var units [][]byte
	var unit []byte
	sliced := false
	for _, n := range bytes.Split(b, []byte{0, 0, 1}) {
		n = bytes.TrimRight(n, "\x00")
		if len(n) < 2 {
			continue
		}
		slice := isSlice(n)
		if sliced && (!slice || n[1]&0x80 != 0) {
			units, unit, sliced = append(units, unit), nil, false
		}
		unit, sliced = appendNALU(unit, n), sliced || slice
	}
	return append(units, unit)
}

// annexB is the reverse, with 4-byte start codes.
func annexB(units [][]byte) []byte {
	var b []byte
	for _, u := range units {
		for n := range NALUs(u) {
			b = append(append(b, 0, 0, 0, 1), n...)
		}
	}
	return b
}

// pictures decodes with ffmpeg, which must not complain, and returns a hash of
// each picture in the order of showing.
func pictures(t *testing.T, units [][]byte) []string {
	t.Helper()
	return decoded(t, "h264", annexB(units))
}

func decoded(t *testing.T, format string, stream []byte) []string {
	t.Helper()
	out := ffmpeg(t, stream, "-err_detect", "explode", "-threads", "1", "-f", format, "-i", "pipe:0", "-fps_mode", "passthrough", "-f", "framemd5", "pipe:1")
	var sums []string
	for line := range strings.Lines(string(out)) {
		if !strings.HasPrefix(line, "#") {
			sums = append(sums, strings.TrimSpace(line[strings.LastIndex(line, ",")+1:]))
		}
	}
	return sums
}

// trackOf makes the track of the clip's first parameter sets.
func trackOf(t *testing.T, unit []byte) *H264 {
	t.Helper()
	var sps, pps []byte
	for n := range NALUs(unit) {
		switch {
		case n[0]&0x1f == NALSPS && sps == nil:
			sps = n
		case n[0]&0x1f == NALPPS && pps == nil:
			pps = n
		}
	}
	c, err := NewH264(sps, pps)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// frozen is what stands between two pieces of a stream: 3 key frames with 4 skip
// pictures after each, or 5 key frames where there are no skips.
func frozen(s *Still) [][]byte {
	var units [][]byte
	for i := range 3 {
		units = append(units, s.Key(i))
		for n := 1; n <= 4 && s.Skip(1) != nil; n++ {
			units = append(units, s.Skip(n))
		}
	}
	if s.Skip(1) == nil {
		units = append(units, s.Key(3), s.Key(4))
	}
	return units
}

// matrix is what encoders send. OpenH264 decodes 4:2:0 frames of 8 bits only.
var matrix = []struct {
	name, size, pixels, options string
	noSkips, openH264           bool
}{
	{"baseline", "320x180", "yuv420p", "cabac=0:bframes=0:weightp=0:8x8dct=0:ref=1", false, true},
	{"baseline of 3 references", "320x180", "yuv420p", "cabac=0:bframes=0:weightp=0:8x8dct=0:ref=3", false, true},
	{"main without B", "320x180", "yuv420p", "bframes=0:weightp=0:8x8dct=0", false, true},
	{"main with B", "320x180", "yuv420p", "bframes=3:b-pyramid=none:8x8dct=0:weightp=1", false, true},
	{"high with pyramid", "320x180", "yuv420p", "bframes=5:b-pyramid=normal:ref=6:weightp=2:weightb=1", false, true},
	{"four slices with CABAC", "320x180", "yuv420p", "slices=4:bframes=0", false, true},
	{"three slices without", "320x180", "yuv420p", "slices=3:cabac=0:no-deblock=1:bframes=0", false, true},
	{"zero latency", "320x180", "yuv420p", "bframes=0:sync-lookahead=0:rc-lookahead=0:mbtree=0:sliced-threads=1:slices=2", false, true},
	{"delimiters and HRD", "320x180", "yuv420p", "aud=1:nal-hrd=cbr:bitrate=600:vbv-maxrate=600:vbv-bufsize=600:pic-struct=1", false, true},
	{"cropped, other matrices", "322x182", "yuv420p", "cqm=jvt:bframes=2", false, true},
	{"1080p", "1920x1080", "yuv420p", "bframes=0", false, true},
	{"MBAFF with CABAC", "320x192", "yuv420p", "tff=1:bframes=1:weightp=0", false, false},
	{"MBAFF without", "320x192", "yuv420p", "bff=1:cabac=0:bframes=0:weightp=0", false, false},
	{"4:4:4", "320x180", "yuv444p", "bframes=2", false, false},
	{"4:2:2 of 10 bits", "320x180", "yuv422p10le", "bframes=2", false, false},
	{"monochrome", "320x180", "gray", "bframes=0", false, false},
	{"all-intra", "320x180", "yuv420p", "keyint=1", true, true},
	{"open groups", "320x180", "yuv420p", "open-gop=1:bframes=3", false, true},
	{"open groups without CABAC, 3 slices", "320x180", "yuv420p", "open-gop=1:bframes=2:cabac=0:slices=3", false, true},
	{"open groups with MBAFF", "320x192", "yuv420p", "open-gop=1:bframes=2:tff=1:weightp=0", false, false},
	{"intra refresh", "320x180", "yuv420p", "intra-refresh=1:bframes=0", false, true},
}

// Whatever the encoder's settings, a hold after any picture decodes without a
// word, in two decoders, and all its pictures are the one that is held; what
// comes before and after it is as without it.
//
// GLIMPSE_LONG cuts each stream in both places. A new coding must be added here: what ffmpeg forgives, the other decoder does
// not, and the reverse.
func TestHoldDecodes(t *testing.T) {
	second := buildOpenH264(t)
	both := []int{25, 38} // after a key frame, and within a group of pictures
	for i, test := range matrix {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			cuts := both[i%2 : i%2+1]
			if os.Getenv("GLIMPSE_LONG") != "" {
				cuts = both
			}
			clip := encode(t, test.size, test.pixels, test.options)
			c := trackOf(t, clip[0])
			after := clip[:30]
			afterwards := pictures(t, after)
			for _, cut := range cuts {
				before, held := clip[:cut], 0
				for i, u := range before {
					if HasIDR(u) || Promotable(c, u) {
						held = i
					}
				}
				s := StillOf(c, clip[held])
				if noSkips := s.Skip(1) == nil; noSkips != test.noSkips {
					t.Fatalf("no skip pictures: %v, want %v", noSkips, test.noSkips)
				}
				hold := frozen(s)
				all := slices.Concat(before, hold, after)
				want := pictures(t, before)
				still := pictures(t, [][]byte{s.Key(0)})
				if HasIDR(clip[held]) && !slices.Equal(still, pictures(t, clip[held:held+1])) {
					t.Error("the key frame is not the same after its ids were changed")
				}
				if !HasIDR(clip[held]) && !slices.Contains(pictures(t, clip[:min(held+8, len(clip))]), still[0]) {
					t.Error("a promoted picture is not the picture that it was")
				}
				for range hold {
					want = append(want, still...)
				}
				want = append(want, afterwards...)
				if got := pictures(t, all); !slices.Equal(got, want) {
					t.Errorf("cut after %d: %s", cut, difference(got, want))
				}
				if test.openH264 {
					second.check(t, cut, before, hold, after, s)
				}
			}
		})
	}
}

func difference(got, want []string) string {
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			return fmt.Sprintf("picture %d of %d (want %d in all) differs", i, len(got), len(want))
		}
	}
	return fmt.Sprintf("%d pictures, want %d", len(got), len(want))
}

// openH264 is the program in testdata.
type openH264 string

func buildOpenH264(t *testing.T) openH264 {
	t.Helper()
	program := filepath.Join(t.TempDir(), "openh264")
	if out, err := exec.Command("cc", "-O2", "-o", program, "testdata/openh264.c", "-lopenh264").CombinedOutput(); err != nil {
		t.Fatalf("building the second decoder (make deps installs what it needs): %v\n%s", err, out)
	}
	return openH264(program)
}

// decode returns a hash of each picture; errors are failures.
func (o openH264) decode(t *testing.T, units ...[][]byte) []string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "clip.h264")
	if err := os.WriteFile(file, annexB(slices.Concat(units...)), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), string(o), file).Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Fields(string(out))
	if n := len(lines); n < 2 || lines[n-2] != "errors" || lines[n-1] != "0" {
		t.Errorf("OpenH264: %v", lines[max(0, n-2):])
	}
	return lines[:max(0, len(lines)-2)]
}

// check decodes all pieces as one. When an IDR picture follows pictures that are
// still to be shown OpenH264 repeats one of its outputs, without a hold too: the
// pictures nearest to a live key frame are counted but not compared.
func (o openH264) check(t *testing.T, cut int, before, hold, after [][]byte, s *Still) {
	t.Helper()
	want := o.decode(t, before)
	still := o.decode(t, [][]byte{s.Key(0)})
	for range hold {
		want = append(want, still...)
	}
	want = append(want, o.decode(t, after)...)
	got := o.decode(t, before, hold, after)
	near := func(i int) bool { // to one of the stream's key frames, or to its end
		for j, u := range slices.Concat(before, hold, after) {
			held := j >= cut && j < cut+len(hold)
			if HasIDR(u) && i > j-5 && i < j+5 && (!held || i < cut || i >= cut+len(hold)) {
				return true
			}
		}
		return i >= len(want)-5
	}
	for i := range min(len(got), len(want)) {
		if near(i) {
			got[i] = want[i]
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("cut after %d, OpenH264: %s", cut, difference(got, want))
	}
}
