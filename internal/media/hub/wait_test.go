package hub

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestWaitRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Config{}, Spec{ResumeWindow: time.Second, Standing: true})
		defer b.hub.Close()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := b.stream.WaitRun(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("idle stream: %v; the deadline expected", err)
		}
		var last *Run
		for range 2 { // a standing stream begins again
			got := make(chan *Run, 1)
			go func() {
				run, err := b.stream.WaitRun(t.Context())
				if err != nil {
					t.Error(err)
				}
				got <- run
			}()
			synctest.Wait()
			p := b.publisher()
			b.gop(p, 0, 1)
			run := <-got
			if run == nil || run == last || run != b.stream.Run() {
				t.Fatal("not the run of now")
			}
			last = run
			p.Close()
			time.Sleep(2 * time.Second)
		}
		failed := make(chan error, 1)
		go func() {
			_, err := b.stream.WaitRun(t.Context())
			failed <- err
		}()
		synctest.Wait()
		b.stream.Close("test")
		if err := <-failed; !errors.Is(err, ErrEnded) {
			t.Errorf("ended stream: %v", err)
		}
	})
}

// Sound waits for a picture, but not longer than 40 ms of its own time.
func TestSoundWaitsForPicture(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Config{}, Spec{ResumeWindow: time.Second})
		defer b.hub.Close()
		p := b.publisher()
		if err := p.SetTrack(audioTrack); err != nil {
			t.Fatal(err)
		}
		b.gop(p, 0, 1)
		rd := b.stream.Run().Subscribe(ReaderOptions{PictureWake: true})
		defer rd.Close()
		if _, err := rd.Next(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		got := make(chan int, 4)
		go func() {
			for {
				frames, err := rd.Next(t.Context(), nil)
				if err != nil {
					close(got)
					return
				}
				got <- len(frames)
			}
		}()
		synctest.Wait()
		for _, at := range []time.Duration{0, 23, 46, 69, 92, 115, 138} {
			if err := p.Audio(at*time.Millisecond, aac); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		if len(got) != 2 || <-got != 3 || <-got != 3 {
			t.Error("sound up to 40 ms was not kept and flushed together")
		}
		b.stream.Close("test")
		for range got { // until the reader has left
		}
	})
}
