package frames

import (
	"bytes"
	"image"
	"image/jpeg"
	"sync"
	"time"

	"glimpse/internal/media/transcode"
)

// jpegQuality is enough for models, at a fifth of the bytes of the best.
const jpegQuality = 80

// Picture is a decoded picture. It is shared and read-only; what is made of it is
// made by the first who asks.
type Picture struct {
	transcode.Decoded
	epoch   *epoch
	arrived time.Time // from the decoder

	jpeg, rgb form
}

// form is one that is made once.
type form struct {
	once sync.Once
	b    []byte
}

// Bytes returns the picture in a format, shared and read-only.
func (p *Picture) Bytes(f Format) []byte {
	switch f {
	case Gray:
		return p.Planes[: p.Width*p.Height : p.Width*p.Height]
	case RGB:
		p.rgb.once.Do(func() { p.rgb.b = toRGB(p.Planes, p.Width*p.Height) })
		return p.rgb.b
	}
	p.jpeg.once.Do(func() { p.jpeg.b = toJPEG(p.Planes, p.Width, p.Height) })
	return p.jpeg.b
}

// toJPEG encodes planes of full size; the encoder halves the colours itself.
func toJPEG(planes []byte, width, height int) []byte {
	n := width * height
	img := &image.YCbCr{
		Y: planes[:n], Cb: planes[n : 2*n], Cr: planes[2*n : 3*n], YStride: width, CStride: width,
		SubsampleRatio: image.YCbCrSubsampleRatio444, Rect: image.Rect(0, 0, width, height),
	}
	var out bytes.Buffer
	out.Grow(n / 4)
	_ = jpeg.Encode(&out, img, &jpeg.Options{Quality: jpegQuality}) // a buffer takes everything
	return out.Bytes()
}

// toRGB converts n pixels as JFIF does, as color.YCbCrToRGB but in one loop.
func toRGB(planes []byte, n int) []byte {
	ys, cbs, crs, out := planes[:n], planes[n:2*n], planes[2*n:3*n], make([]byte, 3*n)
	for i := range ys {
		y, cb, cr := int32(ys[i])*0x10101, int32(cbs[i])-128, int32(crs[i])-128
		o := out[3*i : 3*i+3 : 3*i+3]
		o[0], o[1], o[2] = clamp(y+91881*cr), clamp(y-22554*cb-46802*cr), clamp(y+116130*cb)
	}
	return out
}

// clamp takes the integer part of a 16.16 number into a byte.
func clamp(v int32) byte {
	if uint32(v)&0xff000000 == 0 {
		return byte(v >> 16)
	}
	return byte(^(v >> 31))
}
