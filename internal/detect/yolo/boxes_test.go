package yolo

import (
	"image"
	"image/color"
	"math"
	"slices"
	"testing"
)

// place is one place of an output: a box and its scores.
type place struct {
	cx, cy, w, h float32
	scores       []float32
}

// output lays places out as a model would.
func output(s *Spec, places ...place) []float32 {
	out := make([]float32, s.Rows*s.Columns)
	for i, p := range places {
		values := append([]float32{p.cx, p.cy, p.w, p.h}, p.scores...)
		for k, v := range values {
			if s.Layout == LayoutClassMajor {
				out[k*s.Columns+i] = v
			} else {
				out[i*s.Columns+k] = v
			}
		}
	}
	return out
}

func all(n int) []bool { return slices.Repeat([]bool{true}, n) }

var nan, inf = float32(math.NaN()), float32(math.Inf(1))

// Both layouts without suppression give the same boxes: the better of two that
// overlap, both of two classes, nothing that is no box.
func TestBoxes(t *testing.T) {
	places := []place{
		{100, 100, 40, 20, []float32{0.9, 0.1}},
		{102, 100, 40, 20, []float32{0.8, 0.1}}, // the same
		{102, 100, 40, 20, []float32{0.1, 0.7}}, // another class there
		{200, 100, 40, 20, []float32{0.5, 0.6}}, // elsewhere; the better class
		{200, 200, 40, 20, []float32{0.34, 0}},  // too little
		{nan, 100, 40, 20, []float32{0.9, 0}},
		{100, 100, inf, 20, []float32{0.9, 0}},
		{100, 100, -5, 20, []float32{0.9, 0}},
		{250, 250, 5, 20, []float32{nan, 0}},
		{-100, 100, 40, 20, []float32{0.9, 0}}, // outside
	}
	want := []Box{
		{0, 0.9, 80, 20, 120, 40},
		{1, 0.7, 82, 20, 122, 40},
		{1, 0.6, 180, 20, 220, 40},
	}
	for _, s := range []*Spec{
		{Width: 320, Height: 320, Names: []string{"a", "b"}, Layout: LayoutClassMajor, Rows: 6, Columns: 12},
		{Width: 320, Height: 320, Names: []string{"a", "b"}, Layout: LayoutCellMajor, Rows: 12, Columns: 6},
	} {
		fit := s.Fit(320, 180)
		got := s.Boxes(output(s, places...), fit, 0.35, all(2))
		if !slices.Equal(got, want) {
			t.Errorf("layout %d: %v\nwant %v", s.Layout, got, want)
		}
		if got := s.Boxes(output(s, places...), fit, 0.35, []bool{true, false}); len(got) != 2 || got[1].Class != 0 || got[1].Score != 0.5 {
			t.Errorf("layout %d, one class: %v", s.Layout, got)
		}
		if got := s.Boxes(make([]float32, 3), fit, 0.35, all(2)); got != nil {
			t.Errorf("an output of another size: %v", got)
		}
		if got := s.Boxes(output(s), fit, 0, all(2)); len(got) != 0 {
			t.Errorf("an empty output: %v", got)
		}
	}
}

