package main

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
)

// The picture's measures in pixels.
const (
	width, height       = 640, 360
	left, right         = 60, 90
	top, bottom         = 40, 50
	plotWidth, plotHigh = width - left - right, height - top - bottom
)

// colours are told apart on light and on dark pages.
func colours() []string { return []string{"#2f7ed8", "#d9822b", "#3a9d5d", "#a855b5"} }

// draw makes a plot with both axes logarithmic and a curve for each name.
func draw(title, axis string, curves map[string][]point) []byte {
	low, high := math.Inf(1), 0.0
	first, last := math.Inf(1), 0.0
	for _, points := range curves {
		for _, p := range points {
			low, high = min(low, p.value), max(high, p.value)
			first, last = min(first, float64(p.n)), max(last, float64(p.n))
		}
	}
	low, high = decade(low, math.Floor), decade(high, math.Ceil)
	x := func(n float64) float64 { return left + plotWidth*share(n, first, last) }
	y := func(v float64) float64 { return top + plotHigh*(1-share(v, low, high)) }

	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12" role="img" aria-label="%s by %s">`+"\n", width, height, title, axis)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="#fff"/><text x="%d" y="22" font-size="14" font-weight="bold">%s</text>`+"\n", width, height, left, title)
	for v := low; v <= high*1.001; v *= 10 {
		for _, step := range []float64{1, 2, 5} {
			if v*step > high*1.001 {
				continue
			}
			fmt.Fprintf(&b, `<path d="M%d %.1fH%d" stroke="#ddd"/><text x="%d" y="%.1f" text-anchor="end">%g</text>`+"\n", left, y(v*step), width-right, left-6, y(v*step)+4, v*step)
		}
	}
	ticks := map[int]bool{}
	for _, points := range curves {
		for _, p := range points {
			ticks[p.n] = true
		}
	}
	for _, n := range slices.Sorted(maps.Keys(ticks)) {
		fmt.Fprintf(&b, `<path d="M%.1f %dV%d" stroke="#ddd"/><text x="%.1f" y="%d" text-anchor="middle">%d</text>`+"\n", x(float64(n)), top, height-bottom, x(float64(n)), height-bottom+18, n)
	}
	fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="middle">%s</text>`+"\n", left+plotWidth/2, height-12, axis)
	names := slices.Sorted(maps.Keys(curves))
	var labels []label
	for i, name := range names {
		colour, points := colours()[i%len(colours())], curves[name]
		path := ""
		for k, p := range points {
			path += fmt.Sprintf("%c%.1f %.1f", "ML"[min(k, 1)], x(float64(p.n)), y(p.value))
			fmt.Fprintf(&b, `<circle cx="%.1f" cy="%.1f" r="3" fill="%s"><title>%s, %d: %.2f</title></circle>`+"\n", x(float64(p.n)), y(p.value), colour, name, p.n, p.value)
		}
		fmt.Fprintf(&b, `<path d="%s" fill="none" stroke="%s" stroke-width="2"/>`+"\n", path, colour)
		end := points[len(points)-1]
		labels = append(labels, label{x(float64(end.n)) + 8, y(end.value) + 4, colour, fmt.Sprintf("%s %.2f", name, end.value)})
	}
	for _, l := range apart(labels) {
		fmt.Fprintf(&b, `<text x="%.1f" y="%.1f" fill="%s">%s</text>`+"\n", l.x, l.y, l.colour, l.text)
	}
	b.WriteString("</svg>\n")
	return b.Bytes()
}

// label names a curve at its end.
type label struct {
	x, y         float64
	colour, text string
}

// apart moves labels down that would cover the one above.
func apart(labels []label) []label {
	const line = 14
	slices.SortFunc(labels, func(a, b label) int { return cmp.Compare(a.y, b.y) })
	for i := range labels {
		for _, above := range labels[:i] {
			if math.Abs(above.x-labels[i].x) < right {
				labels[i].y = max(labels[i].y, above.y+line)
			}
		}
	}
	return labels
}

// decade is the power of ten below or above.
func decade(v float64, round func(float64) float64) float64 {
	return math.Pow(10, round(math.Log10(v)))
}

// share is where v lies between two numbers, by their logarithms.
func share(v, from, to float64) float64 {
	if from == to {
		return 0.5
	}
	return math.Log(v/from) / math.Log(to/from)
}
