package glasses

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"glimpse/protocol"
)

// A start in the new or the old spelling publishes to exactly the URL that it
// names, statistics say what was written, and a stop ends it.
// A39
func TestStartAndStop(t *testing.T) {
	for _, tc := range []struct{ start, stop, alive string }{
		{
			`{"type":"start_stream","streamUrl":"rtmp://host/live/key","rtmpUrl":"rtmp://other/live/key","streamId":"s1","sound":true,"flash":true}`,
			`{"type":"stop_stream","streamId":"s1"}`,
			`{"type":"keep_stream_alive","streamId":"s1","ackId":"a1b2c3"}`,
		},
		{
			`{"type":"start_rtmp_stream","rtmpUrl":"rtmp://host/live/key","streamId":"s1","sound":true}`,
			`{"type":"stop_rtmp_stream","streamId":"s1"}`,
			`{"type":"keep_rtmp_stream_alive","streamId":"s1","ackId":"a1b2c3"}`,
		},
	} {
		wear(t, func(w *wearing) {
			w.cloud.accept()
			w.cloud.send(tc.start)
			w.cloud.expect("stream_status s1 initializing")
			w.cloud.expect("stream_status s1 connecting")
			w.cloud.expect("stream_status s1 streaming")
			time.Sleep(20*time.Second + time.Millisecond)
			synctest.Wait()
			var stats protocol.Stats
			for len(w.cloud.messages) > 0 {
				m := <-w.cloud.messages
				if m.Status != "streaming" {
					t.Errorf("unexpected %s", m)
				}
				stats = *m.Stats
			}
			// The clip is 10 s of 1,174,893 bit/s video and 64,573 bit/s sound.
			if math.Abs(stats.FPS-30) > 0.6 || math.Abs(stats.Bitrate-1_240_000) > 400_000 ||
				stats.DroppedFrames != 0 || math.Abs(stats.Duration-20) > 0.2 {
				t.Errorf("statistics after 20 s: %+v", stats)
			}
			w.cloud.send(tc.alive)
			if m := w.cloud.expect("keep_alive_ack"); m.StreamID != "s1" || m.AckID != "a1b2c3" {
				t.Errorf("ack for %q %q", m.StreamID, m.AckID)
			}
			w.cloud.send(tc.stop)
			w.cloud.expect("stream_status s1 stopping")
			w.cloud.expect("stream_status s1 stopped")
			p := w.rtmp.last()
			frames, closed := p.state()
			if p.url != "rtmp://host/live/key" || p.tracks != 2 || !closed {
				t.Errorf("published to %s, %d tracks, closed %v", p.url, p.tracks, closed)
			}
			if len(frames) < 20*(30+46) || !frames[0].Key {
				t.Errorf("%d frames, the first a key frame: %v", len(frames), frames[0].Key)
			}
			for i, f := range frames {
				if late := p.times[i].Sub(p.times[0]) - f.DTS; late < 0 || late > time.Millisecond {
					t.Fatalf("frame at %v left %v late", f.DTS, late)
				}
			}
			if s := w.screen(); !strings.Contains(s, "● recording light on  ♪ start sound\n") ||
				!strings.Contains(s, "○ recording light off  ♪ stop sound\n") {
				t.Errorf("the wearer saw\n%s", s)
			}
		})
	}
}

func TestStreamEndsWithoutKeepAlive(t *testing.T) {
	wear(t, func(w *wearing) {
		w.cloud.accept()
		w.cloud.live("s1", "")
		time.Sleep(50 * time.Second)
		w.cloud.send(`{"type":"keep_stream_alive","streamId":"s1","ackId":"x"}`)
		armed := w.cloud.expect("keep_alive_ack")
		m := w.cloud.expect("stream_status s1 timeout: Stream timed out - no keep-alive from cloud")
		if d := m.at - armed.at; d != time.Minute {
			t.Errorf("ended %v after the last keep-alive", d)
		}
		w.cloud.send(`{"type":"keep_stream_alive","streamId":"s1","ackId":"y"}`)
		w.cloud.quiet(time.Minute) // a stream that is over is not answered for
	})
}

// A24
func TestDurationLimit(t *testing.T) {
	wear(t, func(w *wearing) {
		w.cloud.accept()
		began := w.cloud.live("s1", `,"stream":{"durationLimit":12.5}`)
		w.cloud.expect("stream_status s1 stopping")
		if m := w.cloud.expect("stream_status s1 stopped"); m.at-began.at != 12500*time.Millisecond {
			t.Errorf("ended after %v", m.at-began.at)
		}
	})
}

