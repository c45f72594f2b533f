package session

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"glimpse/protocol"
)

// A48
func TestTranscriptionRelay(t *testing.T) {
	const said = `{"type":"local_transcription","text":"stop stream","isFinal":true,"transcribeLanguage":"en-US","startTime":0,"endTime":900}`
	for _, c := range []struct {
		name, set string
		mini      bool
		want      []string // stream types of what the app gets
	}{
		{"AppServer", `["transcription:en-US"]`, false, []string{"transcription:en-US"}},
		{"with options", `["transcription:en-US?no-language-identification=true"]`, false, []string{"transcription:en-US?no-language-identification=true"}},
		{"bare", `["transcription"]`, false, []string{"transcription"}},
		{"mini", `["transcription:auto"]`, true, []string{"transcription:auto"}},
		{"mini with two names gets one frame", `["transcription:auto","transcription:en-US"]`, true, []string{"transcription:auto"}},
		{"another language", `["transcription:de-DE"]`, false, nil},
		{"no subscription", `["button_press"]`, false, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				phone, glasses := w.phone()
				app, socket := w.run(phone, "com.x.app", c.mini)
				w.say(app, `{"type":"subscription_update","subscriptions":`+c.set+`}`)
				w.say(phone, said)
				var got []string
				for _, m := range socket.got("data_stream") {
					got = append(got, m.str("streamType"))
					data := m["data"].(map[string]any)
					if data["type"] != "transcription" || data["text"] != "stop stream" || data["isFinal"] != true || data["transcribeLanguage"] != "en-US" {
						t.Errorf("data %v", data)
					}
				}
				if !slices.Equal(got, c.want) {
					t.Errorf("stream types %v, want %v", got, c.want)
				}
				mics := glasses.got("microphone_state_change")
				if on := len(mics) > 0 && mics[len(mics)-1]["isMicrophoneEnabled"] == true; on != (c.name != "no subscription") {
					t.Errorf("microphone on: %v (%v)", on, mics)
				}
			})
		})
	}
}

func TestEventRelay(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		phone, _ := w.phone()
		app, socket := w.run(phone, "com.x.app", false)
		_, deaf := w.run(phone, "com.x.other", false)
		w.say(app, `{"type":"subscription_update","subscriptions":["button_press","glasses_battery_update","head_position","touch_event:double_tap","audio_chunk"]}`)
		w.say(phone,
			`{"type":"button_press","buttonId":"main","pressType":"short","timestamp":1795216665395}`,
			`{"type":"head_position","position":"up"}`,
			`{"type":"touch_event","device_model":"x","gesture_name":"double_tap"}`,
			`{"type":"touch_event","device_model":"x","gesture_name":"long_press"}`,
			`{"type":"glasses_battery_update","level":20,"charging":false}`)
		if err := phone.ReceiveAudio(w.ctx, []byte{1, 2}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		var got []string
		for _, m := range socket.got("data_stream") {
			got = append(got, m.str("streamType"))
		}
		want := []string{"button_press", "head_position", "touch_event:double_tap", "glasses_battery_update"}
		if !slices.Equal(got, want) {
			t.Errorf("relayed %v, want %v", got, want)
		}
		button := socket.got("data_stream")[0]["data"].(map[string]any)
		if button["type"] != "button_press" || button["buttonId"] != "main" || button["pressType"] != "short" {
			t.Errorf("button %v", button)
		}
		if socket.binary != 1 || deaf.binary != 0 || len(deaf.got("data_stream")) != 0 {
			t.Error("an event reached the wrong app")
		}
		delta := last(t, deaf, "device_state_update")
		if state := delta["state"].(map[string]any); delta["fullSnapshot"] != false || state["batteryLevel"] != 20.0 || state["modelName"] != nil {
			t.Errorf("device state change %v", delta)
		}
	})
}

