package e2e

import (
	"net/http"
	"testing"
)

// sent is what browser.mjs says of a browser that publishes.
type sent struct{ Frames, Keys, Plis, Nacks, Bytes, Width int }

// camera opens a page of the server's that publishes the browser's fake camera.
func (b *browser) camera(c *cloud, page, url string) {
	b.t.Helper()
	b.do(nil, "open", page, c.url+"/healthz")
	b.do(nil, "publish", page, url)
}

// A browser publishes its camera by WHIP; it is watched by WebRTC and by
// LL-HLS, with sound; it leaves by DELETE.
func TestChromiumPublishesByWHIP(t *testing.T) {
	parallel(t, browsers)
	c := startCloud(t, "")
	s := c.newStream()
	b := startBrowser(t)
	b.camera(c, "camera", s.Ingest["whip"])
	c.wantStatus(s.ID, "live")
	// One page after the other: beside a camera two would have too little processor.
	b.do(nil, "open", "whep", s.Play["page"])
	b.waitPlayer("whep", "glimpse.state === 'live' && glimpse.protocol === 'webrtc'")
	b.wantPlaying("whep")
	b.wantNoFaults("whep")
	b.do(nil, "close", "whep")
	b.do(nil, "open", "hls", s.Play["page"], map[string]any{"noWebRTC": true})
	b.waitPlayer("hls", "glimpse.state === 'live' && glimpse.protocol === 'hls'")
	b.wantPlaying("hls")
	var out sent
	b.do(&out, "sent", "camera")
	// The first seconds and each segment begin with a key frame that was asked for.
	if out.Keys < 3 || out.Plis < 2 || out.Keys > out.Frames/20 {
		t.Errorf("%+v", out)
	}
	var status int
	b.do(&status, "eval", "camera", "fetch(window.publisher.location, {method: 'DELETE'}).then((r) => r.status)")
	if status != http.StatusOK {
		t.Errorf("DELETE: %d", status)
	}
	c.wantStatus(s.ID, "interrupted")
	b.wantNoFaults("hls")
}

// FAULTS F9: a browser publishes over a network that loses 5 % both ways; its viewer gets
// whole pictures, and key frames are asked for no more than segments need. Not in
// parallel: a browser that has no processor sends again too late.
func TestChromiumPublishesWithLoss(t *testing.T) {
	alone(t)
	c := startCloud(t, "")
	s := c.newStream()
	m, _ := c.waitLine(`WebRTC\s+(127\.0\.0\.1:\d+)`, 0)
	network := newLossy(t, m[1])
	b := startBrowser(t)
	b.do(nil, "open", "camera", c.url+"/healthz", network.through())
	b.do(nil, "publish", "camera", s.Ingest["whip"])
	c.wantStatus(s.ID, "live")
	b.do(nil, "open", "viewer", s.Play["page"]+"?protocol=webrtc", map[string]any{"answer": []string{"nothing", ""}})
	b.waitPlayer("viewer", "glimpse.state === 'live' && glimpse.framesDecoded > 60")
	network.lose(5)
	const seconds = 30
	var before, after sent
	var r received
	came := func() int {
		var now struct{ Stats struct{ Frames int } }
		c.api("GET", "/api/v1/streams/"+s.ID, nil, &now)
		return now.Stats.Frames
	}
	b.do(&before, "sent", "camera")
	whole := -came()
	b.do(&r, "received", "viewer", seconds)
	b.do(&after, "sent", "camera")
	whole += came()
	frames := after.Frames - before.Frames
	t.Logf("%d pictures sent, %d whole, viewer: %+v; %d requests for key frames, %d for packets", frames, whole, r, after.Plis-before.Plis, after.Nacks-before.Nacks)
	if after.Nacks == before.Nacks || frames < seconds*10 {
		t.Fatal("too little was sent or lost")
	}
	// What comes again after 200 ms is too late; then a key frame must come first.
	// Of pictures that the encoder never sent nobody knows. Some are on their way.
	const onTheWay = 3
	if (whole+onTheWay)*100 < frames*99 {
		t.Errorf("%d pictures sent, %d whole", frames, whole)
	}
	// Decoders that are short of the processor leave some out; what is broken makes
	// them ask for a key frame.
	if (r.Received+onTheWay)*100 < whole*99 || r.Plis > 0 {
		t.Errorf("%d pictures whole, %d received, %d requests for key frames by the viewer", whole, r.Received, r.Plis)
	}
	if r.Longest > 1000 || after.Plis-before.Plis > seconds {
		t.Errorf("a picture stood still for %.0f ms; %d requests for key frames", r.Longest, after.Plis-before.Plis)
	}
}
