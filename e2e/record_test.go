package e2e

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// recording is what the API says of one.
type recording struct {
	ID, Kind, Stream, Status, Problem string
	Continues                         string
	Duration                          float64
	Bytes                             int64
	Gaps                              []struct {
		From, To float64
		Reason   string
	}
	Page, HLS, File string
}

func (c *cloud) recordings() []recording {
	c.t.Helper()
	var list struct{ Recordings []recording }
	if code := c.api("GET", "/api/v1/recordings", nil, &list); code != http.StatusOK {
		c.t.Fatalf("recordings: %d", code)
	}
	return list.Recordings
}

// wantMetrics fails unless /metrics has these figures of ours.
func (c *cloud) wantMetrics(lines ...string) {
	c.t.Helper()
	_, _, all := get(c.t, c.url+"/metrics")
	for _, line := range lines {
		if !strings.Contains(string(all), "\nglimpse_"+line+"\n") {
			c.t.Errorf("/metrics has no %q", line)
		}
	}
}

// probed is what ffprobe says of a file.
type probed struct {
	Format  struct{ Duration string }
	Streams []struct {
		CodecName string `json:"codec_name"`
		CodecType string `json:"codec_type"`
		Frames    string `json:"nb_read_packets"`
	}
}

// probe opens a file in ffprobe, which must find nothing to complain about.
func probe(t *testing.T, path string) (seconds float64, p probed) {
	t.Helper()
	out := runCommand(t, "ffprobe", "-v", "error", "-count_packets", "-show_format", "-show_streams", "-of", "json", path)
	if err := json.Unmarshal([]byte(out), &p); err != nil {
		t.Fatalf("ffprobe %s: %v in %s", path, err, out)
	}
	seconds, err := strconv.ParseFloat(p.Format.Duration, 64)
	if err != nil || len(p.Streams) != 2 {
		t.Fatalf("ffprobe %s: %s", path, out)
	}
	return seconds, p
}

// decodeWhole decodes a file whole and returns what ffmpeg complains about.
func decodeWhole(t *testing.T, path string) string {
	t.Helper()
	out, err := readWithFFmpeg(t, "-loglevel", "warning", "-xerror", "-i", path, "-f", "null", "-")
	if err != nil {
		return fmt.Sprintf("%v: %s", err, out)
	}
	return string(out)
}

// The server is killed while it records: each file opens in ffprobe as it is left,
// and again when the next process has finished it, and has lost at most a second.
//
// F13 G6
func TestRecordingKilled(t *testing.T) {
	parallel(t, others)
	kills := 5
	if long {
		kills = 20
	}
	c := startCloud(t, "streams:\n  - {name: cam, ingest_key: cam, playback_id: cam, record: always}\n")
	c.keepPorts(t)
	lost := 0.0
	for i := range kills {
		source := publish(t, c.rtmp+"/live/cam", "-g", "30")
		var now recording
		eventually(t, "it is recorded", func() bool {
			list := c.recordings()
			if len(list) == i+1 {
				now = list[0]
			}
			return now.Status == "recording"
		})
		id := c.streamNamed("cam").ID
		before := now.Duration - float64(c.sent(id).Stats.Frames)/30
		time.Sleep(time.Second + rand.N(2*time.Second))
		received := before + float64(c.sent(id).Stats.Frames)/30 // at least so much had come
		if err := c.cmd.Process.Signal(syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		<-c.done
		path := filepath.Join(c.dir, "data", "recordings", now.ID+".mp4")
		left, _ := probe(t, path)
		lost = max(lost, received-left)
		if left < received-1 {
			t.Errorf("kill %d: %.2f s are left of %.2f", i, left, received)
		}
		source.stop()
		began := time.Now()
		c.again(t)
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("kill %d: the next process needed %v", i, took)
		}
		eventually(t, "the recording is whole", func() bool {
			for _, r := range c.recordings() {
				if r.ID == now.ID {
					return r.Status == "finished"
				}
			}
			return false
		})
		whole, p := probe(t, path)
		if whole < received-1 || p.Streams[0].CodecName != "h264" || p.Streams[1].CodecName != "aac" {
			t.Errorf("kill %d: %.2f s of %.2f: %+v", i, whole, received, p.Streams)
		}
		if said := decodeWhole(t, path); said != "" {
			t.Errorf("kill %d: ffmpeg says %s", i, said)
		}
	}
	t.Logf("at most %.2f s of what had come were lost by one of %d kills", lost, kills)
	names, err := os.ReadDir(filepath.Join(c.dir, "data", "recordings"))
	if err != nil || len(names) != 2*kills {
		t.Errorf("%d files (%v), want %d", len(names), err, 2*kills)
	}
}