// A lost connection is tried ten times, 1 s and then 1.5 times longer each.
func TestReconnectFails(t *testing.T) {
	wear(t, func(w *wearing) {
		w.cloud.accept()
		w.cloud.live("s1", "")
		w.rtmp.set(errors.New("connection refused"))
		w.rtmp.last().breakNow(errors.New("broken pipe"))
		pause := time.Second
		var last time.Duration
		for n := 1; n <= 10; n++ {
			m := w.cloud.expect(fmt.Sprintf("stream_status s1 reconnecting %d/10", n))
			if n == 1 && m.Reason != "broken pipe" || n > 1 && m.Reason != "connection refused" {
				t.Errorf("attempt %d because of %q", n, m.Reason)
			}
			if n > 1 {
				if d := (m.at - last - pause).Abs(); d > time.Millisecond {
					t.Errorf("attempt %d after %v, want %v", n, m.at-last, pause)
				}
				pause = pause * 3 / 2
			}
			last = m.at
			w.cloud.send(`{"type":"keep_stream_alive","streamId":"s1","ackId":"x"}`)
			w.cloud.expect("keep_alive_ack")
		}
		w.cloud.expect("stream_status s1 reconnect_failed: Failed to reconnect after 10 attempts")
	})
}

func TestReconnectSucceeds(t *testing.T) {
	wear(t, func(w *wearing) {
		w.cloud.accept()
		w.cloud.live("s1", "")
		for range 2 { // the second break begins to count anew
			w.rtmp.last().breakNow(errors.New("broken pipe"))
			w.cloud.expect("stream_status s1 reconnecting 1/10")
			w.cloud.expect("stream_status s1 reconnected")
			var stats *protocol.Stats
			for stats == nil {
				if m := <-w.cloud.messages; m.Status == "streaming" {
					stats = m.Stats
				}
			}
			// A second's pause and the rest until the next key frame.
			if stats.DroppedFrames < 28 {
				t.Errorf("%v pictures dropped", stats.DroppedFrames)
			}
			frames, _ := w.rtmp.last().state()
			if !frames[0].Key {
				t.Error("the new connection does not begin with a key frame")
			}
			time.Sleep(5 * time.Second)
			synctest.Wait()
		}
		w.cloud.quiet(time.Second)
	})
}

// A network that is too slow costs pictures, and the statistics say so.
func TestSlowNetworkDropsPictures(t *testing.T) {
	wear(t, func(w *wearing) {
		w.cloud.accept()
		w.cloud.live("s1", "")
		p := w.rtmp.last()
		p.mu.Lock()
		p.delay = 3 * time.Second
		p.mu.Unlock()
		time.Sleep(9 * time.Second)
		synctest.Wait()
		var stats protocol.Stats
		for len(w.cloud.messages) > 0 {
			stats = *(<-w.cloud.messages).Stats
		}
		if stats.DroppedFrames < 85 || stats.DroppedFrames > 125 {
			t.Errorf("dropped %v pictures in a stall of 3 s", stats.DroppedFrames)
		}
		frames, _ := p.state()
		var before time.Duration
		for _, f := range frames {
			if f.IsVideo() && f.DTS-before > time.Second && !f.Key {
				t.Errorf("after the stall it goes on at %v without a key frame", f.DTS)
			}
			if f.IsVideo() {
				before = f.DTS
			}
		}
	})
}

func TestStartRefused(t *testing.T) {
	for _, tc := range []struct{ name, url, want string }{
		{"no URL", "", "missing URL: the start names none"},
		{"unknown", "ftp://host/x", "unknown URL protocol: ftp (these glasses publish by rtmp, rtmps, srt and https, which is WHIP)"},
		{"broken", "rtmp://", "Invalid URL: not an address like rtmp://host/app/key"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			wear(t, func(w *wearing) {
				w.cloud.accept()
				w.cloud.send(`{"type":"start_stream","streamId":"s1","streamUrl":"` + tc.url + `"}`)
				w.cloud.expect("stream_status s1 error: " + tc.want)
			})
		})
	}
	t.Run("nobody listens", func(t *testing.T) {
		wear(t, func(w *wearing) {
			w.cloud.accept()
			w.rtmp.set(errors.New("connection refused"))
			w.cloud.send(`{"type":"start_stream","streamId":"s1","streamUrl":"rtmp://host/live/key"}`)
			w.cloud.expect("stream_status s1 initializing")
			w.cloud.expect("stream_status s1 connecting")
			w.cloud.expect("stream_status s1 error: Network error: could not connect to RTMP server: connection refused")
		})
	})
	t.Run("low battery", func(t *testing.T) {
		wear(t, func(w *wearing) {
			w.cloud.accept()
			w.lines <- "battery 5"
			w.cloud.expect("glasses_battery_update")
			w.cloud.send(`{"type":"start_stream","streamId":"s1","streamUrl":"rtmp://host/live/key"}`)
			w.cloud.expect("stream_status s1 error: battery too low to start streaming")
		})
	})
	t.Run("stop without stream", func(t *testing.T) {
		wear(t, func(w *wearing) {
			w.cloud.accept()
			w.cloud.send(`{"type":"stop_stream","streamId":"s9"}`)
			w.cloud.expect("stream_status s9 error: not_streaming")
		})
	})
}

