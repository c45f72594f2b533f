package session

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"glimpse/protocol"
)

func TestSubscriptionMatching(t *testing.T) {
	for _, c := range []struct {
		entry, stream, detail string
		want                  bool
	}{
		{`"button_press"`, "button_press", "", true},
		{`"button_press"`, "head_position", "", false},
		{`"transcription"`, "transcription", "en-US", true},
		{`"transcription"`, "transcription", "de-DE", false},
		{`"transcription:en-US"`, "transcription", "en-us", true},
		{`"transcription:en-US"`, "transcription", "", true},
		{`"transcription:en-US"`, "transcription", "en", true},
		{`"transcription:en-US"`, "transcription", "en-GB", false},
		{`"transcription:en"`, "transcription", "en-GB", true},
		{`"transcription:de-DE"`, "transcription", "en-US", false},
		{`"transcription:auto"`, "transcription", "fr-FR", true},
		{`"transcription:auto?hints=en"`, "transcription", "fr-FR", true},
		{`"transcription:en-US?no-language-identification=true&hints=a:b"`, "transcription", "en-US", true},
		{`"transcription:en-US"`, "button_press", "", false},
		{`"translation:es-ES-to-en-US"`, "transcription", "en-US", false},
		{`"touch_event"`, "touch_event", "double_tap", true},
		{`"touch_event:double_tap"`, "touch_event", "double_tap", true},
		{`"touch_event:double_tap"`, "touch_event", "long_press", false},
		{`{"stream":"location_stream","rate":"high"}`, "location_update", "", true},
		{`"location_update"`, "location_update", "", true},
		{`"audio_chunk"`, "audio_chunk", "", true},
	} {
		sub, ok := parseSubscription(json.RawMessage(c.entry))
		if !ok {
			t.Errorf("%s was not understood", c.entry)
			continue
		}
		if got := sub.matches(c.stream, c.detail); got != c.want {
			t.Errorf("%s takes %s %q: %v, want %v", c.entry, c.stream, c.detail, got, c.want)
		}
	}
	for _, entry := range []string{`""`, `7`, `null`, `{}`, `["a"]`, `"` + strings.Repeat("x", maxSubscription+1) + `"`} {
		if sub, ok := parseSubscription(json.RawMessage(entry)); ok {
			t.Errorf("%.20s was understood as %v", entry, sub)
		}
	}
}

func TestSubscriptionPermissions(t *testing.T) {
	entries := []json.RawMessage{
		[]byte(`"transcription:en-US"`), []byte(`"translation:all-to-en"`), []byte(`"audio_chunk"`), []byte(`"VAD"`),
		[]byte(`{"stream":"location_stream"}`), []byte(`"calendar_event"`), []byte(`"phone_notification"`),
		[]byte(`"button_press"`), []byte(`"button_press"`), []byte(`"managed_stream_status"`),
	}
	for _, c := range []struct {
		permissions, refused []string
	}{
		{nil, []string{"transcription:en-US", "translation:all-to-en", "audio_chunk", "VAD", "location_stream", "calendar_event", "phone_notification"}},
		{[]string{"MICROPHONE"}, []string{"location_stream", "calendar_event", "phone_notification"}},
		{[]string{"MICROPHONE", "LOCATION", "CALENDAR", "NOTIFICATIONS"}, nil},
		{[]string{"ALL"}, nil},
	} {
		subs, details := filterSubscriptions(entries, c.permissions)
		var refused []string
		for _, d := range details {
			refused = append(refused, d.Stream)
			if d.RequiredPermission == "" || d.Message == "" {
				t.Errorf("refusal without a reason: %+v", d)
			}
		}
		if !slices.Equal(refused, c.refused) {
			t.Errorf("with %v refused %v, want %v", c.permissions, refused, c.refused)
		}
		if len(subs)+len(refused) != len(entries)-1 { // one was said twice
			t.Errorf("with %v: %d subscriptions and %d refusals of %d", c.permissions, len(subs), len(refused), len(entries))
		}
	}
	many := make([]json.RawMessage, 0, 1000)
	for i := range 1000 {
		many = append(many, json.RawMessage(`"touch_event:`+strings.Repeat("a", i%200)+string(rune('a'+i%26))+`"`))
	}
	if subs, _ := filterSubscriptions(many, nil); len(subs) > maxSubscriptions {
		t.Errorf("%d subscriptions were kept", len(subs))
	}
}

// The dialect is learnt in the order of WIRE a.9: request, subscription,
// handshake, else the old one.
func TestDialect(t *testing.T) {
	type fact struct {
		dialect dialect
		from    evidence
	}
	for _, c := range []struct {
		name  string
		facts []fact
		want  string
	}{
		{"nothing known", nil, "rtmp_stream_status"},
		{"new handshake", []fact{{dialectNew, evidenceHandshake}}, "stream_status"},
		{"old subscription beats a new handshake", []fact{{dialectNew, evidenceHandshake}, {dialectOld, evidenceSubscription}}, "rtmp_stream_status"},
		{"new request beats an old subscription", []fact{{dialectOld, evidenceSubscription}, {dialectNew, evidenceRequest}}, "stream_status"},
		{"a later subscription changes nothing", []fact{{dialectOld, evidenceRequest}, {dialectNew, evidenceSubscription}}, "rtmp_stream_status"},
		{"the first of equals stands", []fact{{dialectNew, evidenceSubscription}, {dialectOld, evidenceSubscription}}, "stream_status"},
		{"silence is no evidence", []fact{{dialectUnknown, evidenceSubscription}, {dialectNew, evidenceSubscription}}, "stream_status"},
	} {
		var s spelling
		for _, f := range c.facts {
			s.learn(f.dialect, f.from)
		}
		if got := s.statusType(); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

func TestDeviceState(t *testing.T) {
	d := device{phone: true, connected: true, model: "Mentra Live"}
	before := d.state()
	d.wifi = &protocol.Wifi{Connected: true, SSID: "lab"}
	d.battery = &protocol.Battery{Level: 88}
	delta := changed(before, d.state())
	want := map[string]any{"wifiConnected": true, "wifiSsid": "lab", "batteryLevel": 88.0, "charging": false}
	if len(delta) != len(want) {
		t.Errorf("delta %v, want %v", delta, want)
	}
	for key, value := range want {
		if delta[key] != value {
			t.Errorf("%s is %v, want %v", key, delta[key], value)
		}
	}
	if again := changed(d.state(), d.state()); len(again) != 0 {
		t.Errorf("no change gives %v", again)
	}
	for model, camera := range map[string]bool{
		"Mentra Live": true, "Simulated Live": true, "Even Realities G1": false, "Vuzix Z100": false, "Something New": true,
	} {
		if c := capabilitiesOf(model); c.HasCamera != camera || (c.Camera != nil) != camera {
			t.Errorf("%s has a camera: %v", model, c.HasCamera)
		}
	}
}
