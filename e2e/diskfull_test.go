package e2e

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"
)

// The disk of the recordings fills up while a stream is recorded, and has room
// again: the stream loses nothing, it is told within 5 s, nothing empty is left,
// and the recording goes on within 10 s.
//
// F15 G8
func TestDiskFull(t *testing.T) {
	parallel(t, others)
	if runtime.GOOS != "linux" {
		t.Skip("only Linux gives a process a small disk of its own; package record shows the same with a disk that fails on command")
	}
	small := t.TempDir()
	own := "-rm" // a mount is for root, if only in a namespace of its own
	if os.Geteuid() == 0 {
		own = "-m"
	}
	c := startCloudBy(t, []string{"unshare", own, "sh", "-c", `mount -t tmpfs -o size=24m tmpfs "$0" && exec "$@"`, small},
		"recording: {dir: "+small+", min_free: 0%}\nstreams:\n  - {name: cam, ingest_key: cam, playback_id: cam, record: always}\n")
	dir := fmt.Sprintf("/proc/%d/root%s", c.cmd.Process.Pid, small) // as the server sees it
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
	c.wantMetrics("recordings_active 1", "recordings_paused 1", "recording_failures_total 1")
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
	// The recording, what is known of it, and what is wished for the stream.
	var names []string
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if want := []string{done.ID + ".json", done.ID + ".mp4", "wishes"}; err != nil || !slices.Equal(names, want) {
		t.Errorf("files %v (%v), want %v", names, err, want)
	}
	path := filepath.Join(dir, done.ID+".mp4")
	probe(t, path)
	if said := decodeWhole(t, path); said != "" {
		t.Errorf("ffmpeg says %s", said)
	}
}
