package session

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"glimpse/protocol"
)

// A40 B13 D9
func TestManagedStreamFromStartToStop(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		phone, glasses := w.phone()
		if ack := last(t, glasses, "connection_ack"); ack.str("sessionId") != wearer {
			t.Errorf("acknowledged %q, want the user id", ack.str("sessionId"))
		}
		w.say(phone, `{"type":"start_app","packageName":"com.x.app"}`)
		if len(w.hooks.starts) != 1 {
			t.Fatalf("%d webhooks, want 1", len(w.hooks.starts))
		}
		hook := w.hooks.starts[0]
		const ws = "ws://cloud.example:8002/app-ws"
		if hook.WebsocketURL != ws || hook.MentraOSWebsocketURL != ws || hook.AugmentOSWebsocketURL != ws {
			t.Errorf("webhook URLs are %+v, want three times %s", hook, ws)
		}
		if hook.SessionID != wearer+"-com.x.app" || hook.UserID != wearer {
			t.Errorf("webhook names %q of %q", hook.SessionID, hook.UserID)
		}
		if n := len(glasses.got("app_state_change")); n != 0 {
			t.Errorf("phone was told of %d app changes before the init", n)
		}

		app, socket := w.connect("com.x.app", false)
		if want := []string{"tpa_connection_ack", "device_state_update"}; !slices.Equal(socket.types(), want) {
			t.Errorf("after the init came %v, want %v", socket.types(), want)
		}
		change := last(t, glasses, "app_state_change")["userSession"].(map[string]any)
		if apps := change["activeAppSessions"].([]any); len(apps) != 1 || apps[0] != "com.x.app" {
			t.Errorf("phone sees %v running", apps)
		}
		w.say(app, `{"type":"subscription_update","packageName":"com.x.app","subscriptions":["managed_stream_status","transcription:en-US"]}`,
			`{"type":"managed_stream_request","packageName":"com.x.app","quality":"720p","enableWebRTC":true}`)
		if s := last(t, socket, "managed_stream_status"); s.str("status") != "initializing" {
			t.Errorf("first status is %v", s)
		}
		spec := w.streams.only(t)
		start := last(t, glasses, "start_stream")
		push := "rtmp://cloud.example/live/" + spec.IngestKey
		if start.str("streamUrl") != push || start.str("rtmpUrl") != push || start.str("appId") != "MANAGED_STREAM" ||
			start.str("streamId") != spec.StreamID || start["flash"] != true || start.str("sessionId") != wearer {
			t.Errorf("glasses were told %v", start)
		}

		w.say(phone, `{"type":"stream_status","streamId":"`+spec.StreamID+`","status":"streaming"}`)
		spec.Notify(MediaEvent{State: MediaLive})
		synctest.Wait()
		active := last(t, socket, "managed_stream_status")
		watch := w.streams.WatchURLs(base, spec.PlaybackID)
		if active.str("status") != "active" || active.str("hlsUrl") != watch.HLS || active.str("dashUrl") != watch.DASH ||
			active.str("webrtcUrl") != watch.WebRTC {
			t.Errorf("status is %v", active)
		}

		w.say(app, `{"type":"display_event","packageName":"com.x.app","view":"main","sessionId":"","layout":{"layoutType":"text_wall","text":"hello"}}`)
		if text := last(t, glasses, "display_event"); text.str("sessionId") != wearer ||
			text["layout"].(map[string]any)["text"] != "hello" {
			t.Errorf("glasses show %v", text)
		}

		w.say(app, `{"type":"managed_stream_stop","packageName":"com.x.app"}`)
		time.Sleep(time.Second)
		synctest.Wait()
		if s := last(t, socket, "managed_stream_status"); s.str("status") != "stopped" {
			t.Errorf("last status is %v", s)
		}
		if stop := last(t, glasses, "stop_stream"); stop.str("streamId") != spec.StreamID {
			t.Errorf("glasses were told %v", stop)
		}
		if len(w.streams.open) != 0 {
			t.Error("the ingest stayed open")
		}
	})
}

// The stop order that is safe for every SDK (WIRE a.1.2).
func TestStopOrder(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		phone, _ := w.phone()
		_, socket := w.run(phone, "com.x.app", false)
		var before []string
		w.hooks.onStop = func(_ context.Context, req protocol.StopRequest) error {
			before = socket.types()
			return errors.New("the app's server is gone")
		}
		w.say(phone, `{"type":"stop_app","packageName":"com.x.app"}`)
		if slices.Contains(before, "app_stopped") {
			t.Error("app_stopped came before the webhook")
		}
		if w.hooks.stops[0].Reason != "user_disabled" {
			t.Errorf("reason is %q", w.hooks.stops[0].Reason)
		}
		if m := last(t, socket, "app_stopped"); m.str("reason") != "user_disabled" {
			t.Errorf("app was told %v", m)
		}
		if code, reason := socket.closed(); code != 1000 || reason != "App stopped" {
			t.Errorf("closed with %d %q", code, reason)
		}
	})
}
