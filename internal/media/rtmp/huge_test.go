package rtmp

import (
	"strings"
	"testing"
	"time"

	"glimpse/internal/media/hub"
	"glimpse/internal/media/serve/servetest"
)

// FAULTS F7: a key frame of 4 MB passes from a publisher to a player that was
// there before, and nobody is dropped.
func TestHugeKeyFrame(t *testing.T) {
	t.Parallel()
	r := newPatientRig(t)
	s := r.Open("one", time.Minute)
	player := servetest.StartFFmpeg(t, "-copyts", "-i", r.url("one-play"), "-map", "0:v", "-c", "copy", "-f", "framecrc", "pipe:1")
	servetest.Until(t, "the player", func() bool { return s.Stats().Viewers["rtmp"] == 1 })
	film := encode(t, "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25:duration=2", "-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "25")
	c, err := Dial(t.Context(), r.url("one-key"), Options{Tracks: film.tracks})
	if err != nil {
		t.Fatal(err)
	}
	const size = 4_000_000
	for _, f := range film.frames {
		if f.Key { // made huge by filler data, which nothing on the way leaves out
			filler := make([]byte, size-len(f.Payload))
			filler[1], filler[2], filler[3] = byte((len(filler)-4)>>16), byte((len(filler)-4)>>8), byte(len(filler)-4)
			for i := range filler[4:] {
				filler[4+i] = 0xff
			}
			filler[4] = 12
			big := *f
			big.Payload = append(append([]byte(nil), f.Payload...), filler...)
			f = &big
		}
		if err := c.WriteFrame(f); err != nil {
			t.Fatal(err)
		}
	}
	servetest.Until(t, "all pictures", func() bool { return s.Stats().Frames == uint64(len(film.frames)) })
	if st := s.Stats(); st.State != hub.StateLive || st.Dropped != 0 {
		t.Errorf("%+v", st)
	}
	_ = c.Close()
	s.Close("test")
	out, stderr, ok := player.Wait()
	if !ok || stderr != "" {
		t.Errorf("player: %s", stderr)
	}
	huge, all := 0, servetest.Packets(out, 0)
	for _, p := range all {
		if fields := strings.Split(strings.ReplaceAll(p, " ", ""), ","); fields[4] == "4000000" {
			huge++
		}
	}
	if huge < 2 || len(all) < len(film.frames) {
		t.Errorf("%d pictures came, %d of them huge\n%s", len(all), huge, r.Logs)
	}
}
