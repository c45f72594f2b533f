package glasses

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A script holds its lines back until what it waits for has happened since its
// last wait, or is so; the keyboard goes on meanwhile.
func TestScriptWaits(t *testing.T) {
	wear(t, func(w *wearing) {
		w.cloud.accept()
		script := make(chan struct{})
		go func() {
			for _, line := range []string{
				"wait connected", "wait start", "wait streaming", "wait 5s", "fail camera_busy", "wait error", "button short",
			} {
				w.lines <- line
			}
			close(script)
		}()
		began := w.cloud.live("s1", "")
		m := w.cloud.expect("stream_status s1 error: camera_busy")
		if d := m.at - began.at; d != 5*time.Second {
			t.Errorf("the stream failed after %v", d)
		}
		w.cloud.expect("button_press")
		<-script
		// What is so now needs no waiting, what has been is not waited for again.
		w.lines <- "wait error"
		w.lines <- "button long"
		w.cloud.expect("button_press")
		w.lines <- "wait start"
		w.cloud.quiet(time.Minute)
		w.cloud.send(`{"type":"start_stream","streamId":"s2","streamUrl":"rtmp://host/live/key"}`)
		w.lines <- "button short"
		for w.cloud.next().Press != "short" {
		}
	})
}

// Whoever waits when the glasses are taken off is let go.
func TestQuitWhileWaiting(t *testing.T) {
	wear(t, func(w *wearing) {
		w.cloud.accept()
		w.lines <- "phone off 1h"
		w.lines <- "bluetooth off 1h"
		w.lines <- "wait 59m"
	})
	wear(t, func(w *wearing) {
		w.cloud.accept()
		w.lines <- "wait streaming"
	})
}

func TestPhotos(t *testing.T) {
	wear(t, func(w *wearing) {
		w.cloud.accept()
		w.lines <- "photo"
		if m := w.cloud.expect("photo_taken"); !strings.Contains(m.frame, `"mimeType":"image/jpeg"`) || !strings.Contains(m.frame, `"photoData":"/9j/`) {
			t.Errorf("sent %s", m.frame)
		}
		w.cloud.send(`{"type":"photo_request","requestId":"r1"}`)
		if m := w.cloud.expect("photo_response"); !strings.Contains(m.frame, `"requestId":"r1","success":false,"error":{"code":"CAMERA_CAPTURE_FAILED"`) {
			t.Errorf("sent %s", m.frame)
		}
	})
}

// The speed divides the glasses' own times and those in lines.
func TestSpeed(t *testing.T) {
	if d := (Times{Stats: time.Minute}).withDefaults(60); d.KeepAlive != time.Second || d.Stats != time.Minute {
		t.Errorf("%+v", d)
	}
	g := &Glasses{cfg: Config{Speed: 60}}
	if d := g.lasting(time.Minute); d != time.Second {
		t.Errorf("a minute lasts %v", d)
	}
}

// A script is read whole before anything begins: a wrong line is told at once.
func TestScriptIsChecked(t *testing.T) {
	name := filepath.Join(t.TempDir(), "script.txt")
	if err := os.WriteFile(name, []byte("# fine\nwait 5s\n\nphone off 5\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	err := Run(context.Background(), Options{Server: "http://127.0.0.1:1", Token: "x", Script: name}, nil, new(strings.Builder))
	if err == nil || !strings.Contains(err.Error(), "line 4: not understood: phone on or off") {
		t.Errorf("a wrong script: %v", err)
	}
	for _, o := range []Options{{Script: name + "x"}, {Speed: -1}, {Speed: 1001}} {
		o.Server, o.Token = "http://127.0.0.1:1", "x"
		if err := Run(context.Background(), o, nil, new(strings.Builder)); err == nil {
			t.Errorf("%+v: no error", o)
		}
	}
}

// Waiters beyond what a script needs cost nothing that grows.
func TestDiary(t *testing.T) {
	var d diary
	for range 3 * maxNews {
		d.note("streaming")
	}
	if len(d.news) != maxNews {
		t.Errorf("%d words kept", len(d.news))
	}
	over := make(chan struct{})
	d.note("error")
	d.await("error", false, over)
	<-over
	if again := make(chan struct{}); len(d.news) != 0 {
		t.Errorf("%d words left for the next wait", len(d.news))
	} else if d.await("streaming", true, again); len(d.waiters) != 0 {
		t.Error("what is so now is waited for")
	}
	synctest.Test(t, func(t *testing.T) {
		over := make(chan struct{})
		d.await("stopped", false, over)
		d.note("error")
		select {
		case <-over:
			t.Error("the wrong word ended a wait")
		default:
		}
		d.note("stopped")
		<-over
	})
}
