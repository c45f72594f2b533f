package glasses

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"glimpse/protocol"
)

func TestParseLine(t *testing.T) {
	for line, want := range map[string]any{
		"":                        nil,
		"  ":                      nil,
		"say stop stream":         say{"stop stream"},
		" say  End   Stream ":     say{"End   Stream"},
		"button short":            button{"short"},
		"battery 20":              battery{20, false},
		"battery 5 charging":      battery{5, true},
		"# a remark":              nil,
		"drop 5s":                 drop{5 * time.Second},
		"start com.example.demo":  startApp{"com.example.demo"},
		"stop com.example.demo":   stopApp{"com.example.demo"},
		"notify  dinner is ready": notify{"dinner is ready"},
		"location 48.1  -11.6":    location{48.1, -11.6},
		"touch double_tap":        touch{"double_tap"},
		"head up":                 head{"up"},
		"wifi off":                radio{name: "wifi"},
		"wifi on":                 radio{name: "wifi", on: true},
		"bluetooth off 11s":       radio{name: "bluetooth", d: 11 * time.Second},
		"media off 1m":            radio{name: "media", d: time.Minute},
		"phone off 59s":           radio{name: "phone", d: 59 * time.Second},
		"voice on":                voice{true},
		"photo":                   photo{},
		"names old":               manner{word: "names", value: "old"},
		"ids off":                 manner{word: "ids", value: "off"},
		"stats compact":           manner{word: "stats", value: "compact"},
		"acks twice":              manner{word: "acks", value: "twice"},
		"acks 11s":                manner{word: "acks", value: "late", delay: 11 * time.Second},
		"stopped 3s":              manner{word: "stopped", value: "late", delay: 3 * time.Second},
		"camera busy":             manner{word: "camera", value: "busy"},
		"camera 1280x720":         manner{word: "camera", value: "1280x720"},
		"fail camera_busy now":    fail{"camera_busy now"},
		"status streaming":        claim{status: "streaming"},
		"status @s9 error no way": claim{"s9", "error", "no way"},
		`send {"type":"x"}`:       verbatim{json.RawMessage(`{"type":"x"}`)},
		"wait 5s":                 wait{d: 5 * time.Second},
		"wait reconnect_failed":   wait{what: "reconnect_failed"},
		"help":                    showHelp{},
		"quit":                    quit{},
	} {
		if got, err := parseLine(line); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %#v, %v; want %#v", line, got, err, want)
		}
	}
	for _, line := range []string{
		"dance", "say", "button", "button twice", "battery", "battery 101", "battery -1", "battery x",
		"drop", "drop 5", "drop -5s", "drop 11m", "start", "start two words", "quit now",
		"notify", "location", "location 48.1", "location 91 0", "location 0 NaN", "location 1 2 3", "touch", "touch a b", "head", "head left", "wifi", "wifi maybe",
		"wifi off 5", "phone on 5s", "bluetooth off -1s", "media off 2h", "voice", "photo album", "names", "names none", "ids", "stats some",
		"acks", "acks 0s", "stopped", "stopped now", "camera", "camera x720", "camera 0x0", "fail", "status", "status @s9", "status Loud", "send", "send {", "wait", "wait For",
	} {
		if got, err := parseLine(line); !errors.Is(err, errUsage) {
			t.Errorf("%q: %#v, %v; want an error", line, got, err)
		}
	}
}

func TestGlassesURL(t *testing.T) {
	for server, want := range map[string]string{
		"http://localhost:8002":             "ws://localhost:8002/glasses-ws",
		"https://cloud.example/":            "wss://cloud.example/glasses-ws",
		"ws://localhost:8002/glasses-ws":    "ws://localhost:8002/glasses-ws",
		"localhost:8002":                    "ws://localhost:8002/glasses-ws",
		"https://cloud.example/under/here/": "wss://cloud.example/under/here/glasses-ws",
	} {
		if got, err := glassesURL(server); err != nil || got != want {
			t.Errorf("%s: %s, %v; want %s", server, got, err, want)
		}
	}
	for _, server := range []string{"", "rtmp://host", "http://", "http://%zz"} {
		if got, err := glassesURL(server); err == nil {
			t.Errorf("%q: %s; want an error", server, got)
		}
	}
}

// A40
func TestScreen(t *testing.T) {
	for _, tc := range []struct{ name, layout, want string }{
		{"text wall", `{"layoutType":"text_wall","text":"🎥 Stream is live!\n\nShare the URLs with viewers, all of whom see it at once."}`, `
┌──────────────────────────────────────────────┐
│ 🎥 Stream is live!                           │
│                                              │
│ Share the URLs with viewers, all of whom see │
│ it at once.                                  │
└──────────────────────────────────────────────┘`},
		{"two walls", `{"layoutType":"double_text_wall","topText":"up","bottomText":"down"}`, `
┌──────────────────────────────────────────────┐
│ up                                           │
├──────────────────────────────────────────────┤
│ down                                         │
└──────────────────────────────────────────────┘`},
		{"card", `{"layoutType":"reference_card","title":"T","text":"x"}`, `
┌──────────────────────────────────────────────┐
│ T                                            │
├──────────────────────────────────────────────┤
│ x                                            │
└──────────────────────────────────────────────┘`},
		{"a terminal is not steered", `{"layoutType":"text_wall","text":"a\u001b[2Jb"}`, `
┌──────────────────────────────────────────────┐
│ a[2Jb                                        │
└──────────────────────────────────────────────┘`},
		{"a long word", `{"layoutType":"text_wall","text":"` + strings.Repeat("x", 50) + `"}`, `
┌──────────────────────────────────────────────┐
│ xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx │
│ xxxxxx                                       │
└──────────────────────────────────────────────┘`},
		{"clear", `{"layoutType":"clear_view"}`, "\n(display cleared)"},
		{"unknown", `{"layoutType":"hologram"}`, "\n(layout hologram)"},
		{"broken", `7`, "\nthe app sent a layout that cannot be read"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var b strings.Builder
			(&screen{out: &b}).show(&protocol.Display{Layout: []byte(tc.layout)})
			if got := "\n" + strings.TrimSuffix(b.String(), "\n"); got != tc.want {
				t.Errorf("got %s\nwant %s", got, tc.want)
			}
		})
	}
}

// Whatever an app sends, the box is drawn: no panic, no line too wide.
func FuzzLayout(f *testing.F) {
	f.Add([]byte(`{"layoutType":"text_wall","text":"日本語 🎥 x"}`))
	f.Add([]byte(`{"layoutType":"dashboard_card","leftText":"a\u0301","rightText":""}`))
	f.Fuzz(func(t *testing.T, layout []byte) {
		var b strings.Builder
		(&screen{out: &b}).show(&protocol.Display{Layout: layout})
		for line := range strings.SplitSeq(b.String(), "\n") {
			if strings.HasPrefix(line, "│") && columns(line) != screenWidth+4 {
				t.Errorf("line of %d columns: %q", columns(line), line)
			}
		}
	})
}