// A full set replaces the last one; an empty one is ignored shortly after a
// connect; what permissions do not cover is refused with details.
func TestSubscriptionUpdates(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		phone, _ := w.phone()
		app, socket := w.run(phone, "com.x.blind", false)
		count := func() int {
			w.say(phone, `{"type":"button_press","buttonId":"main","pressType":"short"}`)
			return len(socket.got("data_stream"))
		}
		w.say(app, `{"type":"subscription_update","subscriptions":["button_press","transcription:en-US"]}`)
		refused := last(t, socket, "permission_error")["details"].([]any)
		if len(refused) != 1 || refused[0].(map[string]any)["requiredPermission"] != "MICROPHONE" {
			t.Errorf("refused %v", refused)
		}
		if n := count(); n != 1 {
			t.Errorf("%d events", n)
		}
		w.say(app, `{"type":"subscription_update","subscriptions":[]}`)
		if n := count(); n != 2 {
			t.Errorf("%d events: an early empty set counted", n)
		}
		time.Sleep(9 * time.Second)
		w.say(app, `{"type":"subscription_update","subscriptions":[]}`)
		if n := count(); n != 2 {
			t.Errorf("%d events: a late empty set did not count", n)
		}
	})
}

func TestCameraDenied(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		phone, glasses := w.phone()
		app, socket := w.run(phone, "com.x.blind", false)
		w.say(app, `{"type":"rtmp_stream_request","rtmpUrl":"rtmp://dest.example/live/x"}`, `{"type":"managed_stream_request"}`)
		if s := last(t, socket, "rtmp_stream_status"); s.str("status") != "error" || s.str("errorDetails") != protocol.TextCameraDirect {
			t.Errorf("direct: %v", s)
		}
		if s := last(t, socket, "managed_stream_status"); s.str("status") != "error" || s.str("message") != protocol.TextCameraManaged {
			t.Errorf("managed: %v", s)
		}
		if code, _ := socket.closed(); code != 0 || len(glasses.got("start_stream")) != 0 {
			t.Errorf("closed %d, glasses started %d streams", code, len(glasses.got("start_stream")))
		}
	})
}

// A25
//
// Direct statuses go to their app alone, top-level only, in one spelling, with
// statistics and errors, from old and new phones.
func TestDirectStatuses(t *testing.T) {
	for _, c := range []struct{ request, field, status, phoneSays string }{
		{"rtmp_stream_request", "rtmpUrl", "rtmp_stream_status", "rtmp_stream_status"},
		{"stream_request", "streamUrl", "stream_status", "stream_status"},
	} {
		t.Run(c.request, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				phone, glasses := w.phone()
				app, socket := w.run(phone, "com.x.app", false)
				other, otherSocket := w.run(phone, "com.x.other", false)
				for _, l := range []*AppLink{app, other} {
					w.say(l, `{"type":"subscription_update","subscriptions":["`+c.status+`"]}`)
				}
				w.say(app, fmt.Sprintf(`{"type":%q,%q:"rtmp://dest.example/live/k","video":{"width":1280},"sound":false}`, c.request, c.field))
				start := last(t, glasses, "start_stream")
				if start.str("streamUrl") != "rtmp://dest.example/live/k" || start.str("rtmpUrl") != start.str("streamUrl") ||
					start.str("appId") != "com.x.app" || start["sound"] != false || len(start.str("streamId")) > 11 {
					t.Errorf("glasses are told %v", start)
				}
				id := start.str("streamId")
				w.say(phone,
					fmt.Sprintf(`{"type":%q,"streamId":%q,"status":"streaming","stats":{"bitrate":1500000,"fps":30,"droppedFrames":3,"duration":10}}`, c.phoneSays, id))
				active := last(t, socket, c.status)
				stats, _ := active["stats"].(map[string]any)
				if active.str("status") != "active" || active.str("appId") != "com.x.app" || stats["droppedFrames"] != 3.0 {
					t.Errorf("active: %v", active)
				}
				w.say(phone,
					fmt.Sprintf(`{"type":%q,"streamId":%q,"status":"streaming","m":{"b":900000,"f":24,"d":7,"u":12}}`, c.phoneSays, id))
				stats, _ = last(t, socket, c.status)["stats"].(map[string]any)
				if stats["bitrate"] != 900000.0 || stats["fps"] != 24.0 || stats["droppedFrames"] != 7.0 || stats["duration"] != 12.0 {
					t.Errorf("compact statistics: %v", stats)
				}
				w.say(phone,
					fmt.Sprintf(`{"type":%q,"status":"error","errorDetails":"Network error: no route"}`, c.phoneSays))
				if failed := last(t, socket, c.status); failed.str("status") != "error" || failed.str("errorDetails") != "Network error: no route" {
					t.Errorf("error: %v", failed)
				}
				for _, typ := range otherSocket.types() {
					if typ == "stream_status" || typ == "rtmp_stream_status" || typ == "data_stream" {
						t.Errorf("another app was sent %s", typ)
					}
				}
				for _, typ := range socket.types() {
					if (typ == "stream_status" || typ == "rtmp_stream_status") && typ != c.status || typ == "data_stream" {
						t.Errorf("the app was sent %s", typ)
					}
				}
			})
		})
	}
}

