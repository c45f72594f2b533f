package camera

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"glimpse/protocol"
)

// A54 C57
func TestCause(t *testing.T) {
	tests := []struct {
		status, details string
		code            protocol.Code
		text            string
		hopeless        bool
	}{
		{"error", "", protocol.CodeGlassesError, "The glasses reported an error", false},
		{"error", "Encoder failed", protocol.CodeGlassesError, "Encoder failed", false},
		{"error", "camera_busy", protocol.CodeCameraBusy, "camera_busy", false},
		{"error", "no_wifi_connection", protocol.CodeNetwork, "Network error: no_wifi_connection", false},
		{"error", "Network error: refused", protocol.CodeNetwork, "Network error: refused", false},
		{"error", "connection reset", protocol.CodeNetwork, "Network error: connection reset", false},
		{"error", "missing URL", protocol.CodeInvalidURL, "Invalid URL: missing URL", false},
		{"error", "Invalid URL", protocol.CodeInvalidURL, "Invalid URL", false},
		{"error", "Battery too low", protocol.CodeGlassesError, "Battery too low", true},
		{"error", "Resolution not supported", protocol.CodeGlassesError, "Resolution not supported", true},
		{"error", "no camera permission", protocol.CodePermissionDenied, "no camera permission", true},
		{"error", "stream timed out", protocol.CodeTimeout, "stream timed out", false},
		{"timeout", "", protocol.CodeTimeout, "Stream timed out: no keep-alive reached the glasses", false},
		{"disconnected", "", protocol.CodeNetwork, "Network error: the glasses lost their connection", false},
		{"reconnect_failed", "", protocol.CodeNetwork, "Network error: the glasses failed to reconnect", false},
		{"reconnect_failed", "gave up", protocol.CodeNetwork, "Network error: gave up", false},
		{"stopped", "", protocol.CodeGlassesError, "The glasses stopped the stream", false},
	}
	for _, tt := range tests {
		code, text := cause(tt.status, tt.details)
		if code != tt.code || text != tt.text || hopeless(tt.details) != tt.hopeless {
			t.Errorf("cause(%q, %q) = %s %q, hopeless %v", tt.status, tt.details, code, text, hopeless(tt.details))
		}
	}
}

func TestDetailsAreBounded(t *testing.T) {
	s, _ := Step(ready(), StartDirect{App: "a", IDs: IDs{StreamID: "s1"}, URL: "rtmp://h/k", Permitted: true, Running: true}, t0)
	for _, status := range []string{"reconnecting", "error"} {
		_, effects := Step(s, GlassesSaid{StreamID: "s1", Status: status, ErrorDetails: "x" + strings.Repeat("é", 1000)}, t0)
		told, ok := effects[0].(TellDirect)
		if n := len(told.Status.ErrorDetails); !ok || n == 0 || n > maxDetails || !utf8.ValidString(told.Status.ErrorDetails) {
			t.Errorf("%s: %d bytes passed on", status, n)
		}
	}
}

func TestRedact(t *testing.T) {
	tests := []struct{ url, key, text, want string }{
		{"", "sekret", "cannot push to rtmp://cloud/live/sekret", "cannot push to rtmp://cloud/live/***"},
		{"rtmp://h:1935/live/sekret", "", "refused: rtmp://h:1935/live/sekret", "refused: <url>"},
		{"rtmp://h:1935/live/sekret", "", "no /live/sekret at h", "no /*** at h"},
		{"rtmp://h:1935/live/sekret", "", "bad name sekret", "bad name ***"},
		{"srt://h:1?streamid=sekret", "", "stream id sekret refused by h", "stream id *** refused by h"},
		{"rtmp://h", "", "h is down", "h is down"},
	}
	for _, tt := range tests {
		s := &Stream{URL: tt.url, IngestKey: tt.key}
		if got := s.redact(tt.text); got != tt.want {
			t.Errorf("%q for %q%q = %q, want %q", tt.text, tt.url, tt.key, got, tt.want)
		}
	}
}

// D15
func TestURLs(t *testing.T) {
	for raw, ok := range map[string]bool{
		"rtmp://server.example.com/live/stream-key":   true,
		"rtmps://a:443/x/y":                           true,
		"RTMP://a/x":                                  true,
		"srt://192.168.1.100:4201?streamid=my-stream": true,
		"http://[::1]:8002/whip/k":                    true,
		"https://h/whip":                              true,
		"":                                            false,
		"server.example.com/live":                     false,
		"rtmp:///live/key":                            false,
		"rtmp:live":                                   false,
		"file:///etc/passwd":                          false,
		"javascript:alert(1)":                         false,
		"rtmp://h\x00/":                               false,
		"rtmp://" + strings.Repeat("a", maxURL) + "/live": false,
	} {
		s, effects := Step(ready(), StartDirect{App: "com.a", IDs: IDs{StreamID: "s1"}, URL: raw, Permitted: true, Running: true}, t0)
		if (s.Stream != nil) != ok {
			t.Errorf("%q: started %v, want %v", raw, s.Stream != nil, ok)
		}
		if ok {
			continue
		}
		for _, e := range effects {
			if e, is := e.(TellDirect); is && !strings.HasPrefix(e.Status.ErrorDetails, "Invalid URL") {
				t.Errorf("%q: %+v", raw, e.Status)
			}
		}
	}
}

