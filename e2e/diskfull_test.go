package e2e

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// The disk of the recordings fills up while a stream is recorded, and has room
// again: the stream loses nothing, it is told within 5 s, nothing empty is left,
// and the recording goes on within 10 s.
//
// F15 G8
func TestDiskFull(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "small")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", dir).CombinedOutput(); err != nil {
		t.Skipf("no small disk can be mounted here (%v: %s); package record shows the same with a disk that fails on command", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", "-l", dir).CombinedOutput(); err != nil {
			t.Errorf("umount: %v: %s", err, out)
		}
	})
	c := startCloud(t, "recording: {dir: "+dir+", min_free: 0%}\nstreams:\n  - {name: cam, ingest_key: cam, playback_id: cam, record: always}\n")
	publish(t, c.rtmp+"/live/cam", "-g", "30")
	eventually(t, "it is recorded", func() bool {
		list := c.recordings()
		return len(list) == 1 && list[0].Status == "recording" && list[0].Duration > 1
	})
	id := c.recordings()[0].Stream
	news := c.followFrom(t, "?type=recording.*", "")
	filler := filepath.Join(dir, "filler")
	began := time.Now()
	if err := os.WriteFile(filler, bytes.Repeat([]byte{1}, 24<<20), 0o600); err == nil {
		t.Fatal("the small disk took everything")
	}
	if e := news.until("recording.failed"); e.Stream != id || time.Since(began) > 5*time.Second {
		t.Errorf("told %+v after %v", e, time.Since(began))
	}
	time.Sleep(4 * time.Second)
	for _, r := range c.recordings() {
		if r.Status != "paused" || r.Problem == "" {
			t.Errorf("with a full disk: %+v", r)
		}
	}
	if n, _ := watch(t, c.rtmp+"/live/cam", 2); n < 50 {
		t.Errorf("a viewer got %d pictures in 2 s while the disk was full", n)
	}
	began = time.Now()
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	news.until("recording.resumed")
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it went on after %v", took)
	}
	var now struct{ Stats struct{ Dropped uint64 } }
	c.api("GET", "/api/v1/streams/"+id, nil, &now)
	if now.Stats.Dropped != 0 {
		t.Errorf("readers lost %d frames", now.Stats.Dropped)
	}
	var done recording
	if code := c.api("DELETE", "/api/v1/streams/"+id+"/recording", nil, &done); code != 200 || done.Status != "finished" || done.Duration < 6 {
		t.Errorf("stopped: %d %+v", code, done)
	}
	names, err := os.ReadDir(dir)
	if err != nil || len(names) != 2 {
		t.Errorf("%d files (%v), want the recording and what is known of it", len(names), err)
	}
	path := filepath.Join(dir, done.ID+".mp4")
	probe(t, path)
	if said := decodeWhole(t, path); said != "" {
		t.Errorf("ffmpeg says %s", said)
	}
}
