package tap

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// The secrets of the tests' world, as the server makes them.
const (
	apiKey   = "Jx3kqPz0mW-8tYbRcV1nLs_4dHfGuE7a"
	ingest   = "q0WmTz7bYd2-KxVfE9sHnLpR_c4JgUa1"
	playback = "pB5vXo8eZi_3NrKtQw1yMhDj-6FsLcUk"
	token    = "eyJhbGciOiJIUzI1NiJ9.eyJlbWFpbCI6ImFAYi5jIn0.dGhpcyBpcyBhIHNpZ25hdHVyZSBvZiBhIHRlc3Q"
)

func TestRedact(t *testing.T) {
	cases := map[string]struct{ frame, typ, body string }{
		"init": {
			`{"type":"tpa_connection_init","sessionId":"a-b@c.d-com.x","packageName":"com.x","apiKey":"short","timestamp":"2026"}`,
			"tpa_connection_init", `{"sessionId":"a-b@c.d-com.x","packageName":"com.x","apiKey":"…"}`,
		},
		"start_stream": {
			`{"type":"start_stream","streamUrl":"rtmp://h:1935/live/` + ingest + `","rtmpUrl":"rtmp://u:p@h/key","appId":"MANAGED_STREAM","streamId":"s123","video":{"width":1280},"flash":true}`,
			"start_stream", `{"streamUrl":"rtmp://h:1935/live/…","rtmpUrl":"rtmp://h/…","appId":"MANAGED_STREAM","streamId":"s123","video":{"width":1280},"flash":true}`,
		},
		"short configured key": {`{"type":"x","streamUrl":"rtmp://localhost:1935/live/stream"}`, "x", `{"streamUrl":"rtmp://localhost:1935/live/…"}`},
		"srt":                  {`{"type":"x","streamUrl":"srt://h:4201?streamid=publish:key"}`, "x", `{"streamUrl":"srt://h:4201?…"}`},
		"whip":                 {`{"type":"x","streamUrl":"https://h/whip/` + ingest + `"}`, "x", `{"streamUrl":"https://h/whip/…"}`},
		"active": {
			`{"type":"managed_stream_status","status":"active","hlsUrl":"http://h:8002/live/` + playback + `/index.m3u8","previewUrl":"http://h:8002/live/` + playback + `/"}`,
			"managed_stream_status", `{"status":"active","hlsUrl":"http://h:8002/live/pB5v…/index.m3u8","previewUrl":"http://h:8002/live/pB5v…"}`,
		},
		"in a text": {
			`{"type":"display_event","layout":{"text":"🟢 http://h/live/` + playback + ` ok"}}`,
			"display_event", `{"layout":{"text":"🟢 http://h/live/pB5v… ok"}}`,
		},
		"in an error": {
			`{"type":"stream_status","errorDetails":"Network error: could not reach rtmp://h/live/` + ingest + ` (timeout)"}`,
			"stream_status", `{"errorDetails":"Network error: could not reach rtmp://h/live/… (timeout)"}`,
		},
		"destinations": {
			`{"type":"managed_stream_request","restreamDestinations":[{"url":"rtmp://a.rtmp.youtube.com/live2/abcd-efgh","name":"YouTube"}]}`,
			"managed_stream_request", `{"restreamDestinations":[{"url":"rtmp://a.rtmp.youtube.com/live2/…","name":"YouTube"}]}`,
		},
		"check": {
			`{"type":"stream_status_check","requestId":"stream_check_c5b6dbfc-1234-4abc-8def-0123456789ab"}`,
			"stream_status_check", `{"requestId":"stream_check_c5b6dbfc-1234-4abc-8def-0123456789ab"}`,
		},
		"bare key":      {`{"type":"x","note":"it is ` + apiKey + `!"}`, "x", `{"note":"it is …!"}`},
		"bearer":        {`{"type":"x","note":"Authorization: Bearer abc, key=def"}`, "x", `{"note":"Authorization: Bearer …, key=…"}`},
		"nested secret": {`{"type":"x","token":{"a":["b",1]},"apiKey":7}`, "x", `{"token":"…","apiKey":"…"}`},
		"as a name":     {`{"type":"x","` + apiKey + `":1}`, "x", `{"…":1}`},
		"as the type":   {`{"type":"` + apiKey + `"}`, "…", `{}`},
		"escaped":       {`{"type":"x","a":"\u004ax3kqPz0mW-8tYbRcV1nLs_4dHfGuE7a"}`, "x", `{"a":"…"}`},
		"escaped URL":   {`{"type":"x","a":"rtmp:\/\/h\/live\/key"}`, "x", `{"a":"rtmp://h/live/…"}`},
		"plain words": {
			`{"type":"x","subscriptions":["managed_stream_status","transcription:en-US"],"p":"com.example.a-long-package-name"}`,
			"x", `{"subscriptions":["managed_stream_status","transcription:en-US"],"p":"com.example.a-long-package-name"}`,
		},
		"no type":    {`{"a":1}`, Unreadable, `{"a":1}`},
		"no object":  {`[1]`, Unreadable, ``},
		"two":        {`{"type":"x"}{"apiKey":"k"}`, Unreadable, ``},
		"broken":     {`{"type":"x","apiKey":"k`, Unreadable, ``},
		"deep":       {`{"type":"x","a":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `}`, Unreadable, ``},
		"many items": {`{"type":"x","a":[` + strings.Repeat("1,", 99) + `1]}`, "x", `{"a":[` + strings.Repeat("1,", 64) + `"…"]}`},
		"long text":  {`{"type":"x","a":"` + strings.Repeat("ab ", 900) + `"}`, "x", `{"a":"` + strings.Repeat("ab ", 85) + `a…"}`},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			typ, body := Redact([]byte(c.frame))
			if typ != c.typ || string(body) != c.body {
				t.Errorf("got  %s %s\nwant %s %s", typ, body, c.typ, c.body)
			}
		})
	}
}

// However a secret stands in a frame, nothing of it but the first characters of
// a playback id is shown, and what is shown is JSON within its bounds.
func FuzzRedact(f *testing.F) {
	for _, seed := range [][3]string{
		{"note", "", ""}, {"apiKey", "", ""}, {"streamUrl", "rtmp://h/live/", "?x=1"}, {"url", "http://h/live/", "/index.m3u8"},
		{"text", "see https://u:", "@h/ for it"}, {"text", "http://", ".example.com/"}, {"text", "http:\\\\h\\live\\", ""},
		{"text", "h/live/", ""}, {"srt", "srt://h?streamid=publish:", "&b=c"}, {"", "é", "\u2028"}, {"a", "key=", ""},
		{"a", "abc-", "-abc"}, {"a", "http://[::1", "]/"}, {"a", "stream_check_", "-1234"}, {"a", strings.Repeat("long ", 409), ""},
		{"a", "http://h/live/", "%2f"}, {"a", "%", "://"}, {"type", "", ""}, {"a", "x://h/x/", ""},
	} {
		f.Add(seed[0], seed[1], seed[2], []byte(`{"type":"x"}`))
	}
	f.Fuzz(func(t *testing.T, name, before, after string, raw []byte) {
		for _, secret := range []string{apiKey, ingest, playback, token} {
			text := before + secret + after
			value, _ := json.Marshal(text)
			key, _ := json.Marshal(name)
			frames := []string{
				fmt.Sprintf(`{"type":"x",%s:%s}`, key, value),
				fmt.Sprintf(`{%s:{"a":[{%s:1},%s]}}`, key, value, value),
				fmt.Sprintf(`{"type":%s,"layout":{%s:[[%s]]}}`, value, key, value),
				strings.ReplaceAll(string(raw), "SECRET", secret),
			}
			for _, frame := range frames {
				typ, body := Redact([]byte(frame))
				told(t, secret, typ)
				told(t, secret, string(body))
				if len(body) > 0 && (!json.Valid(body) || len(body) > maxBody) {
					t.Errorf("not JSON or too long: %s", body)
				}
			}
			told(t, secret, Text(text))
		}
	})
}

// told fails when six characters in a row of a secret are in what is shown.
func told(t *testing.T, secret, shown string) {
	t.Helper()
	for i := 0; i+6 <= len(secret); i++ {
		if strings.Contains(shown, secret[i:i+6]) {
			t.Fatalf("%q of a secret is shown: %s", secret[i:i+6], shown)
		}
	}
}

func BenchmarkRedact(b *testing.B) {
	frame := []byte(`{"type":"display_event","packageName":"com.x","view":"main","layout":{"layoutType":"text_wall","text":"hello"}}`)
	for b.Loop() {
		if typ, body := Redact(bytes.Clone(frame)); typ == "" || body == nil {
			b.Fatal("nothing")
		}
	}
}
