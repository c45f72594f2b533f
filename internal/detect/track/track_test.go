package track

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"glimpse/internal/detect/yolo"
)

func box(class int, score, x, y float32) yolo.Box {
	return yolo.Box{Class: class, Score: score, X1: x, Y1: y, X2: x + 40, Y2: y + 40}
}

// What is seen picture by picture, as "id@x" of what is shown.
func TestUpdate(t *testing.T) {
	type picture struct {
		at    int // ms
		boxes []yolo.Box
		want  string
	}
	for name, pictures := range map[string][]picture{
		"appears at 0.45, stays down to 0.15": {
			{0, []yolo.Box{box(0, 0.44, 10, 0)}, ""},
			{100, []yolo.Box{box(0, 0.45, 10, 0)}, "1@10"},
			{200, []yolo.Box{box(0, 0.15, 12, 0)}, "1@12"},
			{300, []yolo.Box{box(0, 0.14, 14, 0)}, ""},
			{400, []yolo.Box{box(0, 0.2, 16, 0)}, "1@16"},
		},
		"forgotten after half a second": {
			{0, []yolo.Box{box(0, 0.9, 10, 0)}, "1@10"},
			{500, []yolo.Box{box(0, 0.2, 10, 0)}, "1@10"},
			{1001, []yolo.Box{box(0, 0.2, 10, 0)}, ""},
			{1100, []yolo.Box{box(0, 0.9, 10, 0)}, "2@10"},
		},
		"a fast one is found where it should be": {
			{0, []yolo.Box{box(0, 0.9, 0, 0)}, "1@0"},
			{100, []yolo.Box{box(0, 0.9, 20, 0)}, "1@20"},
			{400, []yolo.Box{box(0, 0.2, 80, 0)}, "1@80"}, // 60 px on: no overlap with the last
		},
		"classes are apart": {
			{0, []yolo.Box{box(0, 0.9, 0, 0)}, "1@0"},
			{100, []yolo.Box{box(1, 0.9, 0, 0)}, "2@0"},
			{200, []yolo.Box{box(0, 0.9, 0, 0), box(1, 0.9, 2, 0)}, "1@0 2@2"},
		},
		"two that meet keep their numbers": {
			{0, []yolo.Box{box(0, 0.9, 0, 0), box(0, 0.8, 60, 0)}, "1@0 2@60"},
			{100, []yolo.Box{box(0, 0.9, 45, 0), box(0, 0.8, 12, 0)}, "2@45 1@12"},
		},
		"time that goes back begins anew": {
			{500, []yolo.Box{box(0, 0.9, 0, 0)}, "1@0"},
			{500, []yolo.Box{box(0, 0.9, 0, 0)}, "2@0"},
			{100, []yolo.Box{box(0, 0.9, 0, 0)}, "3@0"},
		},
	} {
		tr := New(0.45)
		for _, p := range pictures {
			var got []string
			for _, o := range tr.Update(time.Duration(p.at)*time.Millisecond, p.boxes) {
				got = append(got, fmt.Sprintf("%d@%.0f", o.ID, o.X1))
			}
			if s := strings.Join(got, " "); s != p.want {
				t.Errorf("%s: at %d ms %q, want %q", name, p.at, s, p.want)
			}
		}
	}
}

func TestVelocity(t *testing.T) {
	tr := New(0.45)
	var last Object
	for i := range 10 {
		at := time.Duration(i+1) * 100 * time.Millisecond
		last = tr.Update(at, []yolo.Box{box(0, 0.9, float32(5*i), float32(-2*i))})[0]
	}
	if last.VX < 49 || last.VX > 51 || last.VY < -21 || last.VY > -19 {
		t.Errorf("velocity %.1f %.1f, want 50 -20", last.VX, last.VY)
	}
}