var t0 = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

func ready() State {
	s := New(DefaultTimes())
	s.Device = Device{PhoneUp: true, GlassesConnected: true, HasCamera: true}
	return s
}

// live is a managed stream that two apps hold.
func live() State {
	s, _ := Step(ready(), StartManaged{App: "com.a", IDs: IDs{"m1", "key", "play"}, Permitted: true, Running: true,
		Options:      Options{Quality: "720p", Stream: json.RawMessage(`{"durationLimit":1800}`)},
		Destinations: []protocol.Destination{{URL: "rtmp://h/k"}}}, t0)
	s, _ = Step(s, StartManaged{App: "com.b", IDs: IDs{StreamID: "m2"}, Permitted: true, Running: true}, t0)
	s, _ = Step(s, MediaLive{StreamID: "m1"}, t0.Add(time.Second))
	return s
}

// What must survive a restart is in the state's JSON, and nothing else.
func TestStateIsJSON(t *testing.T) {
	s := live()
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var back State
	if err := json.Unmarshal(b, &back); err != nil {
		t.Fatal(err)
	}
	st, want := back.Stream, s.Stream
	if st.Kind != Managed || st.ID != "m1" || st.IngestKey != "key" || st.PlaybackID != "play" ||
		st.Limit != 30*time.Minute || !st.Created.Equal(want.Created) || !st.FirstLive.Equal(want.FirstLive) ||
		!reflect.DeepEqual(st.Options, want.Options) || len(st.Holds) != 2 || st.Holds[0].Destinations[0].URL != "rtmp://h/k" {
		t.Errorf("came back as %+v", st)
	}
	if !st.Interrupted() {
		t.Error("after a restart the stream is not interrupted")
	}
}

// A step must leave the state it was given as it was, down to the slices.
func TestStepLeavesOldStates(t *testing.T) {
	old, _ := Step(live(), AppAway{App: "com.c"}, t0)
	old, _ = Step(old, AppAway{App: "com.a"}, t0)
	want, err := json.Marshal(old)
	if err != nil {
		t.Fatal(err)
	}
	away := slices.Clone(old.Away)
	for _, e := range []Event{
		AppLeft{App: "com.a"}, AppLeft{App: "com.b"}, AppAway{App: "com.a"}, AppBack{App: "com.c"},
		Stop{App: "com.b", Kind: Managed}, OperatorEnded{StreamID: "m1"}, MediaLost{StreamID: "m1"},
		StartManaged{App: "com.c", Permitted: true, Running: true}, Device{}, Tick{},
	} {
		Step(old, e, t0.Add(time.Hour))
		if got, _ := json.Marshal(old); string(got) != string(want) || !reflect.DeepEqual(old.Away, away) {
			t.Errorf("%T changed the old state to %s", e, got)
		}
	}
}

// FuzzRequests feeds strangers' bytes to what reads them.
func FuzzRequests(f *testing.F) {
	f.Add("rtmp://h/live/k", "720p", `{"frameRate":15}`, `{"durationLimit":30}`)
	f.Add("srt://[::1]:1?x=%zz", "1080p", `null`, `{"durationLimit":1e400}`)
	f.Add("", "8K", `[1]`, `{"durationLimit":-1}`)
	f.Fuzz(func(t *testing.T, url, quality, video, stream string) {
		o := Options{Quality: quality, Video: json.RawMessage(video), Stream: json.RawMessage(stream)}
		s, effects := Step(ready(), StartManaged{App: "a", IDs: IDs{"m1", "k", "p"}, Permitted: true, Running: true, Options: o,
			Destinations: []protocol.Destination{{URL: url}}}, t0)
		if s.Stream != nil && (s.Stream.Limit < 0 || s.Stream.Limit > maxLimit) {
			t.Errorf("limit %v", s.Stream.Limit)
		}
		for _, e := range effects {
			if e, ok := e.(StartGlasses); ok && json.Valid(o.Video) && !json.Valid(e.Start.Video) && e.Start.Video != nil {
				t.Errorf("video %s", e.Start.Video)
			}
		}
		Step(ready(), StartDirect{App: "a", IDs: IDs{StreamID: "s1"}, Permitted: true, Running: true, URL: url, Options: o}, t0)
	})
}

func BenchmarkStep(b *testing.B) {
	s := live()
	now := t0.Add(2 * time.Second)
	stats := &protocol.Stats{FPS: 30}
	direct, _ := Step(ready(), StartDirect{App: "com.a", IDs: IDs{StreamID: "s1"}, URL: "rtmp://h/k", Permitted: true, Running: true}, t0)
	for _, bb := range []struct {
		name  string
		state State
		event Event
	}{
		{"tick", s, Tick{}},
		{"status", direct, GlassesSaid{StreamID: "s1", Status: "streaming", Stats: stats}},
		{"answer", s, KeepAliveAcked{StreamID: "m1", AckID: "1"}},
		{"join", s, StartManaged{App: "com.c", Permitted: true, Running: true}},
	} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Step(bb.state, bb.event, now)
			}
		})
	}
	b.Run("next", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			Next(s)
		}
	})
}
