package e2e

import (
	"fmt"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A stream by WebRTC whose Opus nobody has had converted yet, because nobody watches,
// is clipped and rewound with its sound over the whole length: AAC, exact to the
// picture, by a child that is gone when the clip is there, within a second, or twice
// what ffmpeg by itself takes for the sound where that is more. Not in parallel: its
// child would wait for a processor.
//
// C27
func TestPastOfUnwatchedOpus(t *testing.T) {
	judge := preparing(t)
	c := startCloud(t, "")
	clipped, rewound := c.newStream(), c.newStream()
	clip := encodeOpus(t, beeping)
	clip.publishWHIP(t, clipped.Ingest["whip"])
	clip.publishWHIP(t, rewound.Ingest["whip"])
	c.wantStatus(clipped.ID, "live")
	c.wantStatus(rewound.ID, "live")
	time.Sleep(16 * time.Second) // of past: twice what is converted for those who come live
	judge()
	c.wantMetrics("ffmpeg_children 0", "ffmpeg_started_total 0")

	var made recording
	began := time.Now()
	if code := c.api("POST", "/api/v1/streams/"+clipped.ID+"/clips", map[string]any{"last": 14}, &made); code != http.StatusCreated {
		t.Fatalf("clip: %d", code)
	}
	took, bare := time.Since(began), convertOpus(t, 14)
	t.Logf("a clip of 14 s took %v; ffmpeg by itself takes %v for its sound", took, bare)
	if took > max(time.Second, 2*bare) || made.Duration != 14 || made.Problem != "" {
		t.Errorf("after %v: %+v", took, made)
	}
	c.wantMetrics("ffmpeg_children 0", "ffmpeg_failed_total 0")
	path := made.download(t)
	if seconds, p := probe(t, path); math.Abs(seconds-14) > 0.05 || p.Streams[0].CodecName != "h264" || p.Streams[1].CodecName != "aac" {
		t.Errorf("%v s of %+v", seconds, p)
	}
	if said := decodeWhole(t, path); said != "" {
		t.Errorf("ffmpeg says %s", said)
	}
	for from := range 14 { // a beep begins in each second
		out, err := readWithFFmpeg(t, "-ss", fmt.Sprint(from), "-t", "1", "-i", path, "-vn", "-af", "volumedetect", "-f", "null", "-")
		volume := -91.0
		if m := meanVolume.FindSubmatch(out); m != nil {
			volume, _ = strconv.ParseFloat(string(m[1]), 64)
		}
		if err != nil || volume < -30 {
			t.Errorf("second %d has sound of %v dB, %v", from, volume, err)
		}
	}
	for _, from := range []float64{0, 7} {
		ms := lagOf(t, "-ss", fmt.Sprint(from), "-i", path)
		t.Logf("after %v s pictures are %.0f ms behind the sound", from, ms)
		if math.Abs(ms) > 40 {
			t.Errorf("after %v s pictures are %.0f ms behind the sound", from, ms)
		}
	}

	// The first viewer of the other one begins with its oldest segment.
	if ms := lagOf(t, "-live_start_index", "1", "-i", rewound.Play["hls"]); math.Abs(ms) > 40 {
		t.Errorf("rewound, pictures are %.0f ms behind the sound", ms)
	}
}

// convertOpus has ffmpeg do by itself what a clip of that many seconds needs, as
// cheaply as it is done there (package transcode), and says how long that takes on this
// machine now.
func convertOpus(t *testing.T, seconds int) time.Duration {
	t.Helper()
	dir := t.TempDir()
	opus := filepath.Join(dir, "sound.ogg")
	runCommand(t, "ffmpeg", "-v", "error", "-f", "lavfi", "-i", beeping, "-t", strconv.Itoa(seconds), "-c:a", "libopus", "-ac", "2", "-b:a", "64k", opus)
	began := time.Now()
	runCommand(t, "ffmpeg", "-v", "error", "-threads", "1", "-i", opus, "-af", "aformat=sample_fmts=s16",
		"-c:a", "aac", "-aac_coder", "fast", "-aac_ms", "0", "-ac", "2", "-ar", "48000", "-b:a", "128k", filepath.Join(dir, "sound.aac"))
	return time.Since(began)
}

// A clip needs no child: without ffmpeg its sound is Opus as it was sent; where the
// child dies it is silent, and the clip says why.
//
// FAULTS F12
func TestClipWithoutConversion(t *testing.T) {
	parallel(t, others)
	clip := encodeOpus(t, beeping)
	for name, c := range map[string]struct {
		script, codec string
		heard, told   bool
	}{
		"missing": {"", "opus", true, false},
		"dies":    {"#!/bin/sh\nexit 1\n", "aac", false, true},
	} {
		dir := t.TempDir()
		if c.script != "" {
			if err := os.WriteFile(filepath.Join(dir, "ffmpeg"), []byte(c.script), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		server := startCloud(t, "", "PATH="+dir)
		s := server.newStream()
		clip.publishWHIP(t, s.Ingest["whip"])
		server.wantStatus(s.ID, "live")
		time.Sleep(6 * time.Second) // of past
		var made recording
		if code := server.api("POST", "/api/v1/streams/"+s.ID+"/clips", map[string]any{"last": 4}, &made); code != http.StatusCreated {
			t.Errorf("%s: %d", name, code)
			continue
		}
		path := made.download(t)
		seconds, p := probe(t, path)
		if math.Abs(seconds-4) > 0.05 || p.Streams[0].CodecName != "h264" || p.Streams[1].CodecName != c.codec {
			t.Errorf("%s: %v s of %+v", name, seconds, p)
		}
		if told := strings.Contains(made.Problem, "could not be converted"); told != c.told {
			t.Errorf("%s: the clip's problem is %q", name, made.Problem)
		}
		if pictures, volume := watch(t, path, 3); pictures < 80 || volume > -60 != c.heard {
			t.Errorf("%s: %d pictures, %.0f dB", name, pictures, volume)
		}
	}
}
