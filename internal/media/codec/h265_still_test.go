package codec

import (
	"bytes"
	"slices"
	"strings"
	"testing"
)

// Key frames of other codecs are held by themselves, and decode without a word:
// IDR and CRA pictures of H.265, key frames of AV1.
func TestHoldOfOtherCodecs(t *testing.T) {
	for _, test := range []struct{ name, format, options string }{
		{"H.265", "hevc", "-c:v libx265 -x265-params log-level=error:keyint=12:min-keyint=12:scenecut=0:open-gop=0:bframes=3"},
		{"H.265 with open groups", "hevc", "-c:v libx265 -x265-params log-level=error:keyint=12:min-keyint=12:scenecut=0:open-gop=1:bframes=3"},
		{"AV1", "obu", "-c:v libaom-av1 -crf 40 -b:v 0 -cpu-used 8 -g 12 -keyint_min 12 -lag-in-frames 0"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			args := strings.Fields("-f lavfi -i testsrc2=size=320x180:rate=24:duration=1 -pix_fmt yuv420p -threads 1 " + test.options)
			b := ffmpeg(t, nil, append(args, "-f", test.format, "pipe:1")...)
			var clip [][]byte
			var c Video
			if test.format == "obu" {
				clip, c = av1Units(t, b)
			} else {
				clip, c = hevcUnits(t, b)
			}
			var keys []int
			for i, u := range clip {
				if c.IsKey(u) {
					keys = append(keys, i)
				}
			}
			if len(clip) != 24 || len(keys) != 2 {
				t.Fatalf("%d pictures, key frames %v", len(clip), keys)
			}
			s := StillOf(c, clip[keys[1]])
			if s.Skip(1) != nil {
				t.Fatal("a skip picture")
			}
			hold := [][]byte{s.Key(0), s.Key(1), s.Key(2), s.Key(3)}
			sums := func(units ...[][]byte) []string {
				all := slices.Concat(units...)
				if test.format == "obu" {
					delimiter := []byte{0x12, 0}
					return decoded(t, test.format, append(delimiter, bytes.Join(all, delimiter)...))
				}
				return decoded(t, test.format, annexB(all))
			}
			want := sums(clip[:keys[1]+1])
			still := sums(hold[:1])
			if !slices.Contains(sums(clip), still[0]) {
				t.Error("the picture is not what it was")
			}
			for range hold {
				want = append(want, still...)
			}
			want = append(want, sums(clip[:6])...)
			if got := sums(clip[:keys[1]+1], hold, clip[:6]); !slices.Equal(got, want) {
				t.Error(difference(got, want))
			}
		})
	}
}

func hevcUnits(t *testing.T, b []byte) ([][]byte, Video) {
	t.Helper()
	var units [][]byte
	var unit []byte
	sliced := false
	p := NewPictures(nameH265)
	for _, n := range bytes.Split(b, []byte{0, 0, 1}) {
		if n = bytes.TrimRight(n, "\x00"); len(n) < 3 {
			continue
		}
		slice := hevcType(n) < 32
		if sliced && (!slice || n[2]&0x80 != 0) {
			units, unit, sliced = append(units, unit), nil, false
		}
		unit, sliced = appendNALU(unit, n), sliced || slice
	}
	units = append(units, unit)
	if _, _, err := p.Take(units[0]); err != nil || p.Codec() == nil {
		t.Fatalf("no parameters: %v", err)
	}
	return units, p.Codec()
}

// av1Units splits at temporal delimiters and leaves them out.
func av1Units(t *testing.T, b []byte) ([][]byte, Video) {
	t.Helper()
	var units [][]byte
	for o := range obus(b) {
		if o.kind == obuDelimiter {
			units = append(units, nil)
			continue
		}
		units[len(units)-1] = append(units[len(units)-1], o.whole...)
	}
	p := NewPictures(nameAV1)
	if _, _, err := p.Take(units[0]); err != nil || p.Codec() == nil {
		t.Fatalf("no parameters: %v", err)
	}
	return units, p.Codec()
}
