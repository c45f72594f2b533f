package srt

import (
	"bytes"
	"log/slog"
	"slices"
	"testing"
	"time"

	"glimpse/internal/media/codec"
	"glimpse/internal/media/frame"
	"glimpse/internal/media/serve"
	"glimpse/internal/media/srt/live"
)

// taken is what a demuxer found.
type taken struct {
	expected bool
	tracks   []*frame.Track
	frames   []frame.Frame
}

func (s *taken) ExpectAudio()                  { s.expected = true }
func (s *taken) SetTrack(t *frame.Track) error { s.tracks = append(s.tracks, t); return nil }

func (s *taken) Video(pts, dts time.Duration, key bool, payload []byte) error {
	s.frames = append(s.frames, frame.Frame{Track: s.tracks[0], PTS: pts, DTS: dts, Key: key, Payload: payload})
	return nil
}

func (s *taken) Audio(pts time.Duration, payload []byte) error {
	s.frames = append(s.frames, frame.Frame{PTS: pts, DTS: pts, Payload: payload})
	return nil
}

var (
	sps = []byte{0x67, 0x42, 0xc0, 0x1f, 0xd9, 0x00, 0x50, 0x05, 0xbb, 0x01, 0x10, 0x00, 0x00, 0x03, 0x00, 0x10, 0x00, 0x00, 0x03, 0x03, 0xc0, 0xf1, 0x83, 0x24, 0x80}
	pps = []byte{0x68, 0xcb, 0x83, 0xcb, 0x20}
)

func testTracks(t testing.TB) (video, audio *frame.Track) {
	t.Helper()
	v, err := codec.NewH264(sps[:len(sps)-1], pps)
	if err != nil {
		t.Fatal(err)
	}
	a, err := codec.NewAAC([]byte{0x11, 0x90})
	if err != nil {
		t.Fatal(err)
	}
	return &frame.Track{Codec: v}, &frame.Track{Codec: a}
}

// film is a second of a stream from start on, with large key frames and B-frames'
// times.
func film(video, audio *frame.Track, start time.Duration) (list []*frame.Frame) {
	for i := range 30 {
		at := start + time.Duration(i)*time.Second/30
		nal, size := byte(0x41), 700
		if i%10 == 0 {
			nal, size = 0x65, 70000
		}
		payload := slices.Concat([]byte{0, 0, 0, 0}, []byte{nal}, bytes.Repeat([]byte{byte(i), 3, 0, 0}, size/4), []byte{1})
		n := len(payload) - 4
		payload[1], payload[2], payload[3] = byte(n>>16), byte(n>>8), byte(n)
		// 0, 0, 1 would be a start code: encoders put a 3 between
		payload = bytes.ReplaceAll(payload, []byte{3, 0, 0}, []byte{3, 0, 5})
		list = append(list,
			&frame.Frame{Track: video, DTS: at, PTS: at + 20*time.Millisecond, Key: i%10 == 0, Payload: payload},
			&frame.Frame{Track: audio, DTS: at, PTS: at, Payload: bytes.Repeat([]byte{byte(i)}, 100)})
	}
	return list
}

func mux(t *testing.T, list []*frame.Frame) []byte {
	t.Helper()
	var out bytes.Buffer
	w := mediaWriter{open: alone, out: buffer{&out}, size: 7 * packetSize}
	if err := w.Announce([]*frame.Track{list[0].Track, list[1].Track}); err != nil {
		t.Fatal(err)
	}
	for _, f := range list {
		if err := w.Frame(f); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// What the writer makes the demuxer reads, at the wrap of the 33-bit clock too.
// The last picture has no end yet.
func TestThereAndBack(t *testing.T) {
	video, audio := testTracks(t)
	wrap := time.Duration(1<<33)*time.Second/90000 - time.Hour
	for _, start := range []time.Duration{0, wrap - 500*time.Millisecond} {
		list, got := film(video, audio, start), &taken{}
		d := newDemuxer(serve.Intake{Out: got, Log: slog.New(slog.DiscardHandler)})
		for piece := range slices.Chunk(mux(t, list), 1000) {
			if err := d.write(piece); err != nil {
				t.Fatal(err)
			}
		}
		if !got.expected || len(got.tracks) != 2 || len(got.frames) != len(list)-1 || d.Malformed() != 0 {
			t.Fatalf("expected %v, %d tracks, %d frames of %d, %d lost", got.expected, len(got.tracks), len(got.frames), len(list)-1, d.Malformed())
		}
		pictures := slices.DeleteFunc(slices.Clone(got.frames), func(f frame.Frame) bool { return f.Track == nil })
		for i, f := range pictures {
			want := list[2*i]
			payload := want.Payload
			if want.Key {
				payload = video.Codec.(*codec.H264).InBand(payload)
			}
			if !bytes.Equal(f.Payload, payload) || f.Key != want.Key {
				t.Errorf("picture %d differs", i)
			}
			off := f.DTS - pictures[0].DTS - (want.DTS - start)
			if off.Abs() > 20*time.Microsecond || (f.PTS-f.DTS-20*time.Millisecond).Abs() > 20*time.Microsecond {
				t.Errorf("picture %d at %v + %v, off by %v", i, f.DTS, f.CTS(), off)
			}
		}
	}
}

// A unit with a packet missing is dropped whole; those around it arrive.
func TestMissingPacket(t *testing.T) {
	video, audio := testTracks(t)
	list, got := film(video, audio, 0), &taken{}
	ts := mux(t, list)
	const hole = 40 * packetSize // in the first key frame
	d := newDemuxer(serve.Intake{Out: got, Log: slog.New(slog.DiscardHandler)})
	if err := d.write(slices.Concat(ts[:hole], ts[hole+packetSize:])); err != nil {
		t.Fatal(err)
	}
	if d.Malformed() != 1 {
		t.Errorf("%d units lost", d.Malformed())
	}
	if len(got.frames) == 0 || len(got.frames) >= len(list)-1 {
		t.Errorf("%d frames of %d", len(got.frames), len(list))
	}
}

// A reader whose network gave packets up is sent nothing until a key frame.
func TestFollowerSkipsToKeyFrame(t *testing.T) {
	video, audio := testTracks(t)
	list := film(video, audio, 0)
	var out bytes.Buffer
	w := liveWriter{mediaWriter: mediaWriter{open: alone, out: buffer{&out}, size: 7 * packetSize}}
	w.look(live.Stats{})
	if err := w.Announce([]*frame.Track{video, audio}); err != nil {
		t.Fatal(err)
	}
	for i, one := range list {
		if i == 8 {
			w.look(live.Stats{Dropped: 3})
		}
		if err := w.Frame(one); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	got := &taken{}
	d := newDemuxer(serve.Intake{Out: got, Log: slog.New(slog.DiscardHandler)})
	if err := d.write(out.Bytes()); err != nil {
		t.Fatal(err)
	}
	if w.skipped != 12 || len(got.frames) != len(list)-12-1 { // frames 8 to 19: six pictures and their sound; the last picture has no end
		t.Errorf("%d sent, %d skipped", len(got.frames), w.skipped)
	}
}

// buffer keeps payloads one behind the other.
type buffer struct{ *bytes.Buffer }

func (b buffer) WriteChunks(p []byte, _ int) (int, error) { return b.Write(p) }