// A request that cannot be read is answered: silence would leave the SDK stuck.
func TestMalformedRequests(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		phone, _ := w.phone()
		app, socket := w.run(phone, "com.x.app", false)
		w.say(app, `{"type":"stream_request","streamUrl":7}`, `{"type":"managed_stream_request","restreamDestinations":"x"}`)
		if s := last(t, socket, "stream_status"); s.str("status") != "error" {
			t.Errorf("direct: %v", s)
		}
		if s := last(t, socket, "managed_stream_status"); s.str("status") != "error" {
			t.Errorf("managed: %v", s)
		}
		socket.forget()
		w.say(app, `{"type":"stream_request","streamUrl":"rtmp://host/live/key","video":"`+strings.Repeat("v", maxRequest)+`"}`,
			`{"type":"managed_stream_request","video":"`+strings.Repeat("v", maxRequest)+`"}`)
		if s := last(t, socket, "stream_status"); s.str("status") != "error" || len(socket.got("stream_status")) != 1 {
			t.Errorf("long direct: %v", s)
		}
		if s := last(t, socket, "managed_stream_status"); s.str("status") != "error" || len(socket.got("managed_stream_status")) != 1 {
			t.Errorf("long managed: %v", s)
		}
		// The SDK takes the error for the end of its stream: it must not go on.
		w.say(app, `{"type":"managed_stream_request"}`)
		w.streams.only(t)
		w.say(app, `{"type":"managed_stream_request","quality":7}`)
		if open := len(w.streams.open); open != 0 {
			t.Errorf("%d managed streams go on behind their owner's back", open)
		}
		w.say(app, `{"type":"rtmp_stream_request","rtmpUrl":"rtmp://host/live/key"}`, `{"type":"rtmp_stream_request","rtmpUrl":{}}`)
		w.say(app, `{"type":"stream_status_check"}`)
		if last(t, socket, "stream_status_check_response")["hasActiveStream"] != false {
			t.Error("a direct stream goes on behind its owner's back")
		}
	})
}

