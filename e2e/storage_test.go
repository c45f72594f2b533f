package e2e

import (
	"maps"
	"syscall"
	"testing"
)

// What apps store through the published SDKs is there for their next process,
// also after the cloud was killed; each app and wearer has their own.
func TestSimpleStorage(t *testing.T) {
	t.Parallel()
	const user, other = "wearer@example.com", "other-wearer@example.com"

	config, ports := "apps:\n", map[string]int{}
	for _, style := range styles {
		ports[style] = freePort(t)
		config += appConfig("com.example."+style, ports[style], "CAMERA")
	}
	c := startCloud(t, config+"users:\n  - {id: "+user+"}\n  - {id: "+other+"}\n")
	run := func(style string) *app {
		return startApp(t, style, "com.example."+style, ports[style], "CLOUD_URL="+c.url)
	}
	apps, want := map[string]*app{}, map[string]map[string]string{}
	for _, style := range styles {
		a := run(style)
		c.startSession(a, user)
		wantStored(t, a, map[string]string{})
		a.do(nil, "storeAll", map[string]string{"from": style, "a key/with ä%": "1", "gone": "x"})
		a.do(nil, "storeAll", map[string]string{"a key/with ä%": "2"})
		for _, key := range []string{"gone", "never there"} {
			var deleted bool
			if a.do(&deleted, "unstore", key); !deleted {
				t.Errorf("%s: the SDK says that %q could not be deleted", style, key)
			}
		}
		apps[style], want[style] = a, map[string]string{"from": style, "a key/with ä%": "2"}
		if style != "mini" { // has no such call
			var settings []any
			if a.do(&settings, "settings"); len(settings) != 0 {
				t.Errorf("%s: settings %v", style, settings)
			}
		}
	}
	for _, a := range apps {
		if err := syscall.Kill(-a.cmd.Process.Pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		<-a.done
	}
	c.restart(t, syscall.SIGKILL)
	for _, style := range styles {
		apps[style] = run(style)
	}
	for style, a := range apps {
		a.wait("session", func(e event) bool { return e.Event == "session" }) // asked back
		wantStored(t, a, want[style])
	}
	cleared := apps["sdk2"]
	cleared.do(nil, "unstoreAll")
	cleared.mark()
	c.startSession(cleared, other)
	wantStored(t, cleared, map[string]string{})
}

func wantStored(t *testing.T, a *app, want map[string]string) {
	t.Helper()
	var got map[string]string
	if a.do(&got, "stored"); !maps.Equal(got, want) {
		t.Errorf("%s has stored %v, want %v", a.name, got, want)
	}
}