func TestSuppressedBoxes(t *testing.T) {
	s := &Spec{Width: 320, Height: 320, Names: []string{"a", "b", "c"}, Layout: LayoutSuppressed, Rows: 6, Columns: 6}
	out := []float32{
		80, 90, 120, 110, 0.9, 2,
		0, 0, 0, 0, 0, 0, // padding
		80, 90, 120, 110, 0.8, 3, // no such class
		80, 90, 120, 110, 0.8, -1,
		80, 90, 120, 110, nan, 0,
		80, 90, 120, 110, 0.7, nan,
	}
	got := s.Boxes(out, s.Fit(320, 180), 0.35, all(3))
	if want := []Box{{2, 0.9, 80, 20, 120, 40}}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestAtMostAHundred(t *testing.T) {
	s := &Spec{Width: 320, Height: 320, Names: []string{"a"}, Layout: LayoutClassMajor, Rows: 5, Columns: 2000}
	var places []place
	for i := range 2000 {
		places = append(places, place{float32(i%60)*5 + 3, float32(i/60)*5 + 72, 3, 3, []float32{0.5 + float32(i)/10000}})
	}
	got := s.Boxes(output(s, places...), s.Fit(320, 180), 0.35, all(1))
	if len(got) != maxBoxes || got[0].Score < got[99].Score {
		t.Errorf("%d boxes", len(got))
	}
}

func TestFit(t *testing.T) {
	s := &Spec{Width: 320, Height: 320}
	for _, c := range []struct {
		w, h int
		want Fit
	}{
		{1280, 720, Fit{1280, 720, 0, 70, 320, 180}},
		{720, 1280, Fit{720, 1280, 70, 0, 180, 320}},
		{320, 320, Fit{320, 320, 0, 0, 320, 320}},
		{4096, 1, Fit{4096, 1, 0, 159, 320, 1}},
		{1, 4096, Fit{1, 4096, 159, 0, 1, 320}},
		{16, 9, Fit{16, 9, 0, 70, 320, 180}},
	} {
		f := s.Fit(c.w, c.h)
		if f != c.want {
			t.Errorf("%dx%d: %+v, want %+v", c.w, c.h, f, c.want)
		}
		for _, p := range [][4]float32{ // input point, picture point
			{float32(f.X), float32(f.Y), 0, 0},
			{float32(f.X + f.Width), float32(f.Y + f.Height), float32(c.w), float32(c.h)},
			{-5, -5, 0, 0}, {1e9, 1e9, float32(c.w), float32(c.h)},
		} {
			if x, y := f.Picture(p[0], p[1]); x != p[2] || y != p[3] {
				t.Errorf("%dx%d: point %v is at %v, %v", c.w, c.h, p[:2], x, y)
			}
		}
	}
}

// A picture lies in the middle on grey, its planes apart; the border is written
// again when the shape changes.
func TestFill(t *testing.T) {
	s := &Spec{Width: 64, Height: 64}
	l := NewLetterbox(s)
	input := make([]float32, 3*64*64)
	red := func(w, h int) image.Image {
		p := image.NewRGBA(image.Rect(0, 0, w, h))
		for i := range w * h {
			p.Set(i%w, i/w, color.RGBA{255, 51, 0, 255})
		}
		return p
	}
	var ycc = image.NewYCbCr(image.Rect(0, 0, 160, 90), image.YCbCrSubsampleRatio420)
	for i := range ycc.Y {
		ycc.Y[i] = 102
	}
	for i := range ycc.Cb {
		ycc.Cb[i], ycc.Cr[i] = 128, 128
	}
	for _, c := range []struct {
		name    string
		p       image.Image
		x, y    int
		r, g, b float32
	}{
		{"fits", red(64, 36), 32, 32, 1, 0.2, 0},
		{"above it", red(64, 36), 32, 13, grey, grey, grey},
		{"scaled", red(1280, 720), 32, 32, 1, 0.2, 0},
		{"portrait", red(36, 64), 32, 0, 1, 0.2, 0},
		{"beside it", red(36, 64), 13, 32, grey, grey, grey},
		{"wide again", red(64, 36), 32, 13, grey, grey, grey},
		{"enlarged", red(2, 2), 0, 0, 1, 0.2, 0},
		{"a JPEG's pixels", ycc, 32, 32, 0.4, 0.4, 0.4},
		{"part of a picture", red(200, 200).(*image.RGBA).SubImage(image.Rect(10, 10, 74, 46)), 63, 49, 1, 0.2, 0},
	} {
		l.Fill(input, c.p)
		at := c.y*64 + c.x
		got := [3]float32{input[at], input[64*64+at], input[2*64*64+at]}
		for i, want := range [3]float32{c.r, c.g, c.b} {
			if math.Abs(float64(got[i]-want)) > 0.01 {
				t.Errorf("%s: %v, want %v %v %v", c.name, got, c.r, c.g, c.b)
				break
			}
		}
	}
}

func FuzzBoxes(f *testing.F) {
	f.Add(uint8(1), []byte{1, 2, 3, 4, 5, 6, 7, 8})
	f.Fuzz(func(t *testing.T, layout uint8, b []byte) {
		s := &Spec{Width: 320, Height: 320, Names: []string{"a", "b"}, Layout: Layout(layout%3 + 1), Rows: 6, Columns: 6}
		out := make([]float32, 36)
		for i := range out {
			if 4*i+4 <= len(b) {
				out[i] = math.Float32frombits(uint32(b[4*i]) | uint32(b[4*i+1])<<8 | uint32(b[4*i+2])<<16 | uint32(b[4*i+3])<<24)
			}
		}
		for _, box := range s.Boxes(out, s.Fit(1280, 720), 0.1, all(2)) {
			if !(box.X1 >= 0 && box.X1 < box.X2 && box.X2 <= 1280 && box.Y1 >= 0 && box.Y1 < box.Y2 && box.Y2 <= 720 && box.Score >= 0.1 && box.Score <= 1) {
				t.Errorf("%+v", box)
			}
		}
	})
}
