package e2e

import (
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
)

// The README's first command: one page to open, moving pictures with sound,
// speech that stops the stream, and nothing left behind.
//
// B4 B45 C11 C21: managed streams need no internet here; this machine's network is closed
// A43 B1 B21 C1 C4 C17 C20 D23 E2 E7 E9 E13 E21 E31
func TestDemo(t *testing.T) {
	parallel(t, browsers)
	tmp := t.TempDir()
	d := start(t, "glimpse demo", []string{"TMPDIR=" + tmp}, binary, "demo")
	m, _ := d.waitLine(`Watch it live:\s+(http://\S+)`, 0)
	b := startBrowser(t)
	b.do(nil, "open", "demo", m[1])
	b.waitPlayer("demo", "glimpse.state === 'live' && glimpse.protocol === 'webrtc'")
	b.do(nil, "click", "demo", "text=/sound on/i")
	b.wantPlaying("demo")
	b.wantNoFaults("demo")
	var text string
	b.do(&text, "text", "demo")
	if strings.Contains(text, "@") || strings.Contains(string(fetchOK(t, m[1]+"status.json")), "@") {
		t.Error("viewers are told who the wearer is")
	}

	d.say("say clip that")
	clip, _ := d.waitLine(`Your clip:\s+(http://\S+)`, 0)
	b.do(nil, "open", "clip", clip[1])
	b.wantReplay("clip", 1)

	d.say("say stop stream")
	d.waitLine("🛑 Stream stopped", 0)
	b.waitPlayer("demo", "glimpse.state === 'ended'")
	if res, err := http.Get(m[1] + "index.m3u8"); err == nil {
		res.Body.Close()
		if res.StatusCode != http.StatusNotFound {
			t.Errorf("the playlist after the stop: %s", res.Status)
		}
	}
	d.say("say start stream")
	_, from := d.waitLine(`Stream Live!`, 0)
	d.waitLine(`Stream Live!`, from)

	d.signalled(syscall.SIGINT)
	left, err := os.ReadDir(tmp)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range left {
		t.Errorf("%s is left behind", f.Name())
	}
	if err := syscall.Kill(-d.cmd.Process.Pid, 0); err == nil {
		t.Error("a child process is left behind")
	}
}

// Without ffmpeg the demo runs all the same, picture only, and says so.
//
// E25
func TestDemoWithoutFFmpeg(t *testing.T) {
	parallel(t, browsers)
	d := start(t, "glimpse demo", []string{"PATH=" + t.TempDir()}, binary, "demo")
	m, _ := d.waitLine(`Watch it live:\s+(http://\S+)`, 0)
	if !strings.Contains(d.tail(100), "ffmpeg") {
		d.waitLine("ffmpeg", 0)
	}
	b := startBrowser(t)
	b.do(nil, "open", "silent", m[1]+"?protocol=webrtc")
	b.waitPlayer("silent", "glimpse.state === 'live' && glimpse.protocol === 'webrtc' && glimpse.framesDecoded > 30")
}
