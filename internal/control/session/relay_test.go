package session

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"glimpse/internal/control/apps"
)

// Every event that phones send (WIRE c.2) reaches exactly the apps that
// subscribed to it and hold its permission, under their own string and with the
// phone's bytes.
func TestEveryEvent(t *testing.T) {
	for _, c := range []struct {
		event, subscription, permission string
		data                            string // beside the type
	}{
		{"button_press", `"button_press"`, "", `"buttonId":"main","pressType":"long","timestamp":1795216665395`},
		{"head_position", `"head_position"`, "", `"position":"up"`},
		{"touch_event", `"touch_event"`, "", `"device_model":"x","gesture_name":"double_tap"`},
		{"touch_event", `"touch_event:double_tap"`, "", `"device_model":"x","gesture_name":"double_tap"`},
		{"glasses_battery_update", `"glasses_battery_update"`, "", `"level":20,"charging":true,"timeRemaining":90`},
		{"phone_battery_update", `"phone_battery_update"`, "", `"level":70,"charging":false`},
		{"glasses_connection_state", `"glasses_connection_state"`, "", `"modelName":"Mentra Live","status":"CONNECTED"`},
		{"VAD", `"VAD"`, "MICROPHONE", `"status":true`},
		{"location_update", `"location_update"`, "LOCATION", `"lat":48.1,"lng":11.5,"accuracy":5`},
		{"location_update", `{"stream":"location_stream","rate":"realtime"}`, "LOCATION", `"lat":48.1,"lng":11.5`},
		{"vps_coordinates", `"vps_coordinates"`, "LOCATION", `"x":1,"y":2`},
		{"calendar_event", `"calendar_event"`, "CALENDAR", `"eventId":"e1","title":"lunch"`},
		{"phone_notification", `"phone_notification"`, "READ_NOTIFICATIONS", `"notificationId":"n1","app":"mail","title":"hi","content":"there"`},
		{"phone_notification", `"phone_notification"`, "NOTIFICATIONS", `"notificationId":"n1"`},
		{"phone_notification_dismissed", `"phone_notification_dismissed"`, "READ_NOTIFICATIONS", `"notificationId":"n1"`},
		{"photo_taken", `"photo_taken"`, "CAMERA", `"mimeType":"image/jpeg","photoData":"…"`},
	} {
		t.Run(c.event+" "+c.subscription, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.apps["com.x.may"] = apps.App{Package: "com.x.may", URL: "http://may", Permissions: []string{c.permission}}
				const notes = "NOTIFICATIONS" // of either kind
				others := slices.DeleteFunc(apps.Permissions(), func(p string) bool {
					return p == "ALL" || p == c.permission || strings.HasSuffix(p, notes) && strings.HasSuffix(c.permission, notes)
				})
				w.apps["com.x.maynot"] = apps.App{Package: "com.x.maynot", URL: "http://maynot", Permissions: others}
				phone, _ := w.phone()
				may, reached := w.run(phone, "com.x.may", false)
				maynot, refused := w.run(phone, "com.x.maynot", false)
				_, deaf := w.run(phone, "com.x.other", false)
				const update = `{"type":"subscription_update","subscriptions":[`
				w.say(may, update+c.subscription+`]}`)
				w.say(maynot, update+c.subscription+`]}`)
				w.say(phone, `{"type":"`+c.event+`",`+c.data+`}`)

				got := reached.got("data_stream")
				if len(got) != 1 {
					t.Fatalf("%d frames, want 1", len(got))
				}
				var sub struct{ Stream string }
				if json.Unmarshal([]byte(c.subscription), &sub.Stream) != nil {
					if err := json.Unmarshal([]byte(c.subscription), &sub); err != nil {
						t.Fatal(err)
					}
				}
				if got[0].str("streamType") != sub.Stream {
					t.Errorf("streamType %q, want %q", got[0].str("streamType"), sub.Stream)
				}
				data, err := json.Marshal(got[0]["data"])
				if err != nil {
					t.Fatal(err)
				}
				var have, want map[string]any
				if json.Unmarshal(data, &have) != nil || json.Unmarshal([]byte(`{"type":"`+c.event+`",`+c.data+`}`), &want) != nil || len(have) != len(want) {
					t.Errorf("data %s, want what the phone sent: %s", data, c.data)
				}
				for key := range want {
					if have[key] != want[key] {
						t.Errorf("%s is %v, want %v", key, have[key], want[key])
					}
				}
				if n := len(refused.got("data_stream")); (n == 0) != (c.permission != "") {
					t.Errorf("an app with every permission but %q got %d frames", c.permission, n)
				}
				if n := len(refused.got("permission_error")); (n == 1) != (c.permission != "") {
					t.Errorf("an app with every permission but %q was refused %d times", c.permission, n)
				}
				if len(deaf.got("data_stream")) != 0 {
					t.Error("an app without a subscription got it")
				}
			})
		})
	}
}

