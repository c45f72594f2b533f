package e2e

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// record starts or stops (POST or DELETE) the recording of a stream.
func (c *cloud) record(method, id string) (r recording) {
	c.t.Helper()
	want := map[string]int{"POST": http.StatusCreated, "DELETE": http.StatusOK}[method]
	if code := c.api(method, "/api/v1/streams/"+id+"/recording", nil, &r); code != want {
		c.t.Fatalf("%s recording: %d %+v", method, code, r)
	}
	return r
}

// download fetches a recording's file.
func (r recording) download(t *testing.T) (path string) {
	t.Helper()
	code, _, body := get(t, r.File)
	if code != http.StatusOK || int64(len(body)) != r.Bytes {
		t.Fatalf("%s: %d, %d of %d bytes", r.File, code, len(body), r.Bytes)
	}
	path = filepath.Join(t.TempDir(), "downloaded.mp4")
	if err := os.WriteFile(path, body, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// What comes by WebRTC with Opus is recorded with AAC, and with Opus as it was sent
// where there is no ffmpeg: either plays in ffmpeg and in Chromium.
//
// C27 D8
func TestRecordingOfOpus(t *testing.T) {
	parallel(t, nil)
	for codec, env := range map[string][]string{"aac": nil, "opus": {"PATH=" + t.TempDir()}} {
		t.Run(codec, func(t *testing.T) {
			parallel(t, browsers)
			c := startCloud(t, "", env...)
			s := c.newStream()
			encodeOpus(t, beeping).publishWHIP(t, s.Ingest["whip"])
			c.wantStatus(s.ID, "live")
			c.record("POST", s.ID)
			time.Sleep(5 * time.Second)
			done := c.record("DELETE", s.ID)
			path := done.download(t)
			seconds, p := probe(t, path)
			if seconds < 4.5 || p.Streams[0].CodecName != "h264" || p.Streams[1].CodecName != codec {
				t.Errorf("%v s: %+v", seconds, p.Streams)
			}
			if said := decodeWhole(t, path); said != "" {
				t.Errorf("ffmpeg says %s", said)
			}
			if n, volume := watch(t, path, 4); n < 100 || volume < -60 {
				t.Errorf("4 s have %d pictures and sound of %v dB", n, volume)
			}
			b := startBrowser(t)
			b.do(nil, "open", "recording", done.Page)
			b.wantReplay("recording", 4)
			b.wantNoFaults("recording")
		})
	}
}

// Pictures of another size in the middle of a connection, and a publisher who is
// gone and comes back by another protocol with other sound, are one recording: the
// file decodes without a complaint, shows both sizes, says what is missing, and
// plays in Chromium over the change.
//
// E41
func TestRecordingOverChanges(t *testing.T) {
	parallel(t, browsers)
	clip := twoSizes(t, 4, 30)
	c := startCloud(t, withSRT)
	s := c.newStream()
	first := start(t, "ffmpeg publisher", nil, "ffmpeg", "-hide_banner", "-loglevel", "error", "-re", "-i", clip,
		"-c", "copy", "-f", "mpegts", s.Ingest["srt"])
	c.wantStatus(s.ID, "live")
	made := c.record("POST", s.ID)
	time.Sleep(7 * time.Second)
	if err := first.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	c.wantStatus(s.ID, "interrupted")
	time.Sleep(2 * time.Second)
	publish(t, s.Ingest["rtmp"], "-g", "30", "-ac", "1", "-ar", "22050")
	c.wantStatus(s.ID, "live")
	time.Sleep(4 * time.Second)
	done := c.record("DELETE", s.ID)
	if done.ID != made.ID || len(c.recordings()) != 1 || len(done.Gaps) != 1 || done.Gaps[0].To-done.Gaps[0].From < 1.5 {
		t.Fatalf("%+v", c.recordings())
	}
	path := done.download(t)
	if said := decodeWhole(t, path); said != "" {
		t.Errorf("ffmpeg says %s", said)
	}
	sizes := runCommand(t, "ffprobe", "-v", "error", "-select_streams", "v", "-show_entries", "frame=width", "-of", "csv=p=0", path)
	for _, width := range []string{"640", "480"} {
		if n := strings.Count(sizes, width); n < 60 {
			t.Errorf("%d pictures of %s pixels", n, width)
		}
	}
	gap := done.Gaps[0].To - done.Gaps[0].From
	if n, volume := watch(t, path, 12); float64(n) < 24*(12-gap) || volume < -60 {
		t.Errorf("12 s with a gap of %.1f have %d pictures and sound of %v dB", gap, n, volume)
	}
	if _, _, list := get(t, done.HLS); bytes.Count(list, []byte("#EXT-X-MAP:")) < 3 {
		t.Errorf("no inits for the changes:\n%s", list)
	}
	b := startBrowser(t)
	b.do(nil, "open", "recording", done.Page)
	// Two presses of the space bar before there is a picture leave it as it was.
	b.do(nil, "eval", "recording", "for (const n of [1, 2]) dispatchEvent(new KeyboardEvent('keydown', { key: ' ' }))")
	b.play("recording", 12)
	eventually(t, "the page plays from the beginning", func() bool {
		var ok bool
		return b.try(&ok, "eval", "recording", "document.querySelector('video').currentTime > 1") == "" && ok
	})
	for at, width := range map[float64]int{1: 640, done.Gaps[0].From - 0.5: 480, done.Duration - 1: 640} {
		b.do(nil, "eval", "recording", fmt.Sprintf("(() => { const v = document.querySelector('video'); v.pause(); v.currentTime = %v; })()", at))
		eventually(t, fmt.Sprintf("the picture at %.1f s has %d pixels", at, width), func() bool {
			var ok bool
			return b.try(&ok, "eval", "recording", fmt.Sprintf("(() => { const v = document.querySelector('video'); return !v.seeking && v.videoWidth === %d; })()", width)) == "" && ok
		})
	}
	b.wantNoFaults("recording")
}

// The operator records, stops, clips, plays and deletes by the dashboard, and pauses,
// resumes and removes a destination there: a click each, and the server does it.
func TestDashboardButtons(t *testing.T) {
	parallel(t, browsers)
	c, sink := startCloud(t, "outbound: {allow_private: true}\n"), startCloud(t, "")
	s, to := c.newStream(), sink.newStream()
	if code := c.api("POST", "/api/v1/streams/"+s.ID+"/outputs", map[string]any{"url": to.Ingest["rtmp"], "name": "sink"}, nil); code != http.StatusCreated {
		t.Fatal(code)
	}
	publish(t, s.Ingest["rtmp"], "-g", "30")
	c.wantStatus(s.ID, "live")
	b := startBrowser(t)
	link := c.url + "/#token=" + c.token // the printed one is for one login
	b.do(nil, "open", "dashboard", link)
	press := func(button, what string, done func(list []recording) bool) {
		t.Helper()
		b.do(nil, "click", "dashboard", button)
		eventually(t, what, func() bool { return done(c.recordings()) })
	}
	press(".stream button:text-is('Record')", "it is recorded", func(l []recording) bool { return len(l) == 1 && l[0].Status == "recording" && l[0].Duration > 6 })
	press(".stream button:text-is('Stop recording')", "it is stopped", func(l []recording) bool { return len(l) == 1 && l[0].Status == "finished" })
	press(".stream button:text-is('Clip 30 s')", "there is a clip", func(l []recording) bool { return len(l) == 2 && (l[0].Kind == "clip" || l[1].Kind == "clip") })
	b.do(nil, "click", "dashboard", "summary:has-text('Sent on')")
	state := func(want string) func([]recording) bool {
		return func([]recording) bool { return c.sent(s.ID).output("sink").Status == want }
	}
	press(".outputs button:text-is('Pause')", "the destination is paused", state("stopped"))
	press(".outputs button:text-is('Resume')", "the destination gets it again", state("active"))
	for page, options := range map[string]map[string]any{"dark": {"dark": true}, "light": {}, "phone": {"dark": true, "width": 390, "height": 844}} {
		b.do(nil, "open", page, link, options)
		b.do(nil, "click", page, "summary:has-text('Sent on')")
		b.shot(page, "dashboard-"+page+".png")
		var wider bool
		if b.do(&wider, "eval", page, "document.documentElement.scrollWidth > innerWidth"); wider {
			t.Errorf("%s: the dashboard is wider than its window", page)
		}
		b.wantNoFaults(page)
	}
	press(".outputs button:text-is('Remove')", "the destination is gone", func([]recording) bool { return len(c.sent(s.ID).Outputs) == 0 })
	var page string
	b.do(&page, "eval", "dashboard", "document.querySelector('.recordings a.button').href")
	b.do(nil, "open", "recording", page)
	b.wantReplay("recording", 6)
	for left := 1; left >= 0; left-- {
		b.do(nil, "click", "dashboard", ".recordings li:first-child button:text-is('Delete')")
		press("dialog button:text-is('Delete')", "one is deleted", func(l []recording) bool { return len(l) == left })
		eventually(t, "the list shows it", func() bool {
			var rows int
			return b.try(&rows, "eval", "dashboard", "document.querySelectorAll('.recordings li').length") == "" && rows == left
		})
	}
	b.wantNoFaults("dashboard")
	b.wantNoFaults("recording")
}
