package classify

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"image/png"
	"strings"
)

// MaxSide is the most pixels of a picture in each direction.
const MaxSide = 4096

var (
	errBadImage = errors.New("image_data is not a JPEG or PNG in base64")
	errTooLarge = fmt.Errorf("the picture is larger than %dx%d pixels", MaxSide, MaxSide)
)

// decode reads image_data. A data URL's head is cut off, as the original does.
// The size is known from the header before a pixel is decoded.
func decode(text string) (image.Image, error) {
	if strings.HasPrefix(text, "data:") {
		_, text, _ = strings.Cut(text, ",")
	}
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		b, err = base64.RawStdEncoding.DecodeString(text)
	}
	if err != nil {
		return nil, errBadImage
	}
	config, read := jpeg.DecodeConfig, jpeg.Decode
	if bytes.HasPrefix(b, []byte("\x89PNG")) {
		config, read = png.DecodeConfig, png.Decode
	}
	c, err := config(bytes.NewReader(b))
	if err != nil || c.Width < 1 || c.Height < 1 {
		return nil, errBadImage
	}
	if c.Width > MaxSide || c.Height > MaxSide {
		return nil, errTooLarge
	}
	picture, err := read(bytes.NewReader(b))
	if err != nil {
		return nil, errBadImage
	}
	return picture, nil
}
