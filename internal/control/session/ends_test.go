package session

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// ends counts an app's terminal statuses of a type by their word.
func ends(f *fakeSocket, typ string) map[string]int {
	n := map[string]int{}
	for _, m := range f.got(typ) {
		switch word := m.str("status"); word {
		case "stopped", "error", "timeout":
			n[word]++
		}
	}
	return n
}

// Glasses that obey and bring no media: the start ends with "timeout" before the
// SDK gives up, and nothing of it is left.
func TestStartWithoutMedia(t *testing.T) {
	for typ, request := range map[string]string{
		"managed_stream_status": `{"type":"managed_stream_request"}`,
		"stream_status":         `{"type":"stream_request","streamUrl":"rtmp://dest.example/live/k"}`,
	} {
		t.Run(typ, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				phone, glasses := w.phone()
				app, socket := w.run(phone, "com.x.app", false)
				w.say(app, request)
				time.Sleep(24*time.Second - time.Millisecond)
				synctest.Wait()
				if n := ends(socket, typ); len(n) != 0 {
					t.Fatalf("ended early: %v", n)
				}
				time.Sleep(time.Millisecond)
				synctest.Wait()
				end := last(t, socket, typ)
				if end.str("status") != "error" || end.str("code") != "TIMEOUT" || end.str("message") != end.str("errorDetails") {
					t.Errorf("ended with %v", end)
				}
				last(t, glasses, "stop_stream")
				time.Sleep(time.Hour)
				synctest.Wait()
				if n := ends(socket, typ); n["error"] != 1 || len(n) != 1 {
					t.Errorf("terminal statuses %v, want one error", n)
				}
				w.say(app, `{"type":"stream_status_check"}`)
				if last(t, socket, "stream_status_check_response")["hasActiveStream"] != false || len(w.streams.open) != 0 {
					t.Error("something of the stream is left")
				}
			})
		})
	}
}

// Glasses that answer no keep-alive: after the third the app of a direct stream
// is told "timeout", once, and the glasses are told to stop; a late answer
// changes nothing.
func TestKeepAliveDeath(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		phone, glasses := w.phone()
		app, socket := w.run(phone, "com.x.app", false)
		w.say(app, `{"type":"stream_request","streamUrl":"rtmp://dest.example/live/k"}`)
		id := last(t, glasses, "start_stream").str("streamId")
		w.say(phone, fmt.Sprintf(`{"type":"stream_status","streamId":%q,"status":"streaming"}`, id))
		time.Sleep(55*time.Second - time.Millisecond) // 15, 30, 45 and 10 for the last answer
		synctest.Wait()
		if n := ends(socket, "stream_status"); len(n) != 0 || len(glasses.got("keep_stream_alive")) != 3 {
			t.Fatalf("%d keep-alives, ended with %v", len(glasses.got("keep_stream_alive")), n)
		}
		time.Sleep(time.Millisecond)
		synctest.Wait()
		if end := last(t, socket, "stream_status"); end.str("status") != "timeout" || end.str("errorDetails") == "" {
			t.Errorf("ended with %v", end)
		}
		if stop := last(t, glasses, "stop_stream"); stop.str("streamId") != id {
			t.Errorf("glasses are told %v", stop)
		}
		w.say(phone, fmt.Sprintf(`{"type":"keep_alive_ack","streamId":%q,"ackId":%q}`, id, last(t, glasses, "keep_stream_alive").str("ackId")))
		time.Sleep(time.Hour)
		synctest.Wait()
		if n := ends(socket, "stream_status"); n["timeout"] != 1 || len(n) != 1 {
			t.Errorf("terminal statuses %v, want one timeout", n)
		}
	})
}
