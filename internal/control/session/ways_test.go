package session

import (
	"slices"
	"testing"
)

// Glasses publish in the way that they like best of those that there are; a
// stream that is sent on to platforms comes by SRT when they can. Of glasses that
// do not say the model tells.
//
// D4 D8
func TestWaysToPublish(t *testing.T) {
	for _, c := range []struct {
		name, said, more string
		want             []string
		shown            []string // in the capabilities
	}{
		{"unsaid", ``, ``, []string{"webrtc", "srt", "rtmp"}, []string{"rtmp", "srt", "webrtc"}},
		{"their order", `["rtmp","srt"]`, ``, []string{"rtmp", "srt"}, []string{"rtmp", "srt"}},
		{"WHIP first", `["webrtc","rtmp"]`, ``, []string{"webrtc", "rtmp"}, []string{"webrtc", "rtmp"}},
		{"sent on", `["webrtc","rtmp","srt"]`, `,"restreamDestinations":[{"url":"rtmp://a.example/live/key"}]`,
			[]string{"srt", "webrtc", "rtmp"}, []string{"webrtc", "rtmp", "srt"}},
		{"sent on without SRT", `["rtmp"]`, `,"restreamDestinations":[{"url":"rtmp://a.example/live/key"}]`, []string{"rtmp"}, []string{"rtmp"}},
		{"unknown words", `["carrier-pigeon","rtmps","rtmps"]`, ``, []string{"rtmps"}, []string{"rtmps"}},
		{"nothing known", `["carrier-pigeon"]`, ``, []string{"webrtc", "srt", "rtmp"}, []string{"rtmp", "srt", "webrtc"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				phone, _ := w.phone()
				if c.said != "" {
					w.say(phone, `{"type":"glasses_connection_state","modelName":"Mentra Live","status":"CONNECTED","supportedStreamTypes":`+c.said+`}`)
				}
				app, socket := w.run(phone, "com.x.app", false)
				ack := last(t, socket, "tpa_connection_ack")
				shown := ack["capabilities"].(map[string]any)["camera"].(map[string]any)["video"].(map[string]any)["supportedStreamTypes"].([]any)
				if !slices.EqualFunc(shown, c.shown, func(a any, b string) bool { return a == b }) {
					t.Errorf("apps are shown %v, want %v", shown, c.shown)
				}
				w.say(app, `{"type":"managed_stream_request"`+c.more+`}`)
				if !slices.Equal(w.streams.ways, c.want) {
					t.Errorf("the glasses are offered %v, want %v", w.streams.ways, c.want)
				}
			})
		})
	}
}
