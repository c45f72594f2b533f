package e2e

import (
	"strings"
	"testing"
)

// What happens to a wearer reaches the handlers of every app style exactly once,
// but not those of an app without the permission; and without Wi-Fi a stream is
// refused in a sentence.
func TestPhoneEvents(t *testing.T) {
	parallel(t, others)
	const user = "wearer@example.com"
	poor := []string{"sdk2", "mini"}
	config, ports := "apps:\n", map[string]int{}
	for _, style := range styles {
		ports[style] = freePort(t)
		config += appConfig("com.example."+style, ports[style], "CAMERA, LOCATION, READ_NOTIFICATIONS")
	}
	for _, style := range poor {
		ports["poor-"+style] = freePort(t)
		config += appConfig("com.example.poor-"+style, ports["poor-"+style], "CAMERA")
	}
	c := startCloud(t, config+"users:\n  - {id: "+user+"}\n")
	w := c.startGlasses(t, user)
	happens := []struct{ line, kind, text string }{
		{"location 48.5 -11.25", "location", "48.5 -11.25"},
		{"notify dinner is ready", "notification", "dinner is ready"},
		{"touch double_tap", "touch double_tap", "double_tap"},
		{"touch long_press", "touch", "long_press"},
		{"battery 42", "battery", "42"},
		{"head up", "head", "up"},
		{"wifi off", "wifi", "false"},
	}
	listen := func(style, name string) *app {
		a := startApp(t, style, "com.example."+name, ports[name])
		c.startSession(a, user)
		a.do(nil, "listen")
		a.do(nil, "check") // answered after the subscriptions
		return a
	}
	apps, poorApps := map[string]*app{}, map[string]*app{}
	for _, style := range styles {
		apps[style] = listen(style, style)
	}
	for _, style := range poor {
		poorApps[style] = listen(style, "poor-"+style)
	}
	for _, h := range happens {
		w.say(h.line)
		for _, style := range styles {
			apps[style].wait(h.kind, func(e event) bool { return e.Event == "heard" && e.Kind == h.kind && e.Text == h.text })
		}
	}
	counts := func(a *app, private int) {
		t.Helper()
		for pattern, want := range map[string]int{
			`"kind":"location"`: private, `"kind":"notification"`: private,
			`"kind":"touch double_tap"`: 1, `"kind":"touch"`: 2, `"kind":"head"`: 1,
		} {
			if n := a.count(pattern); n != want {
				t.Errorf("%s: %d times %s, want %d", a.name, n, pattern, want)
			}
		}
	}
	for _, a := range poorApps {
		a.wait("head", func(e event) bool { return e.Event == "heard" && e.Kind == "head" })
		counts(a, 0)
	}
	for _, a := range apps {
		counts(a, 1)
		if e := a.result(a.send("managed", map[string]any{})); !strings.Contains(e.Error, "WiFi") {
			t.Errorf("%s: a stream without Wi-Fi: %q", a.name, e.Error)
		}
	}
	w.say("wifi on")
	var u urls
	apps["sdk2"].wait("wifi", func(e event) bool { return e.Event == "heard" && e.Kind == "wifi" && e.Text == "true" })
	apps["sdk2"].do(&u, "managed", map[string]any{})
	fetchOK(t, u.HLS)
}
