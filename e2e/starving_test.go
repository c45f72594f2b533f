package e2e

import (
	"strings"
	"testing"
)

// Publishers who send one key frame and no other are said to starve those who come,
// after 20 s, by an event and in the status. Who watches misses no picture of theirs, and
// who comes then is shown one.
//
// F7
func TestStarvingPublishers(t *testing.T) {
	parallel(t, waiting)
	c := startCloud(t, withSRT)
	h := c.follow(t)
	formats := map[string]string{"rtmp": "flv", "srt": "mpegts"}
	streams, watching := map[string]stream{}, map[string]*process{}
	for protocol, format := range formats {
		s := c.newStream()
		publishTo(t, format, s.Ingest[protocol], "-g", "100000", "-sc_threshold", "0", "-s", "160x90", "-b:v", "100k")
		c.wantStatus(s.ID, "live")
		streams[protocol], watching[protocol] = s, whole(t, s)
	}
	for protocol, s := range streams {
		h.await(1, happened{Type: "stream.starving", Stream: s.ID})
		var now struct{ Stats struct{ Notice string } }
		c.api("GET", "/api/v1/streams/"+s.ID, nil, &now)
		if !strings.Contains(now.Stats.Notice, "no key frame") {
			t.Errorf("%s: the status says %q", protocol, now.Stats.Notice)
		}
		whole(t, s) // waits for its first picture
		watching[protocol].wantWhole(30)
		if n := h.count(happened{Type: "stream.starving", Stream: s.ID}); n != 1 {
			t.Errorf("%s: told %d times", protocol, n)
		}
	}
}
