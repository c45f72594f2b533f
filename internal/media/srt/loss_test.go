package srt

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"glimpse/internal/media/badnet"
	"glimpse/internal/media/hub"
	"glimpse/internal/media/serve/servetest"
)

// FAULTS F8, G9: a network that loses each twentieth packet both ways, with a round
// trip of 20 ms and jitter, and a latency of 200 ms: of 240 pictures in 8 s that libsrt sends
// all arrive, and libsrt as a reader gets all of them too.
func TestLoss(t *testing.T) {
	t.Parallel()
	for range 3 { // who has no processor for 200 ms is too late: a busy machine may need three attempts
		wrong := lossy(t)
		if len(wrong) == 0 {
			return
		}
		t.Logf("%q", wrong)
	}
	t.Error("none of three attempts went as it should")
}

// lossy is one attempt; it returns what was not as it should be.
func lossy(t *testing.T) (wrong []string) {
	fail := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
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
	st := s.Stats()
	for end := time.Now().Add(25 * time.Second); st.Frames < 240 && time.Now().Before(end); st = s.Stats() {
		if st.Link != nil {
			link = *st.Link
		}
		time.Sleep(20 * time.Millisecond)
	}
	if st.Frames < 240 {
		fail("%d pictures of 240 came", st.Frames)
	}
	if strings.Contains(r.Logs.String(), "damaged") {
		fail("a picture was damaged")
	}
	if _, errs, ok := publisher.Wait(); !ok {
		fail("publisher: %s", errs)
	}
	out, errs, ok := reader.Wait()
	if n := len(servetest.Packets(out, 0)); !ok || n != 230 {
		fail("the reader got %d pictures of 230: %s", n, errs)
	}
	lost, all := net.Lost()
	if lost < all/40 || link.Resent < 10 || link.Lost != 0 || link.RTT < 20*time.Millisecond || link.Latency != 200*time.Millisecond {
		fail("%d of %d packets were lost on the way; the link says %+v", lost, all, link)
	}
	if st := r.server.Links(); st.Again == 0 || st.Dropped != 0 {
		fail("%+v", st)
	}
	return wrong
}
