//go:build unix

package frames

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"glimpse/internal/media/codec"
	"glimpse/internal/media/frame"
	"glimpse/internal/media/hub"
	"glimpse/internal/media/transcode"
	"glimpse/protocol"
)

// kitchen is a studio with real decoders, whose processes are known.
type kitchen struct {
	*studio
	t     testing.TB
	pids  string
	fed   sync.WaitGroup
	count int // pictures published, once fed is done
}

// newKitchen makes decoders by a shell line that ends in ffmpeg.
func newKitchen(t testing.TB, line string) *kitchen {
	t.Helper()
	k := &kitchen{t: t, pids: filepath.Join(t.TempDir(), "pids")}
	path := filepath.Join(t.TempDir(), "ffmpeg")
	if err := os.WriteFile(path, []byte("#!/bin/sh\necho $$ >>"+k.pids+"\n"+line+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	tc := transcode.New(transcode.Config{Path: path}, slog.New(slog.DiscardHandler))
	t.Cleanup(tc.Close)
	k.studio = newStudio(t, Config{Decoder: tc})
	return k
}

// film publishes the clip in real time until over; change, when it is not nil,
// replaces a picture.
func (k *kitchen) film(change func(n int, f *frame.Frame) *frame.Frame) (over func()) {
	k.t.Helper()
	k.connect(k.t)
	p := player(k.t)
	first := picture(k.t, p)
	if err := k.publisher.SetTrack(first.Track); err != nil {
		k.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	begun, track := time.Now(), first.Track
	k.fed.Go(func() {
		for f := first; ctx.Err() == nil; f = picture(k.t, p) {
			select {
			case <-time.After(time.Until(begun.Add(f.DTS))):
			case <-ctx.Done():
				return
			}
			if change != nil {
				f = change(k.count, f)
			}
			if f.Track != track {
				track = f.Track
				_ = k.publisher.SetTrack(track) // the same publisher
			}
			if k.publisher.Video(f.PTS, f.DTS, f.Key, f.Payload) != nil {
				return
			}
			k.count++
		}
	})
	over = func() {
		cancel()
		k.fed.Wait()
		k.publisher.Close()
	}
	k.t.Cleanup(over)
	for deadline := time.Now().Add(patience); k.stream.Run() == nil; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			k.t.Fatal("the stream is not live")
		}
	}
	return over
}

// pid of the n-th decoder, from 1.
func (k *kitchen) pid(n int) int {
	k.t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		b, _ := os.ReadFile(k.pids)
		if pids := strings.Fields(string(b)); len(pids) >= n {
			pid, err := strconv.Atoi(pids[n-1])
			if err != nil {
				k.t.Fatal(err)
			}
			return pid
		}
	}
	k.t.Fatalf("there is no decoder %d", n)
	return 0
}

// bar is the number that the clip's picture shows: blocks at the bottom left.
func bar(p *Picture) int {
	bit := func(i int) bool {
		block := float64(p.Width) * 32 / 1280
		return p.Planes[(p.Height-1-int(block/2))*p.Width+int((float64(i)+0.5)*block)] > 128
	}
	if !bit(0) || bit(1) {
		return -1
	}
	n := 0
	for i := range 10 {
		n <<= 1
		if bit(2 + i) {
			n |= 1
		}
	}
	return n
}

// named is the number of the clip's picture at a time.
func named(pts time.Duration) int { return int((pts*30+time.Second/2)/time.Second) % 300 }

// A decoder that is killed or hangs is replaced in time (2 s, 5 s; a busy machine
// adds to both), every picture before and after is the one that its time names,
// and whoever watches loses none of the stream's own.
func TestDecoderDiesAndHangs(t *testing.T) {
	k := newKitchen(t, `exec ffmpeg "$@"`)
	over := k.film(nil)
	watcher := k.stream.Run().Subscribe(hub.ReaderOptions{})
	seen := make(chan int, 1)
	go func() {
		n := 0
		for {
			frames, err := watcher.Next(context.Background(), nil)
			if err != nil {
				seen <- n
				return
			}
			for _, f := range frames {
				if f.IsVideo() && !f.Hold {
					n++
				}
			}
		}
	}()
	sub := k.subscribe(t, "a", Options{10, 320, Gray})
	for i, fault := range []syscall.Signal{0, syscall.SIGKILL, syscall.SIGSTOP} {
		hit := time.Now()
		if fault != 0 {
			if err := syscall.Kill(k.pid(i), fault); err != nil {
				t.Fatal(err)
			}
			k.pid(i + 1)
			limit := 2 * time.Second // F12
			if fault == syscall.SIGSTOP {
				limit += 5 * time.Second // to be noticed
			}
			if took := time.Since(hit); took > limit {
				t.Errorf("%v: another decoder after %v, at most %v", fault, took, limit)
			}
		}
		for range 10 {
			n := await(t, sub, "a picture", isPicture)
			if got := bar(n.Picture); got != named(n.Picture.Frame.PTS) {
				t.Errorf("after %v: the picture shows %d, its time %v names %d", fault, got, n.Picture.Frame.PTS, named(n.Picture.Frame.PTS))
			}
		}
		t.Logf("%v: ten pictures after %v", fault, time.Since(hit))
	}
	over()
	k.stream.Close("over")
	if n := <-seen; n != k.count || watcher.Dropped() != 0 {
		t.Errorf("a viewer saw %d of %d pictures, %d dropped", n, k.count, watcher.Dropped())
	}
	watcher.Close()
}

