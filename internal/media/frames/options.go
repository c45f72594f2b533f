package frames

import (
	"fmt"
	"net/url"
	"strconv"
	"time"

	"glimpse/internal/media/transcode"
)

// Format of pictures.
type Format string

// The formats.
const (
	JPEG Format = "jpeg"
	RGB  Format = "rgb"  // 3 bytes a pixel
	Gray Format = "gray" // 1 byte a pixel
)

// Bounds and defaults of what may be asked for.
const (
	minFPS, maxFPS, defaultFPS       = 0.1, 30, 10
	minWidth, maxWidth, defaultWidth = 16, transcode.MaxDecodedSide, 640
)

// Options of a subscription.
type Options struct {
	FPS    float64 // at most, 0.1 to 30
	Width  int     // in pixels, at most, even
	Format Format
}

// parseOptions reads a query. Its error is a sentence for people.
func parseOptions(q url.Values) (Options, error) {
	o := Options{FPS: defaultFPS, Width: defaultWidth, Format: JPEG}
	if s := q.Get("fps"); s != "" {
		v, err := strconv.ParseFloat(s, 64)
		if err != nil || !(v >= minFPS && v <= maxFPS) {
			return o, fmt.Errorf("fps must be a number from %g to %d", minFPS, maxFPS)
		}
		o.FPS = v
	}
	if s := q.Get("width"); s != "" {
		v, err := strconv.Atoi(s)
		if err != nil || v < minWidth || v > maxWidth {
			return o, fmt.Errorf("width must be a number of pixels from %d to %d", minWidth, maxWidth)
		}
		o.Width = v &^ 1
	}
	switch f := Format(q.Get("format")); f {
	case "":
	case JPEG, RGB, Gray:
		o.Format = f
	default:
		return o, fmt.Errorf("format must be jpeg, rgb or gray")
	}
	return o, nil
}

// rates are those at which children decode: a child is replaced when the fastest
// subscriber needs another one, not at each of its wishes.
var rates = [...]float64{1, 2, 5, 10, 15, 30}

// rateOf returns the rate of a child that gives so many pictures a second. Below 1
// it gives more: a child that is silent for longer counts as hung.
func rateOf(fps float64) float64 {
	for _, r := range rates {
		if fps <= r {
			return r
		}
	}
	return rates[len(rates)-1]
}

// pace chooses pictures at a rate without drift: one is due an interval after the
// one before was due. The zero value chooses the next.
type pace struct {
	due   time.Duration
	begun bool
}

// paceSlack is how early a picture may be; cameras' clocks jitter.
const paceSlack = 5 * time.Millisecond

// take reports whether the picture at a time is one, at a rate.
func (p *pace) take(pts time.Duration, fps float64) bool {
	interval := time.Duration(float64(time.Second) / fps)
	late := pts - p.due
	switch {
	case p.begun && late < -paceSlack && late > -2*interval:
		return false
	case p.begun && late.Abs() < interval:
		p.due += interval
	default: // the first, after a hole, or another run
		p.begun, p.due = true, pts+interval
	}
	return true
}
