package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// A managed stream is sent on to RTMP and SRT servers that are not ours, while it
// plays by WebRTC and HLS. One destination refuses: the others get picture and
// sound, the app hears how each of them does, and all of it ends with the stream.
//
// B16 B43 C3 D22 D25 D26
func TestRestream(t *testing.T) {
	parallel(t, others)
	const user, pkg = "wearer@example.com", "com.example.restream"
	port, byRTMP, bySRT, nobody := freePort(t), freePort(t), freePort(t), freePort(t)
	sink := func(name string, input ...string) *process {
		argv := append([]string{"ffmpeg", "-hide_banner", "-nostdin", "-nostats", "-loglevel", "warning"}, input...)
		return start(t, name, nil, append(argv, "-map", "0:v", "-map", "0:a", "-c", "copy", "-f", "null", "-progress", "pipe:1", "-")...)
	}
	twitch := sink("rtmp sink", "-listen", "1", "-i", fmt.Sprintf("rtmp://127.0.0.1:%d/app/secret-key-1", byRTMP))
	youtube := sink("srt sink", "-i", fmt.Sprintf("srt://127.0.0.1:%d?mode=listener", bySRT))
	c := startCloud(t, withSRT+"outbound: {allow_private: true}\napps:\n"+appConfig(pkg, port, "CAMERA, MICROPHONE")+"users:\n  - {id: "+user+"}\n")
	c.startGlasses(t, user)
	a := startApp(t, "alpha", pkg, port)
	c.startSession(a, user)
	addresses := []string{
		fmt.Sprintf("rtmp://127.0.0.1:%d/app/secret-key-1", byRTMP),
		fmt.Sprintf("srt://127.0.0.1:%d?streamid=publish:secret-key-2", bySRT),
		fmt.Sprintf("rtmp://127.0.0.1:%d/app/secret-key-3", nobody),
	}
	var to []map[string]string
	for i, url := range addresses {
		to = append(to, map[string]string{"url": url, "name": fmt.Sprint("destination ", i)})
	}
	id, result, sent := a.send("managed", map[string]any{"restreamDestinations": to}), event{}, false
	a.wait("result, and active with two destinations that take the stream and one that does not", func(e event) bool { // in any order
		if e.Event == "result" && e.ID == id {
			result = e
		}
		sent = sent || e.Kind == "managed" && e.Status == "active" && len(e.Outputs) == 3 && e.Outputs[0].Status == "active" &&
			e.Outputs[1].Status == "active" && e.Outputs[2].Status == "error" && e.Outputs[2].Error != ""
		return sent && result.ID == id
	})
	var u urls
	if err := json.Unmarshal(result.Result, &u); err != nil {
		t.Fatalf("%v: %+v", err, result)
	}
	for _, s := range []*process{twitch, youtube} {
		eventually(t, s.name+" gets pictures", func() bool { return s.lastFrame() > 60 })
	}
	if u.HLS == "" || u.WebRTC == "" {
		t.Errorf("no links beside the restream: %+v", u)
	}
	wantMoving(t, u.HLS)
	var live struct {
		Streams []struct {
			Stats   struct{ Protocol string }
			Outputs []output
		}
	}
	if c.api("GET", "/api/v1/streams", nil, &live); len(live.Streams) != 1 || live.Streams[0].Stats.Protocol != "srt" || len(live.Streams[0].Outputs) != 3 {
		t.Errorf("glasses publish what is sent on by SRT, and the API shows where to: %+v", live)
	}
	a.do(nil, "stopManaged")
	for _, s := range []*process{twitch, youtube} {
		eventually(t, s.name+" hears the end", func() bool {
			select {
			case <-s.done:
				return true
			default:
				return false
			}
		})
	}
	if said := c.tail(10000); strings.Contains(said, "secret-key") {
		t.Error("the log has a key of a destination")
	}
}

// What is published by RTMPS is sent on by RTMP and SRT through its publisher's
// absence and its return by SRT: both destinations see one stream, without a break
// of the connection, and pictures all the time.
func TestRestreamHolds(t *testing.T) {
	parallel(t, waiting)
	sink := startCloud(t, withSRT)
	c := startCloud(t, withSRT+"rtmps: {addr: \"127.0.0.1:0\"}\noutbound: {allow_private: true}\n")
	byRTMP, bySRT := sink.newStream(), sink.newStream()
	var s stream
	if code := c.api("POST", "/api/v1/streams", map[string]any{"restream": []map[string]string{
		{"name": "RTMP", "url": byRTMP.Ingest["rtmp"]}, {"name": "SRT", "url": bySRT.Ingest["srt"]},
	}}, &s); code != http.StatusCreated {
		t.Fatal(code)
	}
	more := func(what string, least uint64) {
		t.Helper()
		before := map[string]uint64{}
		for _, to := range []stream{byRTMP, bySRT} {
			before[to.ID] = sink.sent(to.ID).Stats.Frames
		}
		eventually(t, what+": both destinations get pictures", func() bool {
			return sink.sent(byRTMP.ID).Stats.Frames >= before[byRTMP.ID]+least && sink.sent(bySRT.ID).Stats.Frames >= before[bySRT.ID]+least
		})
	}
	publisher := publish(t, s.Ingest["rtmps"])
	for _, to := range []stream{byRTMP, bySRT} {
		sink.wantStatus(to.ID, "live")
	}
	more("by RTMPS", 60)
	publisher.stop()
	c.wantStatus(s.ID, "interrupted")
	more("while the publisher is away", 15) // five stills a second
	publishTo(t, "mpegts", s.Ingest["srt"])
	c.wantStatus(s.ID, "live")
	more("by SRT", 60)
	for _, name := range []string{"RTMP", "SRT"} {
		if o := c.sent(s.ID).output(name); o.Status != "active" || o.Connects != 1 || o.Dropped != 0 {
			t.Errorf("%s: %+v", name, o)
		}
	}
	for _, to := range []stream{byRTMP, bySRT} {
		if now := sink.sent(to.ID); now.Status != "live" {
			t.Errorf("a destination sees %q", now.Status)
		}
	}
	c.api("DELETE", "/api/v1/streams/"+s.ID, nil, nil)
	eventually(t, "the report is finished", func() bool { l := c.reports(s.ID); return len(l) == 1 && l[0].End == "over" })
	var r report
	c.api("GET", "/api/v1/reports/"+c.reports(s.ID)[0].ID, nil, &r)
	if r.Reconnects != 1 || r.Interrupted < 2 || len(r.Outputs) != 2 || len(r.Curve.Bitrate) < 5 {
		t.Errorf("report %+v", r)
	}
	for _, o := range r.Outputs {
		if o.Connects != 1 || o.Sent < 120 || o.Dropped != 0 {
			t.Errorf("an output of the report: %+v", o)
		}
	}
}