// A MiniAppServer gets one frame of an event, under the string that reaches the
// most of its handlers; an AppServer one for each of its strings.
func TestOneFrameForMini(t *testing.T) {
	for _, c := range []struct {
		subscriptions string
		mini          string
		appServer     []string
	}{
		{`"touch_event","touch_event:double_tap"`, "touch_event:double_tap", []string{"touch_event", "touch_event:double_tap"}},
		{`"touch_event:double_tap","touch_event"`, "touch_event:double_tap", []string{"touch_event:double_tap", "touch_event"}},
		{`"touch_event:long_press","touch_event"`, "touch_event", []string{"touch_event"}},
		{`{"stream":"location_stream","rate":"high"},"location_update"`, "location_update", []string{"location_stream", "location_update"}},
		{`"location_stream"`, "location_stream", []string{"location_stream"}},
	} {
		for _, mini := range []bool{true, false} {
			inWorld(t, func(t *testing.T, w *world) {
				phone, _ := w.phone()
				app, socket := w.run(phone, "com.x.other", mini)
				w.say(app, `{"type":"subscription_update","subscriptions":[`+c.subscriptions+`]}`)
				w.say(phone, `{"type":"touch_event","gesture_name":"double_tap"}`, `{"type":"location_update","lat":1,"lng":2}`)
				var got []string
				for _, m := range socket.got("data_stream") {
					got = append(got, m.str("streamType"))
				}
				want := c.appServer
				if mini {
					want = []string{c.mini}
				}
				if !slices.Equal(got, want) {
					t.Errorf("%s, mini %v: %v, want %v", c.subscriptions, mini, got, want)
				}
			})
		}
	}
}

// Whoever wants to know when somebody speaks needs the phone's microphone.
func TestVoiceActivityNeedsTheMicrophone(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		phone, glasses := w.phone()
		app, _ := w.run(phone, "com.x.app", false)
		w.say(app, `{"type":"subscription_update","subscriptions":["VAD"]}`)
		if m := last(t, glasses, "microphone_state_change"); m["isMicrophoneEnabled"] != true {
			t.Errorf("microphone %v", m)
		}
	})
}

// The phone is asked for places as exact as the most curious app wants them, and
// for fewer when that app is gone; a new phone is asked again.
func TestLocationTier(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.apps["com.x.blind"] = apps.App{Package: "com.x.blind", URL: "http://blind", Permissions: []string{"LOCATION"}}
		phone, glasses := w.phone()
		refused, _ := w.run(phone, "com.x.app", false) // has no LOCATION
		some, _ := w.run(phone, "com.x.blind", false)
		all, _ := w.run(phone, "com.x.other", false)
		const update = `{"type":"subscription_update","subscriptions":[`
		w.say(refused, update+`{"stream":"location_stream","rate":"realtime"}]}`)
		w.say(some, update+`"button_press"]}`)
		if asked := glasses.got("set_location_tier"); len(asked) != 0 {
			t.Errorf("asked for %v although no app may know places", asked)
		}
		for _, c := range []struct {
			app                *AppLink
			subscription, tier string
		}{
			{some, `"location_update"`, "standard"},
			{some, `{"stream":"location_stream","rate":"kilometer"}`, "kilometer"},
			{all, `{"stream":"location_stream","rate":"realtime"}`, "realtime"},
			{some, `{"stream":"location_stream","rate":"high"}`, ""},
			{all, `{"stream":"location_stream","rate":"lightspeed"}`, "high"},
			{some, `"button_press"`, "standard"},
			{all, `"button_press"`, "reduced"},
			{all, `"head_position"`, ""},
			{all, `{"stream":"location_stream","rate":"tenMeters"}`, "tenMeters"},
		} {
			glasses.forget()
			w.say(c.app, update+c.subscription+`]}`)
			got := ""
			for _, m := range glasses.got("set_location_tier") {
				got += m.str("tier")
			}
			if got != c.tier {
				t.Errorf("after %s the phone was asked for %q, want %q", c.subscription, got, c.tier)
			}
		}
		_, newer := w.phone()
		if m := last(t, newer, "set_location_tier"); m.str("tier") != "tenMeters" {
			t.Errorf("a new phone is asked for %v", m)
		}
	})
}