// A new start takes the camera from the former stream, whose end is told late.
func TestNewStartEndsTheFormerStream(t *testing.T) {
	wear(t, func(w *wearing) {
		w.cloud.accept()
		w.cloud.live("s1", "")
		began := w.cloud.live("s2", "")
		if m := w.cloud.expect("stream_status s1 stopped"); m.at-began.at != 500*time.Millisecond {
			t.Errorf("s1 stopped %v after s2 was live", m.at-began.at)
		}
		if len(w.rtmp.pubs) != 2 {
			t.Fatalf("%d publications", len(w.rtmp.pubs))
		}
		if _, closed := w.rtmp.pubs[0].state(); !closed {
			t.Error("the former publication is still open")
		}
		// The same stream started anew has no former life to speak of.
		w.cloud.live("s2", "")
		w.cloud.quiet(2 * time.Second)
	})
}

// The websocket may break: the stream goes on, and what the cloud missed is
// told on the next one.
func TestWebsocketReconnects(t *testing.T) {
	wear(t, func(w *wearing) {
		w.cloud.accept()
		w.cloud.live("s1", "")
		began := time.Now()
		w.cloud.ws.CloseNow()
		w.cloud.accept()
		if d := time.Since(began); d < time.Second || d > 1100*time.Millisecond {
			t.Errorf("reconnected after %v", d)
		}
		if m := <-w.cloud.messages; m.String() != "stream_status s1 streaming" {
			t.Errorf("after the reconnection the glasses sent %q", m)
		}
		if len(w.rtmp.pubs) != 1 {
			t.Errorf("the stream did not go on: %d publications", len(w.rtmp.pubs))
		}

		// Now the stream ends while there is no websocket.
		w.cloud.away.Store(true)
		w.cloud.ws.CloseNow()
		time.Sleep(time.Minute)
		for len(w.cloud.messages) > 0 {
			<-w.cloud.messages
		}
		w.cloud.away.Store(false)
		w.cloud.accept()
		w.cloud.expect("stream_status s1 timeout: Stream timed out - no keep-alive from cloud")
	})
}

func TestTokenRefused(t *testing.T) {
	film := clipSource(t)
	synctest.Test(t, func(t *testing.T) {
		c := newCloud(t)
		defer synctest.Wait()
		defer c.close()
		g, err := New(Config{
			Server: "http://cloud", Token: "bad", Source: film, Publish: new(rtmpServer).publish, Dial: c.net.Dial,
		}, io.Discard, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		err = g.Run(t.Context(), nil)
		if !errors.Is(err, ErrUnauthorized) || !strings.Contains(err.Error(), "Invalid core token") {
			t.Errorf("Run returned %v", err)
		}
	})
}

func TestSuperseded(t *testing.T) {
	for _, how := range []string{"message", "close"} {
		wear(t, func(w *wearing) {
			w.cloud.accept()
			if how == "message" {
				w.cloud.send(`{"type":"connection_error","message":"superseded by another device"}`)
			}
			go w.cloud.ws.Close(websocket.StatusNormalClosure, "superseded by another device")
			if err := <-w.result; !errors.Is(err, ErrSuperseded) {
				t.Errorf("%s: Run returned %v", how, err)
			}
			if s := w.screen(); !strings.Contains(s, "superseded by another device") {
				t.Errorf("the wearer saw\n%s", s)
			}
		})
	}
}

// Out of reach, everything is lost at once and comes back by itself.
func TestDrop(t *testing.T) {
	wear(t, func(w *wearing) {
		w.cloud.accept()
		w.lines <- "drop 5s"
		began := time.Now()
		w.cloud.accept()
		if d := time.Since(began); d < 5*time.Second || d > 8*time.Second {
			t.Errorf("back after %v", d)
		}
	})
}

func TestWearer(t *testing.T) {
	wear(t, func(w *wearing) {
		w.cloud.accept()
		w.lines <- "say stop stream"
		if m := w.cloud.expect("local_transcription"); m.Text != "stop stream" || !m.IsFinal || m.Language != "en-US" {
			t.Errorf("said %+v", m)
		}
		w.lines <- "button long"
		if m := w.cloud.expect("button_press"); m.Press != "long" {
			t.Errorf("pressed %q", m.Press)
		}
		w.lines <- "battery 20"
		if m := w.cloud.expect("glasses_battery_update"); m.Level != 20 {
			t.Errorf("level %v", m.Level)
		}
		w.lines <- "start com.example.demo"
		if m := w.cloud.expect("start_app"); m.Package != "com.example.demo" {
			t.Errorf("started %q", m.Package)
		}
		w.lines <- "stop com.example.demo"
		w.cloud.expect("stop_app")
		w.lines <- "dance"
		synctest.Wait()
		if s := w.screen(); !strings.Contains(s, `not understood: "dance"`) || !strings.Contains(s, "help lists") {
			t.Errorf("the wearer saw\n%s", s)
		}
		w.lines <- "quit"
		w.cloud.expect("glasses_connection_state DISCONNECTED")
		if err := <-w.result; err != nil {
			t.Errorf("Run returned %v", err)
		}
	})
}

// A wearer who quits ends the stream properly, in this order.
func TestQuitWhileStreaming(t *testing.T) {
	wear(t, func(w *wearing) {
		w.cloud.accept()
		w.cloud.live("s1", "")
		w.lines <- "quit"
		w.cloud.expect("stream_status s1 stopping")
		w.cloud.expect("stream_status s1 stopped")
		w.cloud.expect("glasses_connection_state DISCONNECTED")
	})
}