// F19: a phone that comes back within its grace finds everything as it was; one
// that does not ends the session in the safe order.
func TestPhoneGrace(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		phone, _ := w.phone()
		app, socket := w.run(phone, "com.x.app", false)
		w.say(app, `{"type":"managed_stream_request"}`)
		spec := w.streams.only(t)
		w.say(phone, `{"type":"stream_status","streamId":"`+spec.StreamID+`","status":"streaming"}`)
		spec.Notify(MediaEvent{State: MediaLive})
		synctest.Wait()

		phone.Gone(w.ctx)
		w.say(app, `{"type":"display_event","layout":{"layoutType":"text_wall","text":"nobody is there"}}`)
		time.Sleep(30 * time.Second)
		phone, glasses := w.phone()
		if w.streams.only(t).IngestKey != spec.IngestKey {
			t.Error("the stream has another key")
		}
		if n := len(glasses.got("display_event")); n != 0 {
			t.Error("a text for an absent phone was kept")
		}
		if starts, _ := w.hooks.counts(); starts != 1 {
			t.Errorf("%d session requests, want the first only", starts)
		}

		phone.Gone(w.ctx)
		time.Sleep(59 * time.Second)
		synctest.Wait()
		if _, stops := w.hooks.counts(); stops != 0 {
			t.Fatal("the session ended within its grace")
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if _, stops := w.hooks.counts(); stops != 1 || w.hooks.stops[0].Reason != "system_stop" {
			t.Errorf("stop requests: %+v", w.hooks.stops)
		}
		var ends int
		for _, s := range socket.got("managed_stream_status") {
			switch s.str("status") {
			case "stopped", "error", "timeout":
				ends++
			}
		}
		if ends != 1 {
			t.Errorf("%d terminal statuses, want 1", ends)
		}
		last(t, socket, "app_stopped")
		if code, _ := socket.closed(); code != 1000 {
			t.Errorf("app closed with %d", code)
		}
		if len(w.streams.open) != 0 || w.reg.lookup(wearer) != nil {
			t.Error("something of the session is left")
		}
	})
}

// CONTROL "Sessions" 4
func TestNewerPhoneTakesTheStream(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		phone, old := w.phone()
		app, _ := w.run(phone, "com.x.app", false)
		w.say(app, `{"type":"managed_stream_request"}`)
		spec := w.streams.only(t)
		w.say(phone, `{"type":"stream_status","streamId":"`+spec.StreamID+`","status":"streaming"}`)
		old.forget()
		_, glasses := w.phone()
		if got, want := old.types(), []string{"stop_stream", "connection_error"}; !slices.Equal(got, want) {
			t.Errorf("old phone was told %v, want %v", got, want)
		}
		if code, reason := old.closed(); code != 1000 || reason != "superseded by another device" {
			t.Errorf("old phone closed with %d %q", code, reason)
		}
		if start := last(t, glasses, "start_stream"); start.str("streamId") != spec.StreamID ||
			start.str("streamUrl") != w.streams.PushURL("", spec.IngestKey, nil) {
			t.Errorf("new phone was told %v", start)
		}
		phone.Gone(w.ctx) // late, and no loss of the new one
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if w.reg.lookup(wearer) == nil {
			t.Error("the late end of the old phone ended the session")
		}
		w.say(app, `{"type":"display_event","layout":{"layoutType":"text_wall","text":"x"}}`)
		last(t, glasses, "display_event")
	})
}

// An ingest that cannot be opened is an error to the app, in the documents' words.
func TestIngestFails(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		phone, glasses := w.phone()
		app, socket := w.run(phone, "com.x.app", false)
		w.streams.fail = true
		w.say(app, `{"type":"managed_stream_request"}`)
		if s := last(t, socket, "managed_stream_status"); s.str("status") != "error" || s.str("message") != "Cloud service error: ingest unavailable" {
			t.Errorf("status %v", s)
		}
		w.streams.fail = false
		w.say(app, `{"type":"managed_stream_request"}`)
		last(t, glasses, "start_stream")
	})
}

