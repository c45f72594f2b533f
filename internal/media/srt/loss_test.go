package srt

import (
	"strings"
	"testing"
	"time"

	"glimpse/internal/media/badnet"
	"glimpse/internal/media/hub"
	"glimpse/internal/media/serve/servetest"
)

// FAULTS F8, G9: a network that loses each twentieth packet both ways, with a round
// trip of 20 ms and jitter, and a latency of 200 ms: of 240 pictures in 8 s that libsrt sends
// all arrive, and libsrt as a reader gets all of them too. Not in parallel: who has no
// processor for 200 ms is too late.
func TestLoss(t *testing.T) {
	r := newRig(t, Config{Latency: 200 * time.Millisecond})
	s := r.OpenSpec(hub.Spec{ID: "a", IngestKey: "a-key", PlaybackID: "a-play", Passphrase: "correct-horse", ResumeWindow: 20 * time.Second})
	net := badnet.Start(t, r.server.Addr().String(), badnet.Faults{Loss: 0.05, Delay: 10 * time.Millisecond, Jitter: 5 * time.Millisecond, Seed: 8})
	url := func(id string) string {
		return "srt://" + net.Addr() + "?streamid=" + id + "&passphrase=correct-horse&latency=200000"
	}
	reader := servetest.StartFFmpeg(t, "-i", url("read:a-play"), "-map", "0:v", "-c", "copy", "-frames:v", "230", "-f", "framecrc", "-")
	servetest.Until(t, "the reader", func() bool { return s.Stats().Viewers["srt"] == 1 })
	// A second more: libsrt sends nothing again once it is told to close.
	publisher := servetest.StartFFmpeg(t, publishing(url("publish:a-key"), 9, "-bf", "0")...)
	var link hub.Link
	servetest.Until(t, "240 pictures", func() bool {
		st := s.Stats()
		if st.Link != nil {
			link = *st.Link
		}
		return st.Frames >= 240
	})
	if strings.Contains(r.Logs.String(), "damaged") {
		t.Error("a picture was damaged")
	}
	if _, errs, ok := publisher.Wait(); !ok {
		t.Errorf("publisher: %s", errs)
	}
	out, errs, ok := reader.Wait()
	if n := len(servetest.Packets(out, 0)); !ok || n != 230 {
		t.Errorf("the reader got %d pictures of 230: %s", n, errs)
	}
	lost, all := net.Lost()
	if lost < all/40 || link.Resent < 10 || link.Lost != 0 || link.RTT < 20*time.Millisecond || link.Latency != 200*time.Millisecond {
		t.Errorf("%d of %d packets were lost on the way; the link says %+v", lost, all, link)
	}
	if st := r.server.Links(); st.Again == 0 || st.Dropped != 0 {
		t.Errorf("%+v", st)
	}
}
