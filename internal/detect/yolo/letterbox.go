package yolo

import (
	"image"

	"golang.org/x/image/draw"
)

// grey is what models are trained to see around a picture.
const grey = float32(114) / 255

// Fit is where a picture lies in a model's input: scaled without distortion,
// in the middle. The zero value is no fit.
type Fit struct {
	PictureWidth, PictureHeight int // of the picture, pixels
	X, Y, Width, Height         int // within the input, pixels
}

// Fit returns where a picture of the given size, at least 1x1, lies.
func (s *Spec) Fit(width, height int) Fit {
	f := Fit{PictureWidth: width, PictureHeight: height}
	if width*s.Height >= height*s.Width { // wide: bars above and below
		f.Width, f.Height = s.Width, max(1, (height*s.Width+width/2)/width)
	} else {
		f.Width, f.Height = max(1, (width*s.Height+height/2)/height), s.Height
	}
	f.X, f.Y = (s.Width-f.Width)/2, (s.Height-f.Height)/2
	return f
}

// Picture maps a point of the input to the picture, cut at its border.
func (f Fit) Picture(x, y float32) (float32, float32) {
	x = (x - float32(f.X)) * float32(f.PictureWidth) / float32(f.Width)
	y = (y - float32(f.Y)) * float32(f.PictureHeight) / float32(f.Height)
	return min(max(x, 0), float32(f.PictureWidth)), min(max(y, 0), float32(f.PictureHeight))
}

// Letterbox fills a model's input with pictures. It belongs to one goroutine at
// a time.
type Letterbox struct {
	spec   *Spec
	last   Fit // whose border stands in the input
	scaled *image.RGBA
}

// NewLetterbox returns one for inputs of s.
func NewLetterbox(s *Spec) *Letterbox { return &Letterbox{spec: s} }

// Fill writes a picture into input, which has 3*Width*Height elements (red,
// green, blue planes, 0 to 1) and must be the same slice in every call. It
// returns where the picture lies.
func (l *Letterbox) Fill(input []float32, picture image.Image) Fit {
	b := picture.Bounds()
	f := l.spec.Fit(b.Dx(), b.Dy())
	if f != l.last {
		for i := range input {
			input[i] = grey
		}
		l.last = f
	}
	rgba, ok := picture.(*image.RGBA)
	if !ok || b.Dx() != f.Width || b.Dy() != f.Height {
		size := image.Rect(0, 0, f.Width, f.Height)
		if l.scaled == nil || l.scaled.Rect != size {
			l.scaled = image.NewRGBA(size)
		}
		draw.BiLinear.Scale(l.scaled, size, picture, b, draw.Src, nil)
		rgba = l.scaled
	}
	l.planes(input, rgba, f)
	return f
}

func (l *Letterbox) planes(input []float32, p *image.RGBA, f Fit) {
	plane := l.spec.Width * l.spec.Height
	red, green, blue := input[:plane], input[plane:2*plane], input[2*plane:3*plane]
	for y := range f.Height {
		row := p.Pix[y*p.Stride : y*p.Stride+4*f.Width]
		at := (f.Y+y)*l.spec.Width + f.X
		r, g, b := red[at:at+f.Width], green[at:at+f.Width], blue[at:at+f.Width]
		for x := range r {
			px := row[4*x : 4*x+4 : 4*x+4]
			r[x], g[x], b[x] = float32(px[0])/255, float32(px[1])/255, float32(px[2])/255
		}
	}
}