// A panic ends one wearer's session with terminal statuses; the next connection
// gets a fresh one, and other wearers notice nothing.
func TestPanicEndsOneSession(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		phone, glasses := w.phone()
		app, socket := w.run(phone, "com.x.app", false)
		neighbour := &fakeSocket{}
		if _, err := w.reg.AttachPhone(w.ctx, "other@example.com", base, neighbour); err != nil {
			t.Fatal(err)
		}
		w.say(app, `{"type":"managed_stream_request"}`)
		broken := w.reg.lookup(wearer)
		if err := broken.post(w.ctx, func() { panic("a fault of ours") }); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if s := last(t, socket, "managed_stream_status"); s.str("status") != "stopped" && s.str("status") != "error" {
			t.Errorf("status %v", s)
		}
		for name, s := range map[string]*fakeSocket{"app": socket, "phone": glasses} {
			if code, _ := s.closed(); code != closeInternal {
				t.Errorf("%s closed with %d", name, code)
			}
		}
		if code, _ := neighbour.closed(); code != 0 {
			t.Errorf("a neighbour was closed with %d", code)
		}
		w.phone()
		if s := w.reg.lookup(wearer); s == nil || s == broken {
			t.Error("no fresh session")
		}
	})
}

// Phones and apps come and go at random moments while a session ends: nobody is
// left with a dead session, nothing deadlocks.
func TestDisposalRaces(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		var clients sync.WaitGroup
		for i := range 20 {
			clients.Go(func() {
				for j := range 20 {
					time.Sleep(time.Duration(i*37+j*59) * time.Second)
					phone, err := w.reg.AttachPhone(w.ctx, wearer, base, &fakeSocket{})
					if err != nil {
						t.Error(err)
						return
					}
					_ = phone.Receive(w.ctx, []byte(`{"type":"start_app","packageName":"com.x.app"}`))
					_, _ = w.reg.AttachApp(w.ctx, AppHello{SessionID: wearer + "-com.x.app", Package: "com.x.app"}, &fakeSocket{})
					phone.Gone(w.ctx)
				}
			})
		}
		clients.Wait()
		time.Sleep(time.Hour)
		synctest.Wait()
		if w.reg.lookup(wearer) != nil {
			t.Error("a session is left without anybody")
		}
	})
}

// Session ids are looked up, never split: two that are spelt alike collide, and
// only the first gets the id.
func TestAmbiguousSessionIDs(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.apps["c"] = w.apps["com.x.app"]
		first, err := w.reg.bind("a", "b-c")
		if err != nil || first != "a-b-c" {
			t.Fatal(first, err)
		}
		if again, err := w.reg.bind("a", "b-c"); err != nil || again != first {
			t.Errorf("the owner was refused: %v", err)
		}
		if _, err := w.reg.bind("a-b", "c"); err == nil {
			t.Error("two apps have one session id")
		}
	})
}

// Close is a restart: nobody hears of an end.
func TestCloseIsSilent(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		phone, glasses := w.phone()
		app, socket := w.run(phone, "com.x.app", false)
		w.say(app, `{"type":"managed_stream_request"}`)
		glasses.forget()
		socket.forget()
		w.hooks.onStop = func(context.Context, protocol.StopRequest) error { t.Error("stop request"); return nil }
		w.reg.Close()
		for name, s := range map[string]*fakeSocket{"app": socket, "phone": glasses} {
			if types := s.types(); len(types) != 0 {
				t.Errorf("%s was told %v", name, types)
			}
			if code, _ := s.closed(); code != closeRestart {
				t.Errorf("%s closed with %d", name, code)
			}
		}
		if _, err := w.reg.AttachPhone(w.ctx, wearer, base, &fakeSocket{}); err == nil {
			t.Error("a closed registry takes phones")
		}
	})
}

// Apps see the glasses vanish and return with the phone; what is known of the
// model stays.
func TestDeviceStateFollowsThePhone(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		phone, _ := w.phone()
		_, socket := w.run(phone, "com.x.app", false)
		connected := func() any {
			synctest.Wait()
			m := last(t, socket, "device_state_update")
			return m["state"].(map[string]any)["connected"]
		}
		if connected() != true {
			t.Error("glasses are not connected at the start")
		}
		phone.Gone(w.ctx)
		if connected() != false {
			t.Error("glasses without a phone are connected")
		}
		phone, _ = w.phone()
		if connected() != true {
			t.Error("glasses did not come back with the phone")
		}
		w.say(phone, `{"type":"glasses_connection_state","modelName":"Mentra Live","status":"DISCONNECTED"}`)
		if connected() != false {
			t.Error("glasses that the phone has lost are connected")
		}
	})
}

