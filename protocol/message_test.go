package protocol

import (
	"encoding/json"
	"testing"
	"time"
)

// Phones send times as text or as milliseconds; what cannot be read is no
// error, because no decision hangs on it.
func TestTimeIsLenient(t *testing.T) {
	want := time.Date(2026, 11, 20, 23, 10, 12, 950e6, time.UTC)
	for in, ok := range map[string]bool{
		`"2026-11-20T23:10:12.950Z"`:      true,
		`"2026-11-21T00:10:12.950+01:00"`: true,
		`1795216212950`:                   true,
		`1795216212950.0`:                 true,
		`"yesterday"`:                     false,
		`-1`:                              false,
		`1e300`:                           false,
		`{"a":1}`:                         false,
		`null`:                            false,
	} {
		var got Time
		if err := json.Unmarshal([]byte(in), &got); err != nil {
			t.Errorf("%s: %v", in, err)
		}
		if ok && !got.Equal(want) || !ok && !got.IsZero() {
			t.Errorf("%s: %v", in, got)
		}
	}
	out, err := json.Marshal(Time{want.In(time.FixedZone("", 3600))})
	if err != nil || string(out) != `"2026-11-20T23:10:12.950Z"` {
		t.Errorf("written as %s, %v", out, err)
	}
}

// A direct request names its target in either spelling; both are written to
// glasses.
//
// D20
func TestSpellings(t *testing.T) {
	for in, want := range map[string]string{
		`{"rtmpUrl":"rtmp://a/b"}`:                          "rtmp://a/b",
		`{"streamUrl":"srt://a"}`:                           "srt://a",
		`{"streamUrl":"rtmp://new","rtmpUrl":"rtmp://old"}`: "rtmp://new",
	} {
		var r StreamRequest
		if err := json.Unmarshal([]byte(in), &r); err != nil || r.URL() != want {
			t.Errorf("%s: %q, %v", in, r.URL(), err)
		}
	}
	out, err := json.Marshal(StartStream{StreamURL: "rtmp://a/b", RTMPURL: "rtmp://a/b", Flash: true})
	if err != nil {
		t.Fatal(err)
	}
	var keys map[string]any
	_ = json.Unmarshal(out, &keys)
	if keys["streamUrl"] != keys["rtmpUrl"] || keys["flash"] != true {
		t.Errorf("start_stream: %s", out)
	}
}

// Whatever a stranger sends decodes or fails, and what decodes can be encoded.
func FuzzMessages(f *testing.F) {
	for _, s := range []string{
		`{"type":"tpa_connection_init","sessionId":"a-b","packageName":"b","apiKey":"k","timestamp":1}`,
		`{"type":"managed_stream_request","quality":"720p","enableWebRTC":true,"restreamDestinations":[{"url":"rtmp://x"}],"sound":false}`,
		`{"type":"stream_status","streamId":"s1","status":"streaming","stats":{"bitrate":1,"fps":30}}`,
		`{"type":"subscription_update","subscriptions":["a",{"stream":"b","rate":"c"}]}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, m := range []any{&AppInit{}, &StreamRequest{}, &StreamStop{}, &StatusCheck{}, &Subscriptions{}, &Display{}, &GlassesStatus{}, &GlassesState{}, &KeepStreamAlive{}, &Transcription{}} {
			if json.Unmarshal(b, m) != nil {
				continue
			}
			if _, err := json.Marshal(m); err != nil {
				t.Errorf("%T decodes and does not encode: %v", m, err)
			}
		}
	})
}
