package score

import (
	"math"
	"testing"

	"glimpse/internal/detect/yolo"
)

func box(class int, score, x float32) yolo.Box {
	return yolo.Box{Class: class, Score: score, X1: x, X2: x + 10, Y2: 10}
}

func TestCount(t *testing.T) {
	pictures := []Picture{
		{
			Truth:   []yolo.Box{box(0, 0, 0), box(1, 0, 50)},
			Found:   []yolo.Box{box(0, 0.9, 1), box(0, 0.8, 0), box(0, 0.7, 50), box(1, 0.6, 100), box(1, 0.2, 50)},
			Ignored: []yolo.Box{box(1, 0, 100)},
		},
		{Truth: []yolo.Box{box(0, 0, 0)}},
	}
	for _, c := range []struct {
		score    float32
		anyClass bool
		want     Counts
	}{
		{0.5, false, Counts{Right: 1, Wrong: 2, Missed: 2}}, // the second on one thing and the wrong class are wrong
		{0.1, false, Counts{Right: 2, Wrong: 2, Missed: 1}},
		{0.5, true, Counts{Right: 2, Wrong: 1, Missed: 1}},
		{0.95, false, Counts{Missed: 3}},
	} {
		if got := Count(pictures, c.score, c.anyClass); got != c.want {
			t.Errorf("at %.2f, any class %v: %+v, want %+v", c.score, c.anyClass, got, c.want)
		}
	}
	if c := (Counts{Right: 1, Wrong: 2, Missed: 2}); c.Precision() != 1.0/3 || c.Recall() != 1.0/3 {
		t.Errorf("%v %v", c.Precision(), c.Recall())
	}
	if c := (Counts{}); c.Precision() != 1 || c.Recall() != 1 {
		t.Errorf("nothing to find: %v %v", c.Precision(), c.Recall())
	}
}

// By hand: right, wrong, right of two truths: precision 1 up to recall 0.5, then
// 2/3.
func TestAP(t *testing.T) {
	pictures := []Picture{
		{Truth: []yolo.Box{box(0, 0, 0)}, Found: []yolo.Box{box(0, 0.9, 0), box(0, 0.8, 100)}},
		{Truth: []yolo.Box{box(0, 0, 0)}, Found: []yolo.Box{box(0, 0.7, 0)}},
	}
	want := (51 + 50*2.0/3) / 101
	if got := AP(pictures, 0, 0.5); math.Abs(got-want) > 1e-9 {
		t.Errorf("%v, want %v", got, want)
	}
	if !math.IsNaN(AP(pictures, 1, 0.5)) {
		t.Error("a class that is nowhere has a precision")
	}
	if got := MeanAP(pictures, 2, 0.5); math.Abs(got-want) > 1e-9 {
		t.Errorf("the mean counts a class that is nowhere: %v", got)
	}
	if got := MeanAPs(pictures, 2); math.Abs(got-want) > 1e-9 {
		t.Errorf("exact boxes: %v, want %v", got, want)
	}
	shifted := []Picture{{Truth: []yolo.Box{box(0, 0, 0)}, Found: []yolo.Box{box(0, 0.9, 2)}}} // overlap 8/12
	if a, b := AP(shifted, 0, 0.65), AP(shifted, 0, 0.70); a != 1 || b != 0 {
		t.Errorf("%v %v", a, b)
	}
}
