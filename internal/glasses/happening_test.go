package glasses

import (
	"regexp"
	"testing"
	"testing/synctest"
)

func TestHappenings(t *testing.T) {
	wear(t, func(w *wearing) {
		w.cloud.accept()
		for _, c := range []struct{ line, sent string }{
			{"notify dinner is ready", `{"type":"phone_notification","notificationId":"n1","app":"Messages","title":"Message","content":"dinner is ready","priority":"normal"}`},
			{"notify again", `{"type":"phone_notification","notificationId":"n2","app":"Messages","title":"Message","content":"again","priority":"normal"}`},
			{"location 48.1 0", `{"type":"location_update","lat":48.1,"lng":0,"accuracy":5}`},
			{"touch double_tap", `{"type":"touch_event","device_model":"Mentra Live","gesture_name":"double_tap"}`},
			{"head down", `{"type":"head_position","position":"down"}`},
			{"voice on", `{"type":"VAD","status":true}`},
			{"wifi off", `{"type":"glasses_connection_state","modelName":"Mentra Live","status":"CONNECTED","wifi":{"connected":false},"supportedStreamTypes":["rtmp","srt","webrtc","rtmps"]}`},
		} {
			w.lines <- c.line
			frame := regexp.MustCompile(`"timestamp":"[^"]+",?`).ReplaceAllString(w.cloud.next().frame, "")
			if frame != c.sent {
				t.Errorf("%s: sent %s, want %s", c.line, frame, c.sent)
			}
		}
		w.cloud.send(`{"type":"start_stream","streamId":"s1","streamUrl":"rtmp://host/live/key"}`)
		w.cloud.expect("stream_status s1 error: no_wifi_connection")
		w.lines <- "wifi on"
		w.cloud.expect("glasses_connection_state CONNECTED")
		w.cloud.live("s1", "")
	})
}

// Without the cloud what happens is lost, but not the state of the Wi-Fi.
func TestHappeningsWithoutCloud(t *testing.T) {
	wear(t, func(w *wearing) {
		w.cloud.accept()
		w.lines <- "drop 5s"
		synctest.Wait()
		w.lines <- "head up"
		w.lines <- "wifi off"
		w.cloud.ws = <-w.cloud.conns
		w.cloud.expect("connection_init")
		if m := w.cloud.next(); !regexp.MustCompile(`"wifi":{"connected":false}`).MatchString(m.frame) {
			t.Errorf("sent %s", m.frame)
		}
	})
}
