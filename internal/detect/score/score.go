// Package score measures a detector against the truth: precision, recall and
// COCO's average precision (101 points, cocodataset.org/#detection-eval). It is
// pure.
package score

import (
	"cmp"
	"math"
	"slices"

	"glimpse/internal/detect/yolo"
)

// Match is the overlap from which a box counts as right.
const Match = 0.5

// Picture is one picture's truth and what was found in it.
type Picture struct {
	Truth []yolo.Box // Score is ignored
	Found []yolo.Box // the best first
	// Ignored are things that may be found or not, such as what is mostly hidden:
	// a box on one of them is neither right nor wrong.
	Ignored []yolo.Box
}

// Counts of boxes.
type Counts struct {
	Right, Wrong, Missed int
}

// Precision is the share of found boxes that are right, 1 when none was found.
func (c Counts) Precision() float64 { return share(c.Right, c.Right+c.Wrong) }

// Recall is the share of true boxes that were found, 1 when there are none.
func (c Counts) Recall() float64 { return share(c.Right, c.Right+c.Missed) }

func share(part, whole int) float64 {
	if whole == 0 {
		return 1
	}
	return float64(part) / float64(whole)
}

// Count judges the boxes with at least the given score. Class must agree and
// each truth can be found once; with anyClass, it is enough to be at the place.
func Count(pictures []Picture, score float32, anyClass bool) Counts {
	var c Counts
	for _, p := range pictures {
		used := make([]bool, len(p.Truth))
		for _, f := range p.Found {
			if f.Score < score {
				continue
			}
			if j := best(f, p.Truth, used, Match, anyClass); j >= 0 {
				used[j] = true
				c.Right++
			} else if best(f, p.Ignored, nil, Match, anyClass) < 0 {
				c.Wrong++
			}
		}
		for _, u := range used {
			if !u {
				c.Missed++
			}
		}
	}
	return c
}

// best is the unused true box that f overlaps most, at least by threshold, or -1.
func best(f yolo.Box, truth []yolo.Box, used []bool, threshold float32, anyClass bool) int {
	at, most := -1, threshold
	for j, t := range truth {
		if used != nil && used[j] || t.Class != f.Class && !anyClass {
			continue
		}
		if iou := f.IoU(t); iou >= most {
			at, most = j, iou
		}
	}
	return at
}

// AP is the average precision of a class at an overlap, NaN when no picture has
// the class.
func AP(pictures []Picture, class int, overlap float32) float64 {
	type verdict struct {
		score float32
		right bool
	}
	var all []verdict
	truths := 0
	for _, p := range pictures {
		var truth []yolo.Box
		for _, t := range p.Truth {
			if t.Class == class {
				truth = append(truth, t)
			}
		}
		truths += len(truth)
		used := make([]bool, len(truth))
		for _, f := range p.Found {
			if f.Class != class {
				continue
			}
			j := best(f, truth, used, overlap, false)
			if j >= 0 {
				used[j] = true
			}
			all = append(all, verdict{f.Score, j >= 0})
		}
	}
	if truths == 0 {
		return math.NaN()
	}
	slices.SortStableFunc(all, func(a, b verdict) int { return cmp.Compare(b.score, a.score) })
	recall, precision := make([]float64, len(all)), make([]float64, len(all))
	right := 0
	for i, v := range all {
		if v.right {
			right++
		}
		recall[i], precision[i] = float64(right)/float64(truths), float64(right)/float64(i+1)
	}
	for i := len(precision) - 2; i >= 0; i-- {
		precision[i] = max(precision[i], precision[i+1])
	}
	sum := 0.0
	for k := range 101 {
		if i, _ := slices.BinarySearch(recall, float64(k)/100); i < len(precision) {
			sum += precision[i]
		}
	}
	return sum / 101
}

// MeanAP is AP over the classes that appear in the pictures, 0 without any.
func MeanAP(pictures []Picture, classes int, overlap float32) float64 {
	sum, n := 0.0, 0
	for c := range classes {
		if ap := AP(pictures, c, overlap); !math.IsNaN(ap) {
			sum += ap
			n++
		}
	}
	return sum / float64(max(n, 1))
}

// MeanAPs is COCO's main figure: MeanAP over overlaps of 0.50, 0.55, … 0.95.
func MeanAPs(pictures []Picture, classes int) float64 {
	sum := 0.0
	for k := range 10 {
		sum += MeanAP(pictures, classes, 0.5+0.05*float32(k))
	}
	return sum / 10
}
