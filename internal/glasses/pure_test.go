package glasses

import (
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
		"battery 20":              battery{20},
		"drop 5s":                 drop{5 * time.Second},
		"start com.example.demo":  startApp{"com.example.demo"},
		"stop com.example.demo":   stopApp{"com.example.demo"},
		"notify  dinner is ready": notify{"dinner is ready"},
		"location 48.1  -11.6":    location{48.1, -11.6},
		"touch double_tap":        touch{"double_tap"},
		"head up":                 head{"up"},
		"wifi off":                wifi{false},
		"wifi on":                 wifi{true},
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
