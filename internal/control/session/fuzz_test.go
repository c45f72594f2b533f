package session

import (
	"io"
	"log/slog"
	"testing"
)

var seeds = []string{
	`{"type":"subscription_update","subscriptions":["transcription:en-US?x=y",{"stream":"location_stream"},7,null]}`,
	`{"type":"display_event","layout":{"layoutType":"text_wall","text":"hi"},"durationMs":"x"}`,
	`{"type":"rtmp_stream_request","rtmpUrl":"rtmp://h/live/k","video":[],"stream":{"durationLimit":-1}}`,
	`{"type":"stream_request","streamUrl":"srt://h:1?streamid=x","sound":false}`,
	`{"type":"managed_stream_request","restreamDestinations":[{"url":"rtmp://h/x"},{}],"quality":"9"}`,
	`{"type":"managed_stream_stop"}`, `{"type":"stream_stop","streamId":"s"}`,
	`{"type":"stream_status_check","requestId":"r"}`, `{"type":"ownership_release"}`, `{"type":"ping"}`,
	`{"type":"glasses_connection_state","status":"DISCONNECTED","wifi":null}`,
	`{"type":"glasses_battery_update","level":1e308}`, `{"type":"local_transcription","text":"\ud800","isFinal":true}`,
	`{"type":"stream_status","status":"error","m":{"b":1}}`, `{"type":"keep_alive_ack","streamId":"a","ackId":"b","timestamp":1e400}`,
	`{"type":"touch_event","gesture_name":"x"}`, `{"type":"stop_app","packageName":"com.x.app"}`,
	`{"type":"request_wifi_setup","reason":"x"}`, `{"type":"photo_request","requestId":"r","size":7,"exposureTimeNs":{}}`, `{"type":"photo_response","requestId":"r","error":[]}`,
	`{"type":"start_app","packageName":"com.x.other"}`, `[[[[`, `{"type":{}}`, "",
}

// FuzzAppMessages sends anything as an app to a running session: it must neither
// panic nor block, whatever the frame.
func FuzzAppMessages(f *testing.F) {
	for _, seed := range seeds {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		s, app, _ := fuzzed(t)
		if act := decodeApp(frame); act != nil {
			act(app)
			s.tick()
		}
	})
}

// FuzzPhoneMessages is the same for a phone.
func FuzzPhoneMessages(f *testing.F) {
	for _, seed := range seeds {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		s, app, phone := fuzzed(t)
		decodeApp([]byte(`{"type":"managed_stream_request"}`))(app)
		if act := decodePhone(typeOf(frame), frame); act != nil {
			act(phone)
			s.tick()
		}
	})
}

// fuzzed is a session with a phone and an app whose loop does not run: the
// fuzzer's goroutine is its owner.
func fuzzed(t *testing.T) (*Session, *AppLink, *PhoneLink) {
	deps := Deps{Apps: fakeApps{}, Webhooks: &fakeHooks{}, Streams: &fakeStreams{open: make(map[string]IngestSpec)}}
	reg := New(deps, Config{}, slog.New(slog.NewTextHandler(io.Discard, nil)))
	t.Cleanup(reg.cancel)
	s := newSession(reg, wearer)
	t.Cleanup(func() { s.timer.Stop(); s.stop(); s.work.Wait() })
	phone := s.attachPhone(base, &fakeSocket{})
	a := &appSession{id: wearer + "-com.x.app", state: appRequested}
	a.app.Package, a.app.Permissions = "com.x.app", []string{"ALL"}
	s.apps["com.x.app"] = a
	return s, s.attach(AppHello{Package: "com.x.app"}, &fakeSocket{}), phone
}
