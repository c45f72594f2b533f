package transcode

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"
	"time"

	"go.uber.org/goleak"

	"glimpse/internal/media/codec"
	"glimpse/internal/media/flv"
	"glimpse/internal/media/frame"
	"glimpse/internal/media/hub"
)

func TestMain(m *testing.M) {
	if path := os.Getenv("TRANSCODE_PARENT"); path != "" {
		parent(path)
		return
	}
	goleak.VerifyTestMain(m)
}

// parent is a server that starts a child, from a thread that then ends, and
// waits to be killed.
func parent(ffmpeg string) {
	tc := New(Config{Path: ffmpeg}, slog.New(slog.DiscardHandler))
	started := make(chan struct{})
	go func() {
		runtime.LockOSThread() // not unlocked: its thread ends with it
		if _, err := tc.start(context.Background(), job{}); err != nil {
			panic(err)
		}
		close(started)
	}()
	<-started
	os.Stdout.WriteString("started\n")
	_, _ = io.Copy(io.Discard, os.Stdin)
	select {}
}

func newTranscoder(t testing.TB, cfg Config) *Transcoder {
	t.Helper()
	tc := New(cfg, slog.New(slog.DiscardHandler))
	t.Cleanup(tc.Close)
	return tc
}

// script writes a stand-in for ffmpeg and returns its path.
func script(t testing.TB, body string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ffmpeg")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+body+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// noted is ffmpeg, which first adds its process's number to a file.
func noted(t testing.TB) (path, pids string) {
	t.Helper()
	pids = filepath.Join(t.TempDir(), "pids")
	return script(t, `echo $$ >>"`+pids+`"; exec ffmpeg "$@"`), pids
}

func ffmpeg(t testing.TB, in []byte, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "ffmpeg", append([]string{"-hide_banner", "-loglevel", "error"}, args...)...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(in), &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("ffmpeg %v: %v: %s", args, err, errs.String())
	}
	return out.Bytes()
}

// beepAt is where the test signal beeps, for 200 ms; it is silent elsewhere.
const beepAt = time.Second

// signal encodes three seconds of picture and sound and returns the frames,
// the first picture at time 0 and, a little before it, the encoder's priming.
func signal(t testing.TB, rate, channels string) []*frame.Frame {
	t.Helper()
	return demux(t, ffmpeg(t, nil,
		"-f", "lavfi", "-i", "testsrc2=size=320x240:rate=30",
		"-f", "lavfi", "-i", "aevalsrc=0.5*sin(2*PI*1000*t)*between(t\\,1\\,1.2):s="+rate,
		"-t", "3", "-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "30",
		"-c:a", "aac", "-ac", channels, "-f", "flv", "pipe:1"))
}

func demux(t testing.TB, file []byte) []*frame.Frame {
	t.Helper()
	var frames []*frame.Frame
	var tracks [10]*frame.Track
	zero := time.Duration(-1)
	for b := file[13:]; len(b) > 15; {
		n := int(binary.BigEndian.Uint32(b) & 0xffffff)
		dts := time.Duration(uint32(b[4])<<16|uint32(b[5])<<8|uint32(b[6])) * time.Millisecond
		kind, body := b[0], b[11:11+n]
		b = b[11+n+4:]
		parse := map[byte]func([]byte) (flv.Tag, error){flv.TagVideo: flv.ParseVideo, flv.TagAudio: flv.ParseAudio}[kind]
		if parse == nil {
			continue
		}
		tag, err := parse(body)
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case tag.Packet == flv.Config && kind == flv.TagVideo:
			c, _, err := codec.ParseAVCC(tag.Data)
			if err != nil {
				t.Fatal(err)
			}
			tracks[kind] = &frame.Track{Codec: c}
		case tag.Packet == flv.Config:
			c, err := codec.NewAAC(tag.Data)
			if err != nil {
				t.Fatal(err)
			}
			tracks[kind] = &frame.Track{Codec: c}
		case tag.Packet == flv.Frame:
			if kind == flv.TagVideo && zero < 0 {
				zero = dts
			}
			frames = append(frames, &frame.Frame{Track: tracks[kind], PTS: dts + time.Duration(tag.CTS)*time.Millisecond, DTS: dts, Key: tag.Key, Payload: tag.Data})
		}
	}
	for _, f := range frames {
		f.PTS -= zero
		f.DTS -= zero
	}
	return frames
}

// soundOf encodes the signal's sound with a codec and returns its frames, the
// first sample of the signal at time 0.
func soundOf(t testing.TB, encoder, rate, channels string) []*frame.Frame {
	t.Helper()
	if encoder == "aac" {
		return onlySound(signal(t, rate, channels))
	}
	file := ffmpeg(t, nil, "-f", "lavfi", "-i", "aevalsrc=0.5*sin(2*PI*1000*t)*between(t\\,1\\,1.2):s=48000:d=3",
		"-c:a", encoder, "-ar", rate, "-ac", channels, "-f", "ogg", "pipe:1")
	n, _ := strconv.Atoi(channels)
	track := &frame.Track{Codec: &codec.Opus{Channels: n}}
	var frames []*frame.Frame
	at, headers := time.Duration(0), 2
	for len(file) > 27 {
		laces := file[27 : 27+int(file[26])]
		body := file[27+len(laces):]
		packet := 0
		for _, l := range laces {
			packet += int(l)
			if l == 255 {
				continue
			}
			switch {
			case headers == 2:
				at = -length(int64(binary.LittleEndian.Uint16(body[10:])), 48000) // pre-skip
				headers--
			case headers == 1:
				headers--
			default:
				frames = append(frames, &frame.Frame{Track: track, PTS: at, DTS: at, Payload: body[:packet]})
				at += length(codec.OpusSamples(body[:packet]), 48000)
			}
			body, packet = body[packet:], 0
		}
		file = body
	}
	return frames
}

// stream opens a stream of a hub, and a publisher to it.
func stream(t testing.TB, conv hub.Converter, outputs ...hub.Output) (*hub.Stream, *hub.Publisher) {
	t.Helper()
	h := hub.New(hub.Config{Converter: conv}, slog.New(slog.DiscardHandler), outputs...)
	t.Cleanup(h.Close)
	s, err := h.Open(hub.Spec{ID: "a", IngestKey: "k", PlaybackID: "p"})
	if err != nil {
		t.Fatal(err)
	}
	p, err := h.Publish("k", hub.PublisherInfo{Protocol: "test"})
	if err != nil {
		t.Fatal(err)
	}
	return s, p
}

// killChild kills a process.
func killChild(t *testing.T, pid int) {
	t.Helper()
	p, err := os.FindProcess(pid)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
}

// onlySound filters.
func onlySound(frames []*frame.Frame) []*frame.Frame {
	var sound []*frame.Frame
	for _, f := range frames {
		if !f.IsVideo() {
			sound = append(sound, f)
		}
	}
	return sound
}

// feed is a source that a test writes to.
type feed chan []*frame.Frame

func (s feed) Next(ctx context.Context, buf []*frame.Frame) ([]*frame.Frame, error) {
	select {
	case frames, ok := <-s:
		if !ok {
			return nil, io.EOF
		}
		return append(buf[:0], frames...), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
