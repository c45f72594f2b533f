package yolo

import (
	"cmp"
	"math"
	"slices"
)

// Bounds of what is looked at in one picture: candidates before and boxes after
// suppression.
const (
	maxCandidates = 300
	maxBoxes      = 100
	overlap       = 0.5 // intersection over union above which the lesser box of a class goes
)

// Box is something found in a picture.
type Box struct {
	Class          int     // index in Spec.Names
	Score          float32 // 0 to 1
	X1, Y1, X2, Y2 float32 // pixels of the picture
}

// IoU is the boxes' intersection over their union, 0 to 1.
func (b Box) IoU(o Box) float32 {
	w, h := min(b.X2, o.X2)-max(b.X1, o.X1), min(b.Y2, o.Y2)-max(b.Y1, o.Y1)
	if w <= 0 || h <= 0 {
		return 0
	}
	both := w * h
	return both / (b.area() + o.area() - both)
}

func (b Box) area() float32 { return (b.X2 - b.X1) * (b.Y2 - b.Y1) }

// Boxes finds what a model saw: boxes of the wanted classes (indexed like
// Spec.Names) with at least the given score, the best first, at most 100, the
// lesser of those that overlap left out. fit is where the picture lay.
func (s *Spec) Boxes(output []float32, fit Fit, score float32, wanted []bool) []Box {
	if len(output) != s.Rows*s.Columns {
		return nil
	}
	var found []Box
	switch s.Layout {
	case LayoutClassMajor:
		found = s.classMajor(output, score, wanted)
	case LayoutCellMajor:
		found = s.cellMajor(output, score, wanted)
	case LayoutSuppressed:
		found = s.suppressed(output, score, wanted)
	}
	slices.SortStableFunc(found, func(a, b Box) int { return cmp.Compare(b.Score, a.Score) })
	if len(found) > maxCandidates {
		found = found[:maxCandidates]
	}
	found = suppress(found)
	boxes := found[:0]
	for _, b := range found {
		b.X1, b.Y1 = fit.Picture(b.X1, b.Y1)
		b.X2, b.Y2 = fit.Picture(b.X2, b.Y2)
		if b.X2 > b.X1 && b.Y2 > b.Y1 {
			boxes = append(boxes, b)
		}
	}
	return boxes
}

// classMajor walks the output row by row, as it lies in memory.
func (s *Spec) classMajor(out []float32, score float32, wanted []bool) (found []Box) {
	n := s.Columns
	best, class := make([]float32, n), make([]int, n)
	for c := range s.Names {
		if !wanted[c] {
			continue
		}
		for i, v := range out[(4+c)*n : (5+c)*n] {
			if v > best[i] {
				best[i], class[i] = v, c
			}
		}
	}
	for i, v := range best {
		if v >= score && v > 0 {
			found = add(found, class[i], v, out[i], out[n+i], out[2*n+i], out[3*n+i])
		}
	}
	return found
}

func (s *Spec) cellMajor(out []float32, score float32, wanted []bool) (found []Box) {
	for i := range s.Rows {
		row := out[i*s.Columns : (i+1)*s.Columns]
		best, class := float32(0), 0
		for c, v := range row[4:] {
			if wanted[c] && v > best {
				best, class = v, c
			}
		}
		if best >= score && best > 0 {
			found = add(found, class, best, row[0], row[1], row[2], row[3])
		}
	}
	return found
}

func (s *Spec) suppressed(out []float32, score float32, wanted []bool) (found []Box) {
	for i := range s.Rows {
		row := out[i*6 : i*6+6]
		if !(row[4] >= score && row[4] > 0 && row[5] >= 0 && row[5] < float32(len(s.Names))) { // NaN is neither
			continue
		}
		if class := int(row[5]); wanted[class] {
			found = add(found, class, row[4], (row[0]+row[2])/2, (row[1]+row[3])/2, row[2]-row[0], row[3]-row[1])
		}
	}
	return found
}

// add appends a box given by its centre and size, unless it is not a box.
func add(found []Box, class int, score, cx, cy, w, h float32) []Box {
	b := Box{Class: class, Score: min(score, 1), X1: cx - w/2, Y1: cy - h/2, X2: cx + w/2, Y2: cy + h/2}
	sum := float64(b.X1) + float64(b.Y1) + float64(b.X2) + float64(b.Y2)
	if math.IsNaN(sum) || math.IsInf(sum, 0) || b.X2 <= b.X1 || b.Y2 <= b.Y1 {
		return found
	}
	return append(found, b)
}

// suppress keeps of boxes of one class that overlap the best. sorted is by
// falling score and is reused.
func suppress(sorted []Box) []Box {
	kept := sorted[:0]
	for _, b := range sorted {
		if len(kept) == maxBoxes {
			break
		}
		if !slices.ContainsFunc(kept, func(k Box) bool { return k.Class == b.Class && k.IoU(b) > overlap }) {
			kept = append(kept, b)
		}
	}
	return kept
}
