package camera

import (
	"testing"
	"time"

	"glimpse/protocol"
)

// The glasses' statistics reach an app that asks: a managed stream's statuses
// carry none.
// A39
func TestCheckTellsTheNewestStatistics(t *testing.T) {
	s := live()
	if info, _ := Check(s); info == nil || info.Stats != nil {
		t.Fatalf("before the glasses sent any: %+v", info)
	}
	want := &protocol.Stats{Bitrate: 2e6, FPS: 30, DroppedFrames: 3, Duration: 10}
	s, _ = Step(s, GlassesSaid{StreamID: "m1", Status: protocol.StatusStreaming, Stats: want}, t0.Add(2*time.Second))
	s, _ = Step(s, GlassesSaid{StreamID: "m1", Status: protocol.StatusStreaming}, t0.Add(3*time.Second))
	if info, _ := Check(s); info.Stats == nil || *info.Stats != *want {
		t.Errorf("the answer has %+v, want %+v", info.Stats, want)
	}
}
