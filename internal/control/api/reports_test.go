package api

import (
	"context"
	"testing"
	"time"

	"glimpse/internal/control/reports"
)

// Reports are listed without curves and shown with them; who watches is told per
// stream.
func TestReportsAndViewers(t *testing.T) {
	b := newBench(t, Config{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	b.deps.Reports.Follow(ctx, reports.Subject{Stream: "s1", Started: time.Now()}, func() reports.Sample { return reports.Sample{} }, func(reports.Report) {})
	list, _ := b.expect(b.call("GET", "/api/v1/reports?stream=s1", ""), 200, "")["reports"].([]any)
	if len(list) != 1 || at(t, list[0], "end") != "over" {
		t.Fatalf("reports %v", list)
	}
	if _, has := list[0].(map[string]any)["curve"]; has {
		t.Error("a list with curves")
	}
	id, _ := at(t, list[0], "id").(string)
	one := b.expect(b.call("GET", "/api/v1/reports/"+id, ""), 200, "")
	at(t, one, "curve", "bitrate")
	b.expect(b.call("GET", "/api/v1/reports/none", ""), 404, codeNotFound)
	if list := b.expect(b.call("GET", "/api/v1/reports?stream=other", ""), 200, "")["reports"].([]any); len(list) != 0 {
		t.Errorf("of another stream: %v", list)
	}
	b.media.open["m1"] = Live{ID: "m1"}
	if got := b.expect(b.call("GET", "/api/v1/streams/m1/viewers", ""), 200, ""); got["active"] != 2.0 {
		t.Errorf("viewers %v", got)
	}
	b.expect(b.call("GET", "/api/v1/streams/none/viewers", ""), 404, "STREAM_NOT_FOUND")
}
