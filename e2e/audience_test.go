package e2e

import (
	"bytes"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

// report is what the API says of a run.
type report struct {
	ID, Stream, End, Video, Sound string
	Duration, Bitrate             float64
	Frames                        uint64
	Reconnects                    int
	Interrupted                   float64
	Viewers                       struct {
		Peak, Total int
		Watched     float64
	}
	Audience map[string]struct{ Peak, Total int }
	Outputs  []output
	Curve    struct {
		Step             float64
		Bitrate, Viewers []float64
	}
}

func (c *cloud) reports(id string) []report {
	c.t.Helper()
	var list struct{ Reports []report }
	c.api("GET", "/api/v1/reports?stream="+id, nil, &list)
	return list.Reports
}

// Who watches by five protocols is told one by one, with what is known of each; the
// thumbnail is there for caches and stays when the stream is over; then there is a
// report, which survives a kill, as does that of the stream that the kill ended.
//
// B37
func TestAudienceAndReport(t *testing.T) {
	parallel(t, others)
	sink := startCloud(t, "")
	c := startCloud(t, withSRT+"outbound: {allow_private: true}\n")
	to := sink.newStream()
	var s stream
	c.api("POST", "/api/v1/streams", map[string]any{"resume_window": 0, "restream": []map[string]string{{"url": to.Ingest["rtmp"], "name": "sink"}}}, &s)
	news := c.followFrom(t, "?type=stream.report", "")
	publisher := publish(t, s.Ingest["rtmp"])
	c.wantStatus(s.ID, "live")
	relayWHEP(t, s.Play["whep"]) // the first
	players := []*process{}
	for _, way := range []string{"rtmp", "srt", "hls", "dash"} {
		players = append(players, start(t, way+" player", nil, "ffmpeg", "-hide_banner", "-nostdin", "-nostats", "-loglevel", "warning",
			"-i", s.Play[way], "-map", "0", "-c", "copy", "-f", "null", "-progress", "pipe:1", "-"))
	}
	var now struct {
		Active, Peak int
		Protocols    map[string]struct {
			Active, Peak, Total int
			Watched             float64
		}
		Viewers []struct {
			ID, Protocol, Address string
			Since                 time.Time
			Bytes                 uint64
			RTT                   float64
		}
	}
	defer func() {
		if t.Failed() {
			t.Logf("viewers: %+v", now)
		}
	}()
	eventually(t, "five watch, and are sent something", func() bool {
		c.api("GET", "/api/v1/streams/"+s.ID+"/viewers", nil, &now)
		sent := map[string]bool{}
		for _, v := range now.Viewers {
			sent[v.Protocol] = sent[v.Protocol] || v.Bytes > 100_000
		}
		return now.Active == 5 && sent["rtmp"] && sent["srt"] && sent["hls"] && len(sent) == 5 && sent["whep"] && // ffmpeg takes DASH's media without a session
			now.Protocols["hls"].Watched > 6 && now.Viewers[0].RTT > 0
	})
	for _, v := range now.Viewers {
		if v.ID == "" || v.Address != "127.0.0.0/24" || time.Since(v.Since) > time.Minute || (v.Protocol == "whep" || v.Protocol == "srt") && v.RTT <= 0 {
			t.Errorf("a viewer: %+v", v)
		}
	}
	for protocol, w := range now.Protocols {
		if w.Active < 1 || w.Peak < 1 || w.Total < 1 || w.Watched <= 0 {
			t.Errorf("by %s: %+v", protocol, w)
		}
	}
	tag := wantThumbnail(t, s.Play["thumbnail"], "public, max-age=2")
	for _, p := range players {
		p.stop()
	}
	publisher.stop()
	c.wantStatus(s.ID, "idle")
	eventually(t, "the report is finished", func() bool { l := c.reports(s.ID); return len(l) == 1 && l[0].End == "over" })
	var r report
	c.api("GET", "/api/v1/reports/"+c.reports(s.ID)[0].ID, nil, &r)
	if e := news.until("stream.report"); e.Stream != s.ID || e.Report != r.ID {
		t.Errorf("the event names report %q of %q, it is %q of %q", e.Report, e.Stream, r.ID, s.ID)
	}
	if r.Duration < 3 || r.Frames < uint64(r.Duration*20) || r.Bitrate < 100_000 || r.Video != "H.264 640x360" || r.Sound != "AAC" ||
		r.Viewers.Peak < 5 || r.Viewers.Total < 5 || r.Viewers.Watched < 5 || len(r.Audience) != 5 ||
		len(r.Curve.Bitrate) < int(r.Duration/r.Curve.Step)-2 || r.Reconnects != 0 {
		t.Errorf("report %+v", r)
	}
	if len(r.Outputs) != 1 || r.Outputs[0].Name != "sink" || r.Outputs[0].Connects != 1 || r.Outputs[0].Sent == 0 || strings.Contains(r.Outputs[0].URL, to.Ingest["rtmp"]) {
		t.Errorf("outputs of the report: %+v", r.Outputs)
	}
	eventually(t, "there is a poster", func() bool { code, _, _ := get(t, s.Play["thumbnail"]); return code == http.StatusOK })
	if last := wantThumbnail(t, s.Play["thumbnail"], "public, max-age=60"); last == tag {
		t.Log("the poster is the thumbnail of before")
	}
	publish(t, s.Ingest["rtmp"])
	c.wantStatus(s.ID, "live")
	wantThumbnail(t, s.Play["thumbnail"], "public, max-age=2")
	c.restart(t, syscall.SIGKILL)
	list := c.reports(s.ID)
	if len(list) != 2 || list[0].End != "server_killed" || list[1].ID != r.ID || list[1].End != "over" {
		t.Errorf("after a kill: %+v", list)
	}
	wantThumbnail(t, s.Play["thumbnail"], "public, max-age=60")
	c.api("DELETE", "/api/v1/streams/"+s.ID, nil, nil)
	if code, _, _ := get(t, s.Play["thumbnail"]); code != http.StatusNotFound {
		t.Errorf("the thumbnail of a deleted stream: %d", code)
	}
}

// wantThumbnail fetches a picture as caches do, and returns its tag.
func wantThumbnail(t *testing.T, url, control string) (tag string) {
	t.Helper()
	code, h, body := get(t, url)
	tag = h.Get("ETag")
	if code != http.StatusOK || !bytes.HasPrefix(body, []byte{0xff, 0xd8}) || h.Get("Cache-Control") != control || tag == "" {
		t.Errorf("thumbnail: %d, %d bytes, %v", code, len(body), h)
	}
	res, err := http.Head(url)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusOK || res.ContentLength < 500 {
		t.Errorf("HEAD: %d, %d bytes", res.StatusCode, res.ContentLength)
	}
	return tag
}
