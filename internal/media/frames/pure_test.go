package frames

import (
	"bytes"
	"errors"
	"fmt"
	"image/color"
	"image/jpeg"
	"math/rand/v2"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"glimpse/internal/media/hub"
	"glimpse/internal/media/transcode"
	"glimpse/protocol"
)

func TestOptions(t *testing.T) {
	for query, want := range map[string]any{
		"":                               Options{10, 640, JPEG},
		"fps=0.1&width=16&format=rgb":    Options{0.1, 16, RGB},
		"fps=30&width=1921&format=gray":  "width",
		"fps=30&width=1920&format=gray":  Options{30, 1920, Gray},
		"width=641":                      Options{10, 640, JPEG},
		"fps=31":                         "fps",
		"fps=0":                          "fps",
		"fps=NaN":                        "fps",
		"fps=Inf":                        "fps",
		"fps=-1":                         "fps",
		"width=15":                       "width",
		"width=9999999999999999999":      "width",
		"format=png":                     "format",
		"fps=5&fps=50&width=&format=rgb": Options{5, 640, RGB},
	} {
		q, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		got, err := parseOptions(q)
		switch want := want.(type) {
		case Options:
			if err != nil || got != want {
				t.Errorf("%q: %+v, %v", query, got, err)
			}
		case string:
			if err == nil || !strings.HasPrefix(err.Error(), want) {
				t.Errorf("%q: %v, want a word on %s", query, err, want)
			}
		}
	}
}

func TestRates(t *testing.T) {
	for fps, want := range map[float64]float64{0.1: 1, 1: 1, 1.1: 2, 5: 5, 9.9: 10, 12: 15, 30: 30} {
		if got := rateOf(fps); got != want {
			t.Errorf("rateOf(%v) = %v, want %v", fps, got, want)
		}
	}
}

// A subscriber's rate is kept without drift whatever the source's, and jitter does
// not shift its pictures.
func TestPace(t *testing.T) {
	for _, c := range []struct {
		fps, source float64
		jitter      time.Duration
		want        int // in 60 s
	}{
		{10, 30, 0, 600}, {10, 30, 3 * time.Millisecond, 600}, {12.5, 30, 0, 750}, {7, 30, 0, 420}, {30, 30, 0, 1800},
		{30, 25, 0, 1500}, {0.1, 30, 0, 6}, {5, 10, 0, 300}, {1, 5, 0, 60},
	} {
		var p pace
		r := rand.New(rand.NewPCG(1, 2))
		n := 0
		for i := range int(60 * c.source) {
			at := time.Duration(float64(i) / c.source * float64(time.Second))
			if c.jitter > 0 {
				at += time.Duration(r.Int64N(int64(c.jitter)))
			}
			if p.take(at, c.fps) {
				n++
			}
		}
		if n < c.want-1 || n > c.want+1 {
			t.Errorf("%v of %v a second: %d pictures in 60 s, want %d", c.fps, c.source, n, c.want)
		}
	}
	// A new run's clock begins anew, and a hole is not caught up.
	p := pace{begun: true, due: time.Hour}
	if !p.take(0, 10) || p.take(50*time.Millisecond, 10) || !p.take(9*time.Second, 10) || p.take(9050*time.Millisecond, 10) {
		t.Error("a jump of the clock")
	}
}

func TestJudge(t *testing.T) {
	busy := fmt.Errorf("%w: the limit is 64", transcode.ErrBusy)
	for _, c := range []struct {
		facts facts
		want  string
		word  string
	}{
		{facts{stream: hub.StateIdle, pictured: true}, protocol.StateNoVideo, "Nobody"},
		{facts{stream: hub.StateInterrupted, pictured: true, problem: errors.New("x")}, protocol.StateNoVideo, "away"},
		{facts{stream: hub.StateLive}, protocol.StateStarting, ""},
		{facts{stream: hub.StateLive, pictured: true}, protocol.StateRunning, ""},
		{facts{stream: hub.StateLive, pictured: true, problem: errors.New("secret path")}, protocol.StateStarting, "failed"},
		{facts{stream: hub.StateLive, problem: transcode.ErrMissing}, protocol.StateStopped, "not installed"},
		{facts{stream: hub.StateLive, problem: busy}, protocol.StateStopped, "too many"},
		{facts{stream: hub.StateLive, pictured: true, keysOnly: true, full: true}, protocol.StateOverloaded, "keep up"},
		{facts{stream: hub.StateLive, pictured: true, keysOnly: true}, protocol.StateOverloaded, "Too many streams"},
	} {
		got := judge(c.facts)
		if got.state != c.want || !strings.Contains(got.reason, c.word) || strings.Contains(got.reason, "secret") {
			t.Errorf("%+v: %+v, want %s … %s", c.facts, got, c.want, c.word)
		}
	}
}

