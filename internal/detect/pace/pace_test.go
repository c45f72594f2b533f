package pace

import (
	"testing"
	"time"
)

// E28
func TestPace(t *testing.T) {
	p := New(10)
	for _, step := range []struct {
		run    time.Duration
		times  int
		fps    float64
		slowed bool
	}{
		{59 * time.Millisecond, 30, 10, false}, // 59 % is allowed
		{61 * time.Millisecond, 9, 10, false},  // not before a window is full
		{61 * time.Millisecond, 1, 5, true},
		{61 * time.Millisecond, 100, 5, true}, // stays: twice as often would be too much
		{130 * time.Millisecond, 10, 2.5, true},
		{500 * time.Millisecond, 30, 2.5, true}, // there is no slower rate
		{10 * time.Millisecond, 20, 2.5, true},
		{10 * time.Millisecond, 10, 5, true}, // calm for three windows
		{10 * time.Millisecond, 30, 10, false},
		{time.Millisecond, 100, 10, false}, // never more than wanted
	} {
		for range step.times {
			p.Add(step.run)
		}
		if p.FPS() != step.fps || p.Slowed() != step.slowed {
			t.Fatalf("after %d runs of %v: %v a second, slowed %v; want %v, %v", step.times, step.run, p.FPS(), p.Slowed(), step.fps, step.slowed)
		}
	}
}

func TestTooLateAtTheSlowest(t *testing.T) {
	p := New(1)
	for range 40 {
		p.Add(3 * time.Second)
	}
	if p.FPS() != 0.25 || !p.Slowed() || p.Add(0) {
		t.Errorf("%v a second", p.FPS())
	}
}
