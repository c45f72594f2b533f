package engine

import (
	"context"
	"encoding/json"
	"errors"
	"image"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"glimpse/internal/detect/ort"
	"glimpse/internal/detect/score"
	"glimpse/internal/detect/track"
	"glimpse/internal/detect/yolo"
)

// open returns an engine; the library is what `make deps` installs.
func open(t testing.TB, cfg Config) *Engine {
	t.Helper()
	if cfg.Runtime == "" {
		cfg.Runtime = library(t)
	}
	e, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

func library(t testing.TB) string {
	t.Helper()
	folder, err := filepath.Abs("../../../.cache/onnxruntime")
	if err != nil {
		t.Fatal(err)
	}
	found, _ := filepath.Glob(filepath.Join(folder, "*onnxruntime*"))
	if len(found) == 0 {
		t.Fatal("there is no ONNX Runtime in .cache: run make deps")
	}
	return found[0]
}

const clipFolder = "../../glasses/clip/"

// truth is what clip.truth.json says.
type truth struct {
	Width, Height int
	Data          []struct {
		Frame int
		Boxes []struct {
			ClassName string `json:"class_name"`
			Bbox      [4]float32
			Visible   float64
		}
	}
}

func readTruth(t testing.TB) truth {
	t.Helper()
	b, err := os.ReadFile(clipFolder + "testdata/clip.truth.json")
	if err != nil {
		t.Fatal(err)
	}
	var tr truth
	if err := json.Unmarshal(b, &tr); err != nil {
		t.Fatal(err)
	}
	return tr
}

// pictures decodes the clip, every third picture, 320 pixels wide.
func pictures(t testing.TB) []*image.RGBA {
	t.Helper()
	cmd := exec.Command("ffmpeg", "-v", "error", "-i", clipFolder+"clip.mp4", "-an", "-vf",
		`select=not(mod(n\,3)),scale=320:180:flags=area:in_color_matrix=bt709`, "-fps_mode", "passthrough", "-pix_fmt", "rgba", "-f", "rawvideo", "-")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var list []*image.RGBA
	for {
		p := image.NewRGBA(image.Rect(0, 0, 320, 180))
		if _, err := io.ReadFull(out, p.Pix); err != nil {
			break
		}
		list = append(list, p)
	}
	if err := cmd.Wait(); err != nil || len(list) != 100 {
		t.Fatalf("%d pictures, %v", len(list), err)
	}
	return list
}

// judged puts what was found in a picture of 320 pixels beside the truth.
func judged(e *Engine, tr truth, frame int, found []yolo.Box) score.Picture {
	p := score.Picture{Found: found}
	k := 320 / float32(tr.Width)
	for _, b := range tr.Data[frame].Boxes {
		box := yolo.Box{
			Class: slices.Index(e.Spec().Names, b.ClassName),
			X1:    b.Bbox[0] * k, Y1: b.Bbox[1] * k, X2: b.Bbox[2] * k, Y2: b.Bbox[3] * k,
		}
		if b.Visible >= 0.5 {
			p.Truth = append(p.Truth, box)
		} else {
			p.Ignored = append(p.Ignored, box)
		}
	}
	return p
}

// The shipped model finds the clip's animals, ten times a second, and the tracker
// finds more of them.
//
// E3 E10
func TestClip(t *testing.T) {
	e, tr := open(t, Config{}), readTruth(t)
	var plain, tracked []score.Picture
	tracker := track.New(0.45)
	for i, picture := range pictures(t) {
		found, _, err := e.Find(context.Background(), picture, track.Keep)
		if err != nil {
			t.Fatal(err)
		}
		plain = append(plain, judged(e, tr, 3*i, found))
		var boxes []yolo.Box
		for _, o := range tracker.Update(time.Duration(i)*100*time.Millisecond, found) {
			boxes = append(boxes, o.Box)
		}
		tracked = append(tracked, judged(e, tr, 3*i, boxes))
	}
	for name, c := range map[string]score.Counts{"model": score.Count(plain, 0.35, false), "tracker": score.Count(tracked, 0, false)} {
		t.Logf("%s: precision %.3f, recall %.3f", name, c.Precision(), c.Recall())
		if c.Precision() < 0.90 || c.Recall() < 0.80 {
			t.Errorf("%s: precision %.3f, recall %.3f; at least 0.90 and 0.80", name, c.Precision(), c.Recall())
		}
	}
}

func TestMissingLibrary(t *testing.T) {
	_, err := Open(Config{Runtime: filepath.Join(t.TempDir(), "none.so")})
	var missing *ort.MissingError
	if !errors.As(err, &missing) || !strings.Contains(missing.Advice, "scripts/onnxruntime.sh") || strings.Contains(missing.Advice, "none.so") || !strings.Contains(err.Error(), "none.so") {
		t.Errorf("%v", err)
	}
}

func BenchmarkFind(b *testing.B) {
	e, list := open(b, Config{}), pictures(b)
	times := make([]time.Duration, 0, b.N)
	for i := 0; b.Loop(); i++ {
		_, took, err := e.Find(context.Background(), list[i%len(list)], 0.35)
		if err != nil {
			b.Fatal(err)
		}
		times = append(times, took)
	}
	sort.Slice(times, func(i, j int) bool { return times[i] < times[j] })
	b.ReportMetric(float64(times[len(times)/2].Microseconds())/1000, "median-ms")
}
