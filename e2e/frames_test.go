package e2e

import (
	"bytes"
	"context"
	"image"
	"image/jpeg"
	"io"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"glimpse/internal/glasses/clip"
	"glimpse/sdk"
)

// lookerKey is the API key of the app that looks at pictures.
const (
	looker    = "com.example.looks"
	lookerKey = "looks-api-key-0123456789"
)

// startLooking runs a cloud with a standing stream "stream" and an app with a key.
func startLooking(t *testing.T, more string, env ...string) *cloud {
	t.Helper()
	return startCloud(t, "streams:\n  - {name: stream, ingest_key: stream, playback_id: stream}\n"+
		"apps:\n  - {package: "+looker+", api_key: "+lookerKey+", url: \"http://127.0.0.1:9\", permissions: [CAMERA]}\n"+more, env...)
}

// live is its stream.
func (c *cloud) live() sdk.Live {
	return sdk.Live{URL: c.url + "/live/stream", Package: looker, APIKey: lookerKey}
}

// barCode reads the number of a picture of the clip: 12 blocks at the bottom left,
// white, black, then 10 bits; -1 when there is none.
func barCode(img image.Image) int {
	b := img.Bounds()
	block := float64(b.Dx()) * 32 / 1280
	bit := func(i int) bool {
		r, g, bl, _ := img.At(b.Min.X+int((float64(i)+0.5)*block), b.Max.Y-1-int(block/2)).RGBA()
		return r+g+bl > 3*0x8000
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

// publishClip publishes the clip of the simulated glasses again and again, from
// its first picture, without its sound: that would make each round longer.
func publishClip(t *testing.T, url string) *process {
	t.Helper()
	path := filepath.Join(t.TempDir(), "clip.mp4")
	b, err := io.ReadAll(clip.Open())
	if err == nil {
		err = os.WriteFile(path, b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return start(t, "ffmpeg with the clip", nil, "ffmpeg", "-hide_banner", "-loglevel", "warning", "-re", "-stream_loop", "-1",
		"-i", path, "-an", "-c", "copy", "-f", "flv", url)
}

const (
	clipFrames = 300
	clipFPS    = 30
)

// clipPicture is the number of the clip's picture at a time of a run that began
// with its first one.
func clipPicture(pts time.Duration) int {
	return int(math.Round(pts.Seconds()*clipFPS)) % clipFrames
}

// Each picture that an app is given is the one that its time names: all of them,
// in each format, at several rates and sizes from one stream; a picture alone and
// the old way of cameras too.
//
// E20
func TestFrames(t *testing.T) {
	alone(t)
	c := startLooking(t, "")
	publishClip(t, c.rtmp+"/live/stream")
	c.wantStatus(c.streamNamed("stream").ID, "live")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	wanted := []sdk.FrameOptions{{FPS: 10, Width: 640}, {FPS: 10, Width: 320, Format: sdk.RGB}, {FPS: 30, Width: 320, Format: sdk.Gray}, {FPS: 1, Width: 1920}}
	for _, o := range wanted {
		t.Run(string(o.Format), func(t *testing.T) {
			n, want := 0, int(3*o.FPS)
			var last sdk.Frame
			for f, err := range c.live().Frames(ctx, o) {
				if err != nil {
					t.Fatal(err)
				}
				img, err := f.Image()
				if err != nil {
					t.Fatal(err)
				}
				if got, named := barCode(img), clipPicture(f.PTS); got != named {
					t.Errorf("picture %d shows %d, its time %v names %d", f.Seq, got, f.PTS, named)
				}
				if w := min(max(o.Width, 0), 1280); img.Bounds().Dx() != w || img.Bounds().Dy() != w*9/16 || f.Source != image.Pt(1280, 720) {
					t.Errorf("%v of %v", img.Bounds(), f.Source)
				}
				if n > 0 && f.PTS <= last.PTS {
					t.Errorf("%v after %v", f.PTS, last.PTS)
				}
				last = f
				if n++; n == want {
					break
				}
			}
			if n != want {
				t.Fatalf("%d pictures, want %d", n, want)
			}
		})
	}
	req, _ := http.NewRequestWithContext(ctx, "GET", c.url+"/live/stream/frame.jpg?width=640", nil)
	req.SetBasicAuth(looker, lookerKey)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var b bytes.Buffer
	if _, err := b.ReadFrom(res.Body); err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("frame.jpg: %s, %v: %.200s", res.Status, err, b.Bytes())
	}
	img, err := jpeg.Decode(&b)
	if err != nil || barCode(img) < 0 {
		t.Errorf("frame.jpg: %v, no bar code", err)
	}
}

// streamNamed finds a standing stream.
func (c *cloud) streamNamed(name string) stream {
	c.t.Helper()
	var list struct {
		Streams []struct {
			stream
			Name string `json:"name"`
		} `json:"streams"`
	}
	c.api("GET", "/api/v1/streams", nil, &list)
	for _, s := range list.Streams {
		if s.Name == name {
			return s.stream
		}
	}
	c.t.Fatalf("there is no stream %q", name)
	return stream{}
}