// Whoever asks by the API has a stream recorded until they stop it or the server
// ends: then the file is whole. It is downloaded with ranges, and deleted.
//
// C27 E41 F14
func TestRecordingByAPI(t *testing.T) {
	parallel(t, waiting)
	c := startCloud(t, "")
	s := c.newStream()
	publish(t, s.Ingest["rtmp"])
	c.wantStatus(s.ID, "live")
	news := c.followFrom(t, "?type=recording.*", "")
	var made, done recording
	if code := c.api("POST", "/api/v1/streams/"+s.ID+"/recording", nil, &made); code != http.StatusCreated || made.Status != "recording" {
		t.Fatalf("start: %d %+v", code, made)
	}
	if e := news.until("recording.started"); e.Stream != s.ID {
		t.Errorf("%+v", e)
	}
	c.wantMetrics("recordings_active 1", "recordings_paused 0", "recordings 1", "recording_failures_total 0")
	time.Sleep(2 * time.Second)
	if code := c.api("DELETE", "/api/v1/streams/"+s.ID+"/recording", nil, &done); code != http.StatusOK || done.ID != made.ID || done.Status != "finished" || done.Duration < 2 {
		t.Fatalf("stop: %d %+v", code, done)
	}
	news.until("recording.stopped")
	c.wantMetrics("recordings_active 0", "recordings 1")
	code, header, whole := get(t, made.File)
	path := filepath.Join(t.TempDir(), "whole.mp4")
	if err := os.WriteFile(path, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	if seconds, _ := probe(t, path); code != 200 || int64(len(whole)) != done.Bytes || seconds < 2 || header.Get("Accept-Ranges") != "bytes" {
		t.Errorf("file: %d, %d of %d bytes, %v s, %v", code, len(whole), done.Bytes, seconds, header)
	}
	if said := decodeWhole(t, path); said != "" {
		t.Errorf("ffmpeg says %s", said)
	}
	req, err := http.NewRequest("GET", c.url+"/api/v1/recordings/"+made.ID+"/file", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	req.Header.Set("Range", "bytes=4-7")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	part := make([]byte, 5)
	n, _ := res.Body.Read(part)
	if res.StatusCode != http.StatusPartialContent || string(part[:n]) != "ftyp" || !strings.Contains(res.Header.Get("Content-Disposition"), "attachment") {
		t.Errorf("a range: %d %q", res.StatusCode, part[:n])
	}
	if code := c.api("DELETE", "/api/v1/recordings/"+made.ID, nil, nil); code != http.StatusNoContent {
		t.Errorf("delete: %d", code)
	}
	if code, _, _ := get(t, made.File); code != http.StatusNotFound {
		t.Errorf("a deleted recording answers %d", code)
	}

	if code := c.api("POST", "/api/v1/streams/"+s.ID+"/recording", nil, &made); code != http.StatusCreated {
		t.Fatalf("start again: %d", code)
	}
	time.Sleep(time.Second)
	if err := c.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	<-c.done
	path = filepath.Join(c.dir, "data", "recordings", made.ID+".mp4")
	if seconds, _ := probe(t, path); seconds < 1 {
		t.Errorf("%v s at the end of the server", seconds)
	}
	head := make([]byte, 48)
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Read(head); err != nil || string(head[36:40]) != "mdat" {
		t.Errorf("the end of the server left the file unfinished: %q", head)
	}
}

// Somebody's wish to record a stream outlives a kill and a restart of the server:
// when the publisher is back, another recording continues the one before.
//
// F13 F14
func TestRecordingGoesOn(t *testing.T) {
	parallel(t, others)
	c := startCloud(t, "")
	s := c.newStream()
	publisher := publish(t, s.Ingest["rtmp"])
	c.wantStatus(s.ID, "live")
	var first recording
	if code := c.api("POST", "/api/v1/streams/"+s.ID+"/recording", nil, &first); code != http.StatusCreated {
		t.Fatal(code)
	}
	for _, signal := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM} {
		eventually(t, "something is recorded", func() bool { return len(c.recordings()) > 0 && c.recordings()[0].Duration > 1 })
		before := c.recordings()[0]
		c.restart(t, signal)
		publisher.stop() // the server's end was its own
		publisher = publish(t, s.Ingest["rtmp"])
		eventually(t, "another recording continues it", func() bool {
			now := c.recordings()[0]
			return now.Continues == before.ID && now.Status == "recording"
		})
	}
	if code := c.api("DELETE", "/api/v1/streams/"+s.ID+"/recording", nil, nil); code != http.StatusOK {
		t.Fatal(code)
	}
	all := c.recordings()
	if len(all) != 3 || all[2].Duration == 0 {
		t.Errorf("%+v", all)
	}
	for _, r := range all {
		if r.Status != "finished" {
			t.Errorf("%+v", r)
		}
	}
}

// A stream by WHIP that nobody watches is recorded with its sound, as AAC, and when
// another publisher takes over by RTMP, with other parameters and AAC of its own,
// the same file goes on: picture and sound meet in both halves.
func TestRecordingOfTwoPublishers(t *testing.T) {
	parallel(t, others)
	c := startCloud(t, "")
	s := c.newStream()
	encodeOpus(t, beeping).publishWHIP(t, s.Ingest["whip"])
	c.wantStatus(s.ID, "live")
	var made, done recording
	if code := c.api("POST", "/api/v1/streams/"+s.ID+"/recording", nil, &made); code != http.StatusCreated {
		t.Fatal(code)
	}
	time.Sleep(5 * time.Second)
	publishFlashesTo(t, "flv", s.Ingest["rtmp"])
	eventually(t, "the encoder has taken over", func() bool {
		var now struct{ Stats struct{ Protocol string } }
		c.api("GET", "/api/v1/streams/"+s.ID, nil, &now)
		return now.Stats.Protocol == "rtmp"
	})
	half := c.recordings()[0].Duration
	time.Sleep(5 * time.Second)
	if code := c.api("DELETE", "/api/v1/streams/"+s.ID+"/recording", nil, &done); code != http.StatusOK || done.ID != made.ID || len(c.recordings()) != 1 {
		t.Fatalf("stop: %d %+v of %+v", code, done, c.recordings())
	}
	path := filepath.Join(t.TempDir(), "two.mp4")
	_, _, file := get(t, made.File)
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	if seconds, p := probe(t, path); seconds < half+4 || p.Streams[0].CodecName != "h264" || p.Streams[1].CodecName != "aac" {
		t.Errorf("%v s of %+v", seconds, p)
	}
	if said := decodeWhole(t, path); said != "" {
		t.Errorf("ffmpeg says %s", said)
	}
	for half, from := range map[string]float64{"by WHIP": 0, "by RTMP": half} {
		if ms := lagOf(t, "-ss", fmt.Sprint(from), "-i", path); math.Abs(ms) > 40 {
			t.Errorf("%s pictures are %.0f ms behind the sound", half, ms)
		}
	}
}
