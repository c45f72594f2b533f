// Package track follows what a model finds from picture to picture, so that a
// thing keeps its number, does not flicker when the model is unsure of it for a
// moment, and has a velocity by which a box can be drawn on later pictures.
//
// It reads no clock: time is the pictures' own. A Tracker belongs to one
// goroutine.
package track

import (
	"cmp"
	"slices"
	"time"

	"glimpse/internal/detect/yolo"
)

// How things are followed.
const (
	// Keep is the least score of a box that may belong to something known.
	Keep = 0.15
	// gone is how long something unseen is remembered.
	gone = 500 * time.Millisecond
	// same is the least overlap of a box with where its thing should be.
	same = 0.3
	// steady is the weight of the newest movement in a velocity.
	steady = 0.5
	// most things at once; a picture has at most 100 boxes.
	most = 200
)

// Object is something seen in a picture.
type Object struct {
	yolo.Box
	// ID is its number, from 1, never used for anything else by this Tracker.
	ID int
	// VX and VY are how fast its centre moves, pixels of the picture a second.
	VX, VY float32
}

// Tracker follows the things of one stream. Its zero value shows nothing; use New.
type Tracker struct {
	appear float32
	next   int
	last   time.Duration
	things []thing
}

type thing struct {
	Object
	seen time.Duration
	old  bool // seen in more than one picture
}

// New returns a Tracker in which something appears with the given score.
func New(appear float32) *Tracker { return &Tracker{appear: appear} }

// Update takes the boxes of the picture at a time, with scores from Keep, and
// returns what is there: known things that were found again, and new ones with a
// score from appear. A time that is not after the last one begins anew.
func (t *Tracker) Update(at time.Duration, boxes []yolo.Box) []Object {
	if at <= t.last {
		t.things = nil
	}
	t.last = at
	t.things = slices.DeleteFunc(t.things, func(th thing) bool { return at-th.seen > gone })
	var shown []Object
	taken := t.match(at, boxes)
	for i, b := range boxes {
		switch j := taken[i]; {
		case j >= 0:
			t.things[j].found(at, b)
			shown = append(shown, t.things[j].Object)
		case b.Score >= t.appear && len(t.things) < most:
			t.next++
			o := Object{Box: b, ID: t.next}
			t.things = append(t.things, thing{Object: o, seen: at})
			shown = append(shown, o)
		}
	}
	return shown
}

// match gives each box the index of the thing that it is, or -1: the pairs that
// overlap most first.
func (t *Tracker) match(at time.Duration, boxes []yolo.Box) []int {
	type pair struct {
		box, thing int
		iou        float32
	}
	var pairs []pair
	for j := range t.things {
		expected := t.things[j].at(at)
		for i, b := range boxes {
			if b.Class != expected.Class || b.Score < Keep {
				continue
			}
			if iou := b.IoU(expected); iou >= same {
				pairs = append(pairs, pair{i, j, iou})
			}
		}
	}
	slices.SortStableFunc(pairs, func(a, b pair) int { return cmp.Compare(b.iou, a.iou) })
	taken, used := make([]int, len(boxes)), make([]bool, len(t.things))
	for i := range taken {
		taken[i] = -1
	}
	for _, p := range pairs {
		if taken[p.box] < 0 && !used[p.thing] {
			taken[p.box], used[p.thing] = p.thing, true
		}
	}
	return taken
}

// at is where the thing should be at a time.
func (th *thing) at(at time.Duration) yolo.Box {
	dt := float32((at - th.seen).Seconds())
	b := th.Box
	b.X1, b.X2 = b.X1+th.VX*dt, b.X2+th.VX*dt
	b.Y1, b.Y2 = b.Y1+th.VY*dt, b.Y2+th.VY*dt
	return b
}

// found moves the thing to where it was seen.
func (th *thing) found(at time.Duration, b yolo.Box) {
	dt := float32((at - th.seen).Seconds())
	vx := ((b.X1 + b.X2) - (th.X1 + th.X2)) / 2 / dt
	vy := ((b.Y1 + b.Y2) - (th.Y1 + th.Y2)) / 2 / dt
	if th.old {
		vx, vy = th.VX+(vx-th.VX)*steady, th.VY+(vy-th.VY)*steady
	}
	th.Box, th.VX, th.VY, th.seen, th.old = b, vx, vy, at, true
}