// Another model of glasses is told once, with what it can do.
func TestCapabilitiesFollowTheModel(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		phone, _ := w.phone()
		_, socket := w.run(phone, "com.x.app", false)
		const g1 = `{"type":"glasses_connection_state","modelName":"Even Realities G1","status":"CONNECTED"}`
		w.say(phone, g1, g1)
		updates := socket.got("capabilities_update")
		if len(updates) != 1 || updates[0].str("modelName") != "Even Realities G1" ||
			updates[0]["capabilities"].(map[string]any)["hasCamera"] != false {
			t.Errorf("updates %v", updates)
		}
	})
}

// A direct status that the app did not just ask for waits until its dialect is
// known; an app that never shows one gets the old spelling.
func TestStatusWaitsForTheDialect(t *testing.T) {
	for set, typ := range map[string]string{
		`["stream_status"]`: "stream_status", `["rtmp_stream_status"]`: "rtmp_stream_status", `["button_press"]`: "rtmp_stream_status",
	} {
		inWorld(t, func(t *testing.T, w *world) {
			phone, _ := w.phone()
			app, socket := w.run(phone, "com.x.app", false)
			s := w.reg.lookup(wearer)
			err := s.do(w.ctx, func() { s.tellDirect("com.x.app", protocol.DirectStatus{StreamID: "s1", Status: "active"}) })
			if err != nil {
				t.Fatal(err)
			}
			if n := len(socket.got("stream_status")) + len(socket.got("rtmp_stream_status")); n != 0 {
				t.Errorf("%d statuses before the dialect was known", n)
			}
			w.say(app, `{"type":"subscription_update","subscriptions":`+set+`}`)
			if m := last(t, socket, typ); m.str("streamId") != "s1" {
				t.Errorf("%s: %v", set, m)
			}
			if n := len(socket.got("stream_status")) + len(socket.got("rtmp_stream_status")); n != 1 {
				t.Errorf("%s: %d statuses", set, n)
			}
		})
	}
}

// What an operator sees, and the operator's end of a stream.
func TestSnapshots(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		phone, _ := w.phone()
		app, socket := w.run(phone, "com.x.app", false)
		w.say(phone, `{"type":"glasses_battery_update","level":55}`)
		w.say(app, `{"type":"managed_stream_request"}`)
		id := w.streams.only(t).StreamID
		list := w.reg.Snapshots(w.ctx)
		if len(list) != 1 {
			t.Fatalf("%d sessions", len(list))
		}
		s := list[0]
		if s.User != wearer || !s.Phone || !s.Glasses || s.Model != "Mentra Live" || *s.Battery != 55 ||
			!slices.Equal(s.Apps, []string{"com.x.app"}) || s.Stream != id {
			t.Errorf("snapshot %+v", s)
		}
		if err := w.reg.EndStream(w.ctx, wearer, id); err != nil {
			t.Fatal(err)
		}
		if status := last(t, socket, "managed_stream_status"); status.str("status") != "stopped" {
			t.Errorf("holder was told %v", status)
		}
		if err := w.reg.EndStream(w.ctx, "nobody@example.com", id); err != nil {
			t.Error(err)
		}
	})
}

// A fault in a webhook's goroutine ends the session, not the process.
func TestPanicInWebhook(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		phone, glasses := w.phone()
		w.hooks.onStart = func(context.Context, protocol.SessionRequest) error { panic("a fault of ours") }
		w.say(phone, `{"type":"start_app","packageName":"com.x.app"}`)
		if code, _ := glasses.closed(); code != closeInternal {
			t.Errorf("phone closed with %d", code)
		}
	})
}
