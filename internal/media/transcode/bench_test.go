//go:build unix

package transcode

import (
	"context"
	"errors"
	"io"
	"syscall"
	"testing"
	"time"

	"glimpse/internal/media/frame"
	"glimpse/internal/media/hub"
)

// childrenCPU is the processor time of all children that have ended.
func childrenCPU(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_CHILDREN, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// signalLength is how much of it soundOf and reordered encode.
const signalLength = 3 * time.Second

// again repeats frames, so that a child's start does not count for much.
func again(frames []*frame.Frame, times int) []*frame.Frame {
	var all []*frame.Frame
	for n := range times {
		for _, f := range frames {
			g := *f
			g.PTS += time.Duration(n) * signalLength
			g.DTS += time.Duration(n) * signalLength
			all = append(all, &g)
		}
	}
	return all
}

// What a child of each direction takes of a core while its stream is live.
func BenchmarkConversion(b *testing.B) {
	const times = 20
	for _, c := range []struct {
		name, codec string
		to          hub.Sound
	}{{"AAC to Opus", "aac", hub.SoundOpus}, {"Opus to AAC", "libopus", hub.SoundStandard}} {
		b.Run(c.name, func(b *testing.B) {
			frames := again(soundOf(b, c.codec, "48000", "2"), times)
			before := childrenCPU(b)
			for b.Loop() {
				if got := convertAll(b, c.to, frames); len(got) < 100 {
					b.Fatalf("%d packets", len(got))
				}
			}
			used := childrenCPU(b) - before
			b.ReportMetric(100*used.Seconds()/(float64(b.N)*times*signalLength.Seconds()), "%core")
		})
	}
	b.Run("pictures in order 320x240", func(b *testing.B) {
		frames := again(reordered(b), times)
		tc := newTranscoder(b, Config{})
		before := childrenCPU(b)
		for b.Loop() {
			src := make(feed, 1)
			src <- frames
			close(src)
			n := 0
			out := &pictureOutput{write: func(*frame.Frame) { n++ }, last: -1}
			if err := tc.straighten(b.Context(), src, out); !errors.Is(err, io.EOF) || n < 100 {
				b.Fatalf("%d pictures, %v", n, err)
			}
		}
		used := childrenCPU(b) - before
		b.ReportMetric(100*used.Seconds()/(float64(b.N)*times*signalLength.Seconds()), "%core")
	})
}

// How long a first listener waits for the first packet, from a child that was ready and
// from one that has to start: the linker of the latter is what differs.
func BenchmarkFirstSound(b *testing.B) {
	frames := soundOf(b, "aac", "48000", "2")[:30]
	args, _ := readyArgs(frames[0].Track)
	for _, ready := range []bool{true, false} {
		b.Run(map[bool]string{true: "ready", false: "to start"}[ready], func(b *testing.B) {
			tc := newTranscoder(b, Config{})
			for b.Loop() {
				b.StopTimer()
				leave := func() {}
				if ready {
					leave = tc.shelf.need(args)
					wantStats(b, tc, 0, 1)
					<-time.After(200 * time.Millisecond) // it has read its arguments
				}
				src := make(feed, len(frames))
				for _, f := range frames {
					src <- []*frame.Frame{f}
				}
				ctx, cancel := context.WithCancel(b.Context())
				first, done := make(chan struct{}, len(frames)), make(chan struct{})
				b.StartTimer()
				go func() {
					defer close(done)
					_ = tc.keepConverting(ctx, src, outputs()[hub.SoundOpus], collected{write: func(*frame.Frame) { first <- struct{}{} }}, tc.log)
				}()
				<-first
				b.StopTimer()
				cancel()
				<-done
				leave()
				b.StartTimer()
			}
		})
	}
}
