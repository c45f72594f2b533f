package hls

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mp4/codecs"

	"glimpse/internal/glasses/clip"
	"glimpse/internal/media/codec"
	"glimpse/internal/media/frame"
	"glimpse/internal/media/hub"
)

// feed publishes what an ffmpeg command writes, in its own time, until ffmpeg
// or ctx ends. The command's output is replaced by fragmented MP4 on a pipe.
func feed(ctx context.Context, t testing.TB, h *hub.Hub, args ...string) error {
	t.Helper()
	args = append([]string{"-v", "error", "-re"}, args...)
	args = append(args, "-f", "mp4", "-movflags", "frag_every_frame+empty_moov+default_base_moof", "-flush_packets", "1", "pipe:1")
	cmd := exec.CommandContext(ctx, "ffmpeg", args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	pub, err := h.Publish("key", hub.PublisherInfo{Protocol: "test"})
	if err == nil {
		err = publishFragments(pub, bufio.NewReader(out))
		pub.Close()
	}
	return errors.Join(err, cmd.Wait())
}

// publishFragments reads boxes and publishes their samples.
func publishFragments(pub *hub.Publisher, in *bufio.Reader) error {
	var box []byte
	scales := map[int]uint32{}
	video := 0
	for {
		header, err := in.Peek(8)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		n := len(box)
		box = append(box, make([]byte, binary.BigEndian.Uint32(header))...)
		kind := string(header[4:])
		if _, err := io.ReadFull(in, box[n:]); err != nil {
			return err
		}
		switch kind {
		case "moov":
			if err := announce(pub, box, scales, &video); err != nil {
				return err
			}
			box = nil
		case "mdat":
			var parts fmp4.Parts
			if err := parts.Unmarshal(box); err != nil {
				return err
			}
			box = nil
			for _, track := range parts[0].Tracks {
				at := track.BaseTime
				for _, s := range track.Samples {
					scale := time.Duration(scales[track.ID])
					dts := time.Duration(at) * time.Second / scale
					if track.ID == video {
						err = pub.Video(dts+time.Duration(s.PTSOffset)*time.Second/scale, dts, codec.HasIDR(s.Payload), s.Payload)
					} else {
						err = pub.Audio(dts, s.Payload)
					}
					if err != nil {
						return err
					}
					at += uint64(s.Duration)
				}
			}
		case "moof", "ftyp":
		default:
			box = box[:n]
		}
	}
}

func announce(pub *hub.Publisher, init []byte, scales map[int]uint32, video *int) error {
	var i fmp4.Init
	if err := i.Unmarshal(bytes.NewReader(init)); err != nil {
		return err
	}
	for _, track := range i.Tracks {
		scales[track.ID] = track.TimeScale
		var c frame.Codec
		var err error
		switch p := track.Codec.(type) {
		case *codecs.H264:
			*video = track.ID
			c, err = codec.NewH264(p.SPS, p.PPS)
		case *codecs.MPEG4Audio:
			var config []byte
			if config, err = p.Config.Marshal(); err == nil {
				c, err = codec.NewAAC(config)
			}
		}
		if err != nil {
			return err
		}
		if err := pub.SetTrack(&frame.Track{Codec: c}); err != nil {
			return err
		}
	}
	return nil
}

// serve answers for the rig over a real socket.
func (r *rig) serve() *httptest.Server {
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		r.handler.ServeHTTP(w, q, r.stream, strings.TrimPrefix(q.URL.Path, "/live/pb/"))
	}))
}

// clipFile writes the demo clip to a file.
func clipFile(t testing.TB) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "clip.mp4")
	data, err := io.ReadAll(clip.Open())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// B6 B19 C9
func TestFFmpegPlays(t *testing.T) {
	picture := []string{"-f", "lavfi", "-i", "testsrc=s=320x180:r=30:d=9"}
	tone := []string{"-f", "lavfi", "-i", "sine=f=440:r=44100:d=9"}
	for _, tc := range []struct {
		name string
		args []string
	}{
		{"clip", []string{"-i", clipFile(t), "-t", "9", "-c", "copy"}},
		{"reordered pictures", append(append(append([]string{}, picture...), tone...),
			"-c:v", "libx264", "-preset", "veryfast", "-bf", "3", "-g", "60", "-pix_fmt", "yuv420p", "-c:a", "aac", "-ac", "2")},
		{"no sound", append(append([]string{}, picture...),
			"-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "30", "-pix_fmt", "yuv420p")},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			defer r.close()
			server := r.serve()
			defer server.Close()
			fed := make(chan error, 1)
			go func() { fed <- feed(t.Context(), t, r.hub, tc.args...) }()
			await(t, r)
			pictures, sounds := read(t, server.URL+"/live/pb/index.m3u8")
			if err := <-fed; err != nil {
				t.Error(err)
			}
			if got, want := len(pictures), 10+4*30; got < want-3 || got > want+3 {
				t.Errorf("%d pictures in 6 s, want the lead's 10 and 4 s of live ones", got)
			}
			if got := len(sounds); got < 240 || got > 300 {
				t.Errorf("%d sound frames in 6 s", got)
			}
			for i := 1; i <= 10 && i < len(pictures); i++ {
				if pictures[i] != pictures[0] {
					t.Errorf("picture %d of the lead is not the first live one", i)
				}
			}
		})
	}
}

// await waits until the stream can be played.
func await(t *testing.T, r *rig) {
	t.Helper()
	deadline := time.NewTimer(20 * time.Second)
	defer deadline.Stop()
	for {
		if store := r.pack.Store(r.stream.Run()); store != nil {
			<-store.Ready()
			return
		}
		select {
		case <-deadline.C:
			t.Fatal("no stream in 20 s")
		case <-time.After(10 * time.Millisecond): // the source's first frame starts the run
		}
	}
}

// read reads 6 s of a stream with ffmpeg, from the lead on, fails on anything
// that ffmpeg complains about, and returns the decoded frames' checksums.
func read(t *testing.T, url string) (pictures, sounds []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	var out, complaints bytes.Buffer
	for try := 1; ; try++ {
		out.Reset()
		complaints.Reset()
		cmd := exec.CommandContext(ctx, "ffmpeg", "-v", "warning", "-xerror", "-err_detect", "explode",
			"-live_start_index", "0", "-i", url, "-t", "6", "-map", "0:v", "-map", "0:a", "-f", "framecrc", "-")
		cmd.Stdout, cmd.Stderr = &out, &complaints
		err := cmd.Run()
		if cmd.ProcessState.ExitCode() == -1 && try == 1 && ctx.Err() == nil {
			continue // the HLS reader of ffmpeg 5.1 itself crashes now and then
		}
		if err != nil {
			t.Errorf("ffmpeg: %v", err)
		}
		break
	}
	for line := range strings.Lines(complaints.String()) {
		// ffmpeg reads an init again after each reload of a live playlist.
		if !strings.Contains(line, "Found duplicated MOOV Atom") {
			t.Errorf("ffmpeg says: %s", line)
		}
	}
	for line := range strings.Lines(out.String()) {
		fields := strings.Split(strings.TrimSpace(line), ",") // stream, dts, pts, duration, size, checksum
		if line[0] == '#' || len(fields) < 6 {
			continue
		}
		if fields[0] == "0" {
			pictures = append(pictures, fields[5])
		} else {
			sounds = append(sounds, fields[5])
		}
	}
	return pictures, sounds
}