// While the publisher is away the stills that viewers see are no pictures for apps:
// no_video says what there is. When it is back the epoch is another, and the first
// pictures are its own.
func TestHold(t *testing.T) {
	t.Parallel()
	k := newKitchen(t, `exec ffmpeg "$@"`)
	leave := k.film(nil)
	sub := k.subscribe(t, "a", Options{10, 320, Gray})
	before := await(t, sub, "a picture", isPicture).Header
	leave()
	end := time.Duration(k.count) * time.Second / 30 // of what was published; some of it may still be decoded
	await(t, sub, "no video", isState(protocol.StateNoVideo))
	stills := k.stream.Run().Subscribe(hub.ReaderOptions{})
	defer stills.Close()
	away, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
	defer cancel()
	for {
		n, err := sub.Next(away)
		if err != nil {
			break
		}
		if n.Picture != nil && n.Picture.Frame.PTS >= end {
			t.Errorf("a picture of %v, what was published ends at %v", n.Picture.Frame.PTS, end)
		}
	}
	shown := 0
	for frames, err := stills.Next(t.Context(), nil); shown == 0; frames, err = stills.Next(t.Context(), frames) {
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range frames {
			if f.IsVideo() && f.Hold {
				shown++
			}
		}
	}
	defer k.film(nil)()
	h := await(t, sub, "another epoch", func(n News) bool { return n.Hello != nil }).Hello
	f := await(t, sub, "a picture", isPicture)
	if h.Epoch <= before.Epoch || f.Header.Epoch != h.Epoch || f.Picture.Frame.Hold || f.Header.PTS < before.PTS+1500 {
		t.Errorf("%+v, then %+v, hold %v, after %+v", h, f.Header, f.Picture.Frame.Hold, before)
	}
	if got := bar(f.Picture); got > 30 {
		t.Errorf("the first picture is the %dth of what is published", got)
	}
}

// New parameters are another epoch with pictures of the new size; what is decoded
// is what its time names throughout.
func TestParametersChange(t *testing.T) {
	t.Parallel()
	k := newKitchen(t, `exec ffmpeg "$@"`)
	small := encoded(t, 640, 480)
	k.film(func(n int, f *frame.Frame) *frame.Frame {
		if n < 60 { // from the key frame at 2 s on
			return f
		}
		g := *small[(n-60)%len(small)]
		g.PTS, g.DTS = f.PTS, f.DTS
		return &g
	})
	sub := k.subscribe(t, "a", Options{10, 320, RGB})
	before := await(t, sub, "a picture", isPicture).Header
	if before.Width != 320 || before.Height != 180 {
		t.Errorf("%+v", before)
	}
	h := await(t, sub, "another epoch", func(n News) bool { return n.Hello != nil && n.Hello.Epoch > before.Epoch }).Hello
	if h.SourceWidth != 640 || h.SourceHeight != 480 || h.Width != 320 || h.Height != 240 {
		t.Errorf("%+v", h)
	}
	after := await(t, sub, "a picture", isPicture).Header
	if after.Epoch != h.Epoch || after.Height != 240 || after.PTS <= before.PTS {
		t.Errorf("%+v after %+v", after, before)
	}
}

// slowly runs ffmpeg with a decoder of a quarter of the stream's speed.
const slowly = `for a in "$@"; do
	shift
	case $a in select=*) a="realtime=speed=0.25:limit=10,$a" ;; esac
	set -- "$@" "$a"
done
exec ffmpeg "$@"`

// A decoder that cannot keep up is given key frames only, subscribers are told, and
// what they get is not old.
func TestOverload(t *testing.T) {
	t.Parallel()
	k := newKitchen(t, slowly)
	k.film(nil)
	sub := k.subscribe(t, "a", Options{10, 320, Gray})
	n := await(t, sub, "overloaded", isState(protocol.StateOverloaded))
	if !strings.Contains(n.State.Reason, "key frames") {
		t.Errorf("%+v", n.State)
	}
	key := await(t, sub, "a key frame", func(n News) bool { return n.Picture != nil && n.Picture.Frame.Key })
	if got := bar(key.Picture); got%30 != 0 || got != named(key.Picture.Frame.PTS) {
		t.Errorf("the key frame shows %d at %v", got, key.Picture.Frame.PTS)
	}
}

// encoded is a second of another picture, as access units.
func encoded(t *testing.T, width, height int) []*frame.Frame {
	t.Helper()
	b, err := exec.CommandContext(t.Context(), "ffmpeg", "-hide_banner", "-loglevel", "error", "-f", "lavfi", "-i", fmt.Sprintf("testsrc2=size=%dx%d:rate=30", width, height),
		"-t", "1", "-c:v", "libx264", "-preset", "ultrafast", "-profile:v", "baseline", "-g", "30", "-x264-params", "aud=1", "-f", "h264", "pipe:1").Output()
	if err != nil {
		t.Fatal(err)
	}
	pictures := codec.NewPictures("H.264")
	var list []*frame.Frame
	var track *frame.Track
	delimiter := "\x00\x00\x00\x01\x09"
	for _, unit := range strings.Split(string(b), delimiter)[1:] {
		payload, key, err := pictures.AnnexB([]byte(delimiter + unit))
		if err != nil {
			t.Fatal(err)
		}
		if track == nil {
			track = &frame.Track{Codec: pictures.Codec()}
		}
		list = append(list, &frame.Frame{Track: track, Key: key, Payload: payload})
	}
	if len(list) != 30 || !list[0].Key {
		t.Fatalf("%d access units", len(list))
	}
	return list
}
