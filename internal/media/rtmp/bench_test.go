package rtmp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"glimpse/internal/media/codec"
	"glimpse/internal/media/frame"
	"glimpse/internal/media/hub"
	"glimpse/internal/media/serve/servetest"
)

// benchFrames are a picture of 10 kB, as 720p30 at 2.5 Mb/s has it, and the
// sound that goes with it.
func benchFrames(b testing.TB) (picture, sound *frame.Frame) {
	b.Helper()
	aac, err := codec.NewAAC([]byte{0x11, 0x90})
	if err != nil {
		b.Fatal(err)
	}
	payload := make([]byte, 10_000)
	binary.BigEndian.PutUint32(payload, uint32(len(payload)-4))
	payload[4] = codec.NALIDR
	video := &frame.Track{Codec: &codec.H264{SPS: []byte{0x67, 66, 0, 31}, PPS: []byte{0x68}}}
	return &frame.Frame{Track: video, Payload: payload}, &frame.Frame{Track: &frame.Track{Codec: aac}, Payload: payload[:200]}
}

// BenchmarkWriter measures one picture with its sound to one reader over TCP,
// the reading included.
func BenchmarkWriter(b *testing.B) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer ln.Close()
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		buf := make([]byte, 1<<20)
		for err == nil {
			_, err = conn.Read(buf)
		}
		_ = conn.Close()
	}()
	conn, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	picture, sound := benchFrames(b)
	w := newMediaWriter(conn, 1, time.Second)
	b.ReportAllocs()
	for b.Loop() {
		if err := errors.Join(w.Frame(sound), w.Frame(picture), w.Flush()); err != nil {
			b.Fatal(err)
		}
		picture.DTS += 33 * time.Millisecond
		sound.DTS = picture.DTS
	}
	b.StopTimer()
	_ = conn.Close()
	<-drained
}

// BenchmarkFanOut measures one picture from the publisher through the hub to
// each of many players over TCP, the players' reading included.
func BenchmarkFanOut(b *testing.B) {
	for _, n := range []int{1, 100} {
		b.Run(fmt.Sprintf("players=%d", n), func(b *testing.B) { fanOut(b, n) })
	}
}

func fanOut(b *testing.B, players int) {
	r := newRig(b, Config{})
	s, err := r.Hub.Open(hub.Spec{ID: "one", IngestKey: "one-key", PlaybackID: "one-play"})
	if err != nil {
		b.Fatal(err)
	}
	picture, _ := benchFrames(b)
	p, err := r.Hub.Publish("one-key", hub.PublisherInfo{Protocol: "test"})
	if err != nil {
		b.Fatal(err)
	}
	defer p.Close()
	if err := p.SetTrack(picture.Track); err != nil {
		b.Fatal(err)
	}
	servetest.Put(b, p, key(picture))
	got := make(chan error, players)
	for range players {
		c, err := r.join("one-play")
		if err != nil {
			b.Fatal(err)
		}
		r.media(c, 2)
		go func() {
			wire := make([]byte, 12+5+len(picture.Payload))
			for err == nil {
				_, err = io.ReadFull(c.chunks.br, wire)
				got <- err
			}
		}()
	}
	b.ReportAllocs()
	for b.Loop() {
		picture.DTS += time.Millisecond // stays below the extended timestamps
		picture.PTS = picture.DTS
		servetest.Put(b, p, picture)
		for range players {
			if err := <-got; err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*players), "ns/frame/player")
	b.StopTimer()
	s.Close("done")
	for range players {
		for err := range got {
			if err != nil {
				break
			}
		}
	}
}

// key is f as a key frame.
func key(f *frame.Frame) *frame.Frame {
	k := *f
	k.Key = true
	return &k
}

// BenchmarkIngest measures one picture from a publisher over TCP into the hub,
// the publisher's writing included.
func BenchmarkIngest(b *testing.B) {
	r := newRig(b, Config{})
	s, err := r.Hub.Open(hub.Spec{ID: "one", IngestKey: "one-key", PlaybackID: "one-play"})
	if err != nil {
		b.Fatal(err)
	}
	picture, _ := benchFrames(b)
	c, err := Dial(b.Context(), r.url("one-key"), Options{Tracks: smallFilm().tracks[:1]})
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	picture.Key = true
	if err := c.WriteFrame(picture); err != nil {
		b.Fatal(err)
	}
	run, err := s.WaitRun(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	rd := run.Subscribe(hub.ReaderOptions{})
	defer rd.Close()
	var frames []*frame.Frame
	b.ReportAllocs()
	for b.Loop() {
		picture.DTS += 33 * time.Millisecond
		picture.PTS = picture.DTS
		if err := c.WriteFrame(picture); err != nil {
			b.Fatal(err)
		}
		if frames, err = rd.Next(b.Context(), frames); err != nil {
			b.Fatal(err)
		}
	}
}

// taking is a connection that takes everything.
type taking struct{ net.Conn }

func (taking) Write(b []byte) (int, error)      { return len(b), nil }
func (taking) SetWriteDeadline(time.Time) error { return nil }

// Writing to a reader does not allocate.
func TestWriterDoesNotAllocate(t *testing.T) {
	picture, sound := benchFrames(t)
	w := newMediaWriter(taking{}, 1, time.Second)
	if n := testing.AllocsPerRun(500, func() {
		if err := errors.Join(w.Frame(sound), w.Frame(picture), w.Flush()); err != nil {
			t.Fatal(err)
		}
		picture.DTS += 33 * time.Millisecond
		sound.DTS = picture.DTS
	}); n > 0 {
		t.Errorf("%v allocations a picture", n)
	}
}
