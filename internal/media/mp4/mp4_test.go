package mp4

import (
	"bytes"
	"encoding/hex"
	"errors"
	"testing"
	"time"

	amp4 "github.com/abema/go-mp4"

	"glimpse/internal/media/codec"
	"glimpse/internal/media/frame"
)

func tracks(t testing.TB) []Track {
	t.Helper()
	var list []Track
	for i, c := range []frame.Codec{h264(t, "6742c01ed900a02ff970110000030001000003003c0f162e48", "68cb83cb20"), codec.StandardAAC()} {
		track, err := NewTrack(uint32(i+1), c)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, track)
	}
	return list
}

func h264(t testing.TB, sets ...string) frame.Codec {
	t.Helper()
	var b [2][]byte
	for i, s := range sets {
		var err error
		if b[i], err = hex.DecodeString(s); err != nil {
			t.Fatal(err)
		}
	}
	c, err := codec.NewH264(b[0], b[1])
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// recording is a file of n fragments of half a second, 4 pictures and 20 sounds
// each, whose parameters change in the middle, and where each fragment ends.
func recording(t testing.TB, n int) (file []byte, ends []int) {
	t.Helper()
	all := tracks(t)
	entries := []int{0, 0}
	file = AppendInit(Header(), all, entries)
	for i := range n {
		if i == n/2 && n > 1 {
			entry, err := Entry(h264(t, "674d401eeca05017fcb8088000000300800000"+"1e078b16cb", "68ebe3cb20"))
			if err != nil {
				t.Fatal(err)
			}
			if !all[0].SameKind(entry) || all[1].SameKind(entry) {
				t.Error("kinds are not told apart")
			}
			entries[0] = all[0].Use(entry)
			file = AppendInit(file, all, entries)
		}
		video, audio := Run{Time: uint64(i) * 45000}, Run{Track: 1, Time: uint64(i) * 24000}
		for k := range 4 {
			video.Samples = append(video.Samples, Sample{Size: uint32(10 + k), Duration: 11250, Offset: int32(k * 100), Key: k == 0})
		}
		for range 20 {
			audio.Samples = append(audio.Samples, Sample{Size: 3, Duration: 1200, Key: true})
		}
		runs := []Run{video, audio}
		file = AppendFragment(file, uint32(i), all, runs)
		for _, r := range runs {
			file = append(file, bytes.Repeat([]byte{byte(i)}, int(r.size()))...)
		}
		ends = append(ends, len(file))
	}
	return file, ends
}

// What is written is what is found again, before and after it is sealed.
func TestScan(t *testing.T) {
	file, ends := recording(t, 6)
	open, err := Scan(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	if open.Sealed || open.End != int64(ends[5]) || len(open.Fragments) != 6 || len(open.Inits) != 2 || len(open.Tables[0].Entries) != 2 {
		t.Fatalf("%+v", open)
	}
	for i, f := range open.Fragments {
		if want := time.Duration(i) * 500 * time.Millisecond; f.From != want || f.To != want+500*time.Millisecond || !f.Key || f.Init != i/3 {
			t.Errorf("fragment %d: %+v", i, f)
		}
		runs, err := open.Runs(bytes.NewReader(file), i)
		if err != nil || len(runs) != 2 || len(runs[0].Samples) != 4 || runs[0].Samples[3] != (Sample{13, 11250, 300, false}) {
			t.Errorf("fragment %d: %+v, %v", i, runs, err)
		} else if b := file[runs[1].At]; b != byte(i) {
			t.Errorf("fragment %d: its sound begins with %d", i, b)
		}
	}
	moov := AppendMovie(nil, open.Tables, time.Unix(0, 0), nil, 0)
	sealed := append(bytes.Clone(file), moov...)
	at, header := Seal(int64(len(file)))
	copy(sealed[at:], header)
	again, err := Scan(bytes.NewReader(sealed), int64(len(sealed)))
	if err != nil || !again.Sealed || again.End != open.End || len(again.Fragments) != 6 {
		t.Errorf("sealed: %+v, %v", again, err)
	}
	if other := AppendMovie(nil, again.Tables, time.Unix(0, 0), nil, 0); !bytes.Equal(other, moov) {
		t.Error("the index made of a sealed file is another one")
	}
	torn := bytes.Clone(sealed)
	copy(torn[at+8:], make([]byte, 8)) // the header came without its length
	if f, err := Scan(bytes.NewReader(torn), int64(len(torn))); err != nil || f.Sealed || len(f.Fragments) != 6 {
		t.Errorf("torn: %+v, %v", f, err)
	}
}

// A library of others reads the finished file.
func TestMovie(t *testing.T) {
	file, _ := recording(t, 1)
	found, err := Scan(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	half := []Edit{{Duration: time.Second / 2}}
	sealed := AppendMovie(bytes.Clone(file), found.Tables, time.Unix(0, 0), [][]Edit{half, half}, 0)
	at, header := Seal(int64(len(file)))
	copy(sealed[at:], header)
	p, err := amp4.Probe(bytes.NewReader(sealed))
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Tracks) != 2 || p.Duration != 45000 || len(p.Segments) != 0 {
		t.Fatalf("%+v", p)
	}
	video, audio := p.Tracks[0], p.Tracks[1]
	if len(video.Samples) != 4 || len(audio.Samples) != 20 || audio.Timescale != 48000 || audio.MP4A == nil || video.AVC == nil ||
		len(video.EditList) != 1 || video.EditList[0].MediaTime != 0 || video.EditList[0].SegmentDuration != 45000 {
		t.Errorf("%+v, %+v", video, audio)
	}
	if s := video.Samples[2]; *s != (amp4.Sample{Size: 12, TimeDelta: 11250, CompositionTimeOffset: 200}) {
		t.Errorf("%+v", s)
	}
	if len(audio.Chunks) != 1 || sealed[audio.Chunks[0].DataOffset] != 0 || audio.Chunks[0].DataOffset != video.Chunks[0].DataOffset+46 {
		t.Errorf("%+v", audio.Chunks)
	}
}

// Wherever a file ends, what is whole before is found.
func TestCut(t *testing.T) {
	file, ends := recording(t, 4)
	for n := range len(file) {
		whole := 0
		for _, end := range ends {
			if end <= n {
				whole++
			}
		}
		f, err := Scan(bytes.NewReader(file[:n]), int64(n))
		switch {
		case whole == 0 && !errors.Is(err, ErrEmpty):
			t.Fatalf("%d bytes: %v, want ErrEmpty", n, err)
		case whole > 0 && (err != nil || len(f.Fragments) != whole || f.End != int64(ends[whole-1]) && f.End > int64(n)):
			t.Fatalf("%d bytes: %v, want %d fragments", n, err, whole)
		}
	}
}

// A hole lengthens the sample before it.
func TestHole(t *testing.T) {
	table := &Table{Track: tracks(t)[0]}
	one := Run{Time: 900, Samples: []Sample{{Size: 1, Duration: 100}, {Size: 1, Duration: 100}}}
	table.Add(&one, 0)
	one.Time = 2000
	table.Add(&one, 0)
	if table.Start() != 900 || table.End() != 2200 || table.Samples() != 4 {
		t.Errorf("from %d to %d, %d samples", table.Start(), table.End(), table.Samples())
	}
	want := []span{{1, 100}, {1, 1000}, {2, 100}}
	if len(table.durations) != 3 || table.durations[1] != want[1] || table.durations[2] != want[2] {
		t.Errorf("%v, want %v", table.durations, want)
	}
}

func FuzzScan(f *testing.F) {
	file, _ := recording(f, 2)
	f.Add(file)
	f.Add(file[:len(file)/2])
	f.Fuzz(func(t *testing.T, b []byte) {
		found, err := Scan(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		for i := range found.Fragments {
			if _, err := found.Runs(bytes.NewReader(b), i); err != nil {
				t.Errorf("fragment %d: %v", i, err)
			}
		}
		AppendMovie(nil, found.Tables, time.Time{}, nil, 0)
	})
}

// The bytes of a fragment of pictures and of one of sound, of one track each, as
// segments have them: box by box as ISO/IEC 14496-12 §8.8 says.
func TestFragmentBytes(t *testing.T) {
	video := []Run{{Time: 900_000, Samples: []Sample{{5, 3000, 6000, true}, {7, 3003, -9, false}, {300, 1, 0, false}}}}
	sound := []Run{{Time: 1<<33 + 5, Samples: []Sample{{6, 1024, 0, true}, {341, 1025, 0, true}}}}
	for _, test := range []struct {
		video    bool
		sequence uint32
		runs     []Run
		want     string
	}{
		{true, 7, video, "0000008c6d6f6f66" + "000000106d6668640000000000000007" + "0000007474726166" +
			"00000014746668640002002000000001" + "02000000" + "00000014746664740100000000000000" + "000dbba0" +
			"000000447472756e01000f010000000300000094" + "00000bb8000000050200000000001770" +
			"00000bbb0000000701010000fffffff7" + "000000010000012c0101000000000000" + "000001406d646174"},
		{false, 1 << 20, sound, "0000006c6d6f6f66" + "000000106d6668640000000000100000" + "0000005474726166" +
			"00000014746668640002002000000001" + "02000000" + "00000014746664740100000000000002" + "00000005" +
			"000000247472756e000003010000000200000074" + "0000040000000006" + "0000040100000155" + "000001636d646174"},
	} {
		got := AppendFragment(nil, test.sequence, []Track{{ID: 1, Video: test.video}}, test.runs)
		if hex.EncodeToString(got) != test.want || len(got) != FragmentSize(test.video, len(test.runs[0].Samples)) || test.runs[0].At != int64(len(got)) {
			t.Errorf("%d bytes, the data at %d: %x", len(got), test.runs[0].At, got)
		}
	}
}

func BenchmarkFragment(b *testing.B) { // six pictures
	track, run := []Track{{ID: 1, Video: true}}, []Run{{Time: 900_000}}
	for i := range 6 {
		run[0].Samples = append(run[0].Samples, Sample{Size: 9_300, Duration: 3000, Key: i == 0})
	}
	b.ReportAllocs()
	for b.Loop() {
		AppendFragment(make([]byte, 0, FragmentSize(true, 6)), 1, track, run)
	}
}
