package subscribe

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

func TestMatching(t *testing.T) {
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
		sub, ok := parse(json.RawMessage(c.entry))
		if !ok {
			t.Errorf("%s was not understood", c.entry)
			continue
		}
		if got := sub.matches(c.stream, c.detail); got != c.want {
			t.Errorf("%s takes %s %q: %v, want %v", c.entry, c.stream, c.detail, got, c.want)
		}
	}
	for _, entry := range []string{`""`, `7`, `null`, `{}`, `["a"]`, `"` + strings.Repeat("x", maxEntry+1) + `"`} {
		if sub, ok := parse(json.RawMessage(entry)); ok {
			t.Errorf("%.20s was understood as %v", entry, sub)
		}
	}
}

func TestPermissions(t *testing.T) {
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
		subs, details := Read(entries, c.permissions)
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
	if subs, _ := Read(many, nil); len(subs) > maxEntries {
		t.Errorf("%d subscriptions were kept", len(subs))
	}
}

// Whatever an app subscribes to, the set is bounded and without repetitions, and an
// app without permissions gets nothing that needs one.
func FuzzRead(f *testing.F) {
	f.Add(`["button_press","transcription:en-US?x",{"stream":"location","rate":"high"},1,null]`)
	f.Add(`[{"stream":"audio_chunk","Stream":"button_press"},"","touch_event:tap"]`)
	f.Fuzz(func(t *testing.T, text string) {
		var entries []json.RawMessage
		if json.Unmarshal([]byte(text), &entries) != nil {
			return
		}
		subs, refused := Read(entries, nil)
		if len(subs)+len(refused) > min(len(entries), maxEntries) {
			t.Errorf("%d and %d of %d", len(subs), len(refused), len(entries))
		}
		seen := make(map[string]bool)
		for _, s := range subs {
			if s.Raw == "" || len(s.Raw) > maxEntry || seen[s.Raw] {
				t.Errorf("%q is empty, too long or twice there", s.Raw)
			}
			seen[s.Raw] = true
			if need := s.permission(); need != "" {
				t.Errorf("%q without %s", s.Raw, need)
			}
		}
	})
}