// The forms of a picture agree with Go's own conversions.
func TestForms(t *testing.T) {
	const w, h = 64, 48
	planes := make([]byte, 3*w*h)
	for i := range planes {
		planes[i] = byte(64 + i%97)
	}
	r := rand.New(rand.NewPCG(3, 4))
	for i := range 1000 { // every corner of the cube
		planes[r.IntN(w*h)+i%3*w*h] = byte(r.Uint32())
	}
	p := &Picture{Decoded: transcode.Decoded{Width: w, Height: h, Planes: planes}}
	rgb := p.Bytes(RGB)
	for i := range w * h {
		r, g, b := color.YCbCrToRGB(planes[i], planes[w*h+i], planes[2*w*h+i])
		if rgb[3*i] != r || rgb[3*i+1] != g || rgb[3*i+2] != b {
			t.Fatalf("pixel %d: %v, want %d %d %d", i, rgb[3*i:3*i+3], r, g, b)
		}
	}
	if first := p.Bytes(JPEG); &p.Bytes(RGB)[0] != &rgb[0] || &p.Bytes(JPEG)[0] != &first[0] {
		t.Error("a form was made twice")
	}
	if !bytes.Equal(p.Bytes(Gray), planes[:w*h]) {
		t.Error("gray is not the brightness")
	}
	flat := &Picture{Decoded: transcode.Decoded{Width: w, Height: h, Planes: bytes.Repeat([]byte{150}, 3*w*h)}}
	img, err := jpeg.Decode(bytes.NewReader(flat.Bytes(JPEG)))
	if err != nil || img.Bounds().Dx() != w || img.Bounds().Dy() != h {
		t.Fatal(err)
	}
	want := color.RGBAModel.Convert(color.YCbCr{150, 150, 150}).(color.RGBA)
	got := color.RGBAModel.Convert(img.At(w/2, h/2)).(color.RGBA)
	if d := int(want.R) - int(got.R); d < -3 || d > 3 {
		t.Errorf("%v, want %v", got, want)
	}
}

// What apps post is checked in all its fields.
func TestPosts(t *testing.T) {
	box := `{"class_name":"dog","class_id":16,"confidence":0.5,"bbox":[1,2,3,4]}`
	result := func(detections string) string { return `{"epoch":1,"pts_ms":1,"detections":[` + detections + `]}` }
	for body, want := range map[string]string{
		result(box): "",
		`[` + result(box) + `,{"type":"status","state":"running","labels":["dog"]}]`: "",
		`{"pts_ms":0}`: "",
		"":             "send a message",
		"[]":           "1 to 64",
		"[" + strings.Repeat(result("")+",", 64) + result("") + "]": "1 to 64",
		"{":                          "send a message",
		`{"type":"frame"}`:           "type must be",
		`{"pts_ms":-1}`:              "pts_ms",
		`{"pts_ms":1e300}`:           "pts_ms",
		`{"width":100}`:              "width and height",
		`{"width":99999,"height":1}`: "width and height",
		`{"infer_ms":-1}`:            "infer_ms",
		`{"model":"a\u0000b"}`:       "model",
		result(strings.Repeat(box+",", 100) + box):                                         "at most 100",
		result(`{"class_name":"","confidence":0.5,"bbox":[1,2,3,4]}`):                      "detections.0: class_name",
		result(`{"class_name":"` + strings.Repeat("x", 65) + `","bbox":[1,2,3,4]}`):        "class_name",
		result(`{"class_name":"a\nb","bbox":[1,2,3,4]}`):                                   "class_name",
		result(box + `,{"class_name":"x","confidence":1.5,"bbox":[1,2,3,4]}`):              "detections.1: confidence",
		result(`{"class_name":"x","bbox":[5,2,3,4]}`):                                      "bbox must be",
		result(`{"class_name":"x","bbox":[1,2,1e9,4]}`):                                    "too large",
		result(`{"class_name":"x","bbox":[1,2,3,4],"velocity":[0,-1e9]}`):                  "too large",
		`{"type":"status","state":"dancing"}`:                                              "state must be",
		`{"type":"status","state":"running","reason":"` + strings.Repeat("x", 257) + `"}`:  "reason",
		`{"type":"status","state":"running","labels":["` + strings.Repeat("x", 65) + `"]}`: "labels",
	} {
		_, err := parsePosts([]byte(body))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%.100s: %v, want %q", body, err, want)
		}
	}
}

// Whatever is posted is refused with a sentence or can be told to everybody.
func FuzzPost(f *testing.F) {
	f.Add([]byte(`{"epoch":1,"pts_ms":1,"detections":[{"class_name":"dog","confidence":0.5,"bbox":[1,2,3,4],"velocity":[1,2]}]}`))
	f.Add([]byte(` [{"type":"status","state":"running","labels":["a"],"fps":3}]`))
	f.Fuzz(func(t *testing.T, body []byte) {
		posts, err := parsePosts(body)
		if err != nil {
			var why *Refusal
			if !errors.As(err, &why) || why.Text == "" {
				t.Fatalf("%v", err)
			}
			return
		}
		for _, p := range posts {
			var b bus
			b.publish(p.Detections, time.Now())
			if len(b.ring) != 1 {
				t.Fatalf("%+v cannot be written", p)
			}
		}
	})
}

// What a query asks for is within the bounds, and is read again as the same.
func FuzzOptions(f *testing.F) {
	f.Add("fps=2&width=641&format=rgb")
	f.Add("fps=0x1p-2&width=+64")
	f.Add("fps=NaN&fps=5;&format=%6apeg")
	f.Fuzz(func(t *testing.T, query string) {
		q, _ := url.ParseQuery(query) // as net/http: what can be read
		o, err := parseOptions(q)
		if err != nil {
			return
		}
		if !(o.FPS >= minFPS && o.FPS <= maxFPS) || o.Width < minWidth&^1 || o.Width > maxWidth || o.Width%2 != 0 {
			t.Fatalf("%q: %+v", query, o)
		}
		if rate := rateOf(o.FPS); rate < o.FPS && rate < rates[len(rates)-1] {
			t.Errorf("%g pictures a second are decoded at %g", o.FPS, rate)
		}
		again, err := parseOptions(url.Values{"fps": {strconv.FormatFloat(o.FPS, 'g', -1, 64)},
			"width": {strconv.Itoa(o.Width)}, "format": {string(o.Format)}})
		if err != nil || again != o {
			t.Errorf("%+v is read again as %+v, %v", o, again, err)
		}
	})
}
