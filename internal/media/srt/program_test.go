package srt

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"glimpse/internal/media/codec"
	"glimpse/internal/media/frame"
)

// stripped is a transport stream without its continuity counters, which are checked:
// each PID's counts on from 0.
func stripped(t *testing.T, ts []byte) []byte {
	t.Helper()
	next := map[int]byte{}
	out := bytes.Clone(ts)
	for at := 0; at < len(ts); at += packetSize {
		pid := int(ts[at+1]&0x1f)<<8 | int(ts[at+2])
		if n := ts[at+3] & 0xf; n != next[pid] {
			t.Fatalf("packet %d of PID %#x has counter %d, want %d", at/packetSize, pid, n, next[pid])
		}
		next[pid] = (next[pid] + 1) & 0xf
		out[at+3] &= 0xf0
	}
	return out
}

// Readers of one stream share the packets that the first of them made; each has
// counters of its own, whenever it came, and begins with the tables. When the last
// has gone nothing is kept.
func TestReadersShareAProgram(t *testing.T) {
	video, audio := testTracks(t)
	list := film(video, audio, 0)
	var all programs
	reader := func() (*mediaWriter, *bytes.Buffer) {
		var out bytes.Buffer
		w := &mediaWriter{open: all.open("a-play"), out: buffer{&out}, size: 7 * packetSize}
		if err := w.Announce([]*frame.Track{video, audio}); err != nil {
			t.Fatal(err)
		}
		return w, &out
	}
	first, whole := reader()
	second, part := reader()
	if first.program != second.program {
		t.Fatal("two programs for one stream")
	}
	began := 0
	for i, f := range list {
		if err := errors.Join(first.Frame(f), first.Flush()); err != nil {
			t.Fatal(err)
		}
		if i == 20 { // joins at a key frame, or comes back after a loss
			began = whole.Len()
			made, _ := first.program.packets(f)
			again, _ := second.program.packets(f)
			if &made[0] != &again[0] {
				t.Error("made twice")
			}
			began -= len(made)
		}
		if i >= 20 {
			if err := errors.Join(second.Frame(f), second.Flush()); err != nil {
				t.Fatal(err)
			}
		}
	}
	if got, want := stripped(t, part.Bytes()), stripped(t, whole.Bytes())[began:]; !bytes.Equal(got, want) {
		t.Errorf("%d bytes differ from the %d that the first reader got", len(got), len(want))
	}
	if b := part.Bytes(); b[1]&0x1f != 0 || b[2] != 0 || b[packetSize+1]&0x1f != 0x10 {
		t.Error("the second reader does not begin with the tables")
	}
	first.Close()
	first.Close()
	if len(all.by) != 1 {
		t.Error("the second reader has no program any more")
	}
	second.Close()
	if len(all.by) != 0 {
		t.Errorf("%d programs are kept for nobody", len(all.by))
	}
}

// Other sound is another program with other tables; the counters go on. Pictures
// with other parameters stay in theirs.
func TestNewSoundNewTables(t *testing.T) {
	video, audio := testTracks(t)
	mono, err := codec.NewAAC([]byte{0x11, 0x88})
	if err != nil {
		t.Fatal(err)
	}
	other, later := &frame.Track{Codec: mono}, &frame.Track{Codec: video.Codec}
	var all programs
	var out bytes.Buffer
	w := &mediaWriter{open: all.open("a-play"), out: buffer{&out}, size: 7 * packetSize}
	if err := w.Announce([]*frame.Track{video, audio}); err != nil {
		t.Fatal(err)
	}
	before := w.program
	for _, f := range append(film(video, audio, 0), film(later, audio, time.Second)...) {
		if err := w.Frame(f); err != nil {
			t.Fatal(err)
		}
	}
	if w.program != before {
		t.Error("other pictures began a program")
	}
	for _, f := range film(later, other, 2*time.Second) {
		if err := w.Frame(f); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if w.program == before || w.program.audio != other || len(all.by) != 1 {
		t.Errorf("%d programs", len(all.by))
	}
	stripped(t, out.Bytes())
}

// A program keeps what a reader who joins needs, and not more.
func TestProgramIsBounded(t *testing.T) {
	video, audio := testTracks(t)
	for _, keep := range []int{200_000, 10 * keptBytes} { // bytes bound it, and frames
		p, err := newProgram(video, audio, keep)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 10 {
			for _, f := range film(video, audio, time.Duration(i)*time.Second) {
				if _, err := p.packets(f); err != nil {
					t.Fatal(err)
				}
				if p.bytes > keep || len(p.made) > keptFrames || len(p.made) == 0 {
					t.Fatalf("%d bytes of %d frames are kept", p.bytes, len(p.made))
				}
			}
		}
	}
}

// nothing takes all.
type nothing struct{}

func (nothing) WriteChunks(p []byte, _ int) (int, error) { return len(p), nil }

// second is a reader beside another that has made what it is sent.
func second(t testing.TB) (w *mediaWriter, list []*frame.Frame) {
	t.Helper()
	video, audio := testTracks(t)
	list = film(video, audio, 0)
	var all programs
	for range 2 {
		w = &mediaWriter{open: all.open("a-play"), out: nothing{}, size: 7 * packetSize}
		if err := w.Announce([]*frame.Track{video, audio}); err != nil {
			t.Fatal(err)
		}
		for _, f := range list {
			if err := errors.Join(w.Frame(f), w.Flush()); err != nil {
				t.Fatal(err)
			}
		}
	}
	return w, list
}

// A reader's picture costs no memory.
func TestReaderAllocatesNothing(t *testing.T) {
	w, list := second(t)
	i := 0
	if n := testing.AllocsPerRun(300, func() {
		if err := errors.Join(w.Frame(list[i%len(list)]), w.Flush()); err != nil {
			t.Fatal(err)
		}
		i++
	}); n != 0 {
		t.Errorf("%v allocations a frame", n)
	}
	if cap(w.buf) > gathered*w.size {
		t.Errorf("a reader keeps %d bytes", cap(w.buf))
	}
}

// BenchmarkReader is what a reader's transport stream costs when another has made
// it, a picture and a sound; BenchmarkMux what making costs.
func BenchmarkReader(b *testing.B) {
	w, list := second(b)
	b.ReportAllocs()
	for b.Loop() {
		if err := errors.Join(w.Frame(list[2]), w.Frame(list[3]), w.Flush()); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkMux(b *testing.B) {
	video, audio := testTracks(b)
	picture := &frame.Frame{Track: video, Payload: append([]byte{0, 0, 40, 0, 0x41}, make([]byte, 10_239)...)}
	sound := &frame.Frame{Track: audio, Payload: make([]byte, 250)}
	w := mediaWriter{open: alone, out: nothing{}, size: 7 * packetSize}
	if err := w.Announce([]*frame.Track{video, audio}); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := errors.Join(w.Frame(picture), w.Frame(sound), w.Flush()); err != nil {
			b.Fatal(err)
		}
	}
}
