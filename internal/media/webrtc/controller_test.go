package webrtc

import (
	"testing"
	"time"
)

// MEDIA W3: full, without what nobody needs, key pictures, LL-HLS; up again after
// 10 s, and later each time that this was too soon.
func TestController(t *testing.T) {
	const (
		rate = 250_000
		full = qualityFull
		need = qualityNeeded
		keys = qualityKeys
		none = qualityNone
	)
	type step struct {
		seconds int
		loss    uint32 // of 100 packets a second
		room    int    // 0: not told
		want    quality
	}
	for _, test := range []struct {
		name  string
		steps []step
	}{
		{"nothing lost", []step{{60, 0, 0, full}}},
		{"5 % is made good", []step{{60, 5, 0, full}}},
		{"5 % with room", []step{{60, 5, 2 * rate, full}}},
		{"no room, but nothing lost", []step{{60, 0, rate / 2, full}}},
		{"one bad second", []step{{10, 0, 0, full}, {1, 50, 0, full}, {10, 0, 0, full}}},
		{"bad", []step{{1, 0, 0, full}, {2, 20, 0, need}, {2, 20, 0, keys}, {4, 20, 0, keys}, {1, 20, 0, none}}},
		{"little loss and no room", []step{{1, 0, 0, full}, {2, 5, rate / 2, need}}},
		{"up after 10 s", []step{{1, 0, 0, full}, {2, 20, 0, need}, {9, 0, 0, need}, {1, 0, 0, full}}},
		{"up by one level at a time", []step{{1, 0, 0, full}, {4, 20, 0, keys}, {10, 0, 0, need}, {9, 0, 0, need}, {1, 0, 0, full}}},
		{"5 % is no reason to go up", []step{{1, 0, 0, full}, {2, 20, 0, need}, {60, 5, 0, need}}},
		{"too soon: twice as long", []step{{1, 0, 0, full}, {2, 20, 0, need}, {10, 0, 0, full}, {2, 20, 0, need},
			{19, 0, 0, need}, {1, 0, 0, full}}},
		{"never back from none", []step{{1, 0, 0, full}, {9, 50, 0, none}, {120, 0, 0, none}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var c controller
			now := time.Unix(1000, 0)
			highest, lost := uint32(1<<32-150), uint32(0) // over the wrap
			c.report(highest, lost, rate, now)
			for i, s := range test.steps {
				for range s.seconds {
					now = now.Add(time.Second)
					highest += 100
					lost += s.loss
					if s.room > 0 {
						c.estimate(s.room, now)
					}
					c.report(highest, lost, rate, now)
				}
				if c.level != s.want {
					t.Fatalf("step %d: level %d, want %d", i, c.level, s.want)
				}
			}
		})
	}
}

// Reports come with each NACK: a window needs a second and some packets; one that
// is older than the one before says nothing.
func TestControllerWindows(t *testing.T) {
	var c controller
	now := time.Unix(1000, 0)
	c.report(1000, 0, 1, now)
	for i := range uint32(9) {
		now = now.Add(100 * time.Millisecond)
		c.report(1000+10*i, 9*i, 1, now)
	}
	if !c.bad.IsZero() {
		t.Error("less than a second was judged")
	}
	now = now.Add(time.Hour)
	c.report(1019, 19, 1, now)
	if !c.bad.IsZero() {
		t.Error("19 packets were judged")
	}
	c.report(900, 0, 1, now)
	now = now.Add(time.Second)
	if c.report(1000, 100, 1, now); c.bad.IsZero() {
		t.Error("a whole window of loss is not bad")
	}
}
