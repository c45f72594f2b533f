package e2e

import (
	"fmt"
	"maps"
	"strings"
	"syscall"
	"testing"
)

// What apps store through the published SDKs is there for their next process,
// also after the cloud was killed; each app and wearer has their own.
func TestSimpleStorage(t *testing.T) {
	parallel(t, others)
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

// What an app may store for a wearer is bounded, and only it can: a value of
// 100 KB, all of it 1 MB, a refused batch is refused whole, and without the app's
// key, or for somebody who is not known, nothing is read or written.
func TestStorageLimits(t *testing.T) {
	parallel(t, others)
	const user = "wearer@example.com"
	const path = "/api/sdk/simple-storage/wearer%40example.com"
	f := newFour(t, "", "CAMERA")
	c := startCloud(t, f.config+"users:\n  - {id: "+user+"}\n")
	for _, style := range styles {
		key := "com.example." + style + ":" + apiKey
		stored := func(body string) bool {
			return strings.Contains(body, `"kept":"`+style+`"`) && !strings.Contains(body, "lost")
		}
		value := func(n int) string { return strings.Repeat("x", n) }
		for _, r := range []struct {
			method, path, key, body string
			want                    int
		}{
			{"PUT", path, key, `{"data":{"kept":"` + style + `"}}`, 200},
			{"PUT", path, key, `{"data":{"lost":"1","big":"` + value(100_001) + `"}}`, 400},
			{"PUT", path, key, `{"data":{"lost":1}}`, 400},
			{"PUT", path, key, `{"data":{"":"lost"}}`, 400},
			{"PUT", path, key, `{"data":{"lost":"` + value(3<<20) + `"}}`, 413},
			{"PUT", path, key + "x", `{"data":{"lost":"1"}}`, 401},
			{"PUT", path, "", `{"data":{"lost":"1"}}`, 401},
			{"PUT", "/api/sdk/simple-storage/nobody@example.com", key, `{"data":{"lost":"1"}}`, 404},
			{"DELETE", path + "/kept", "com.example.nobody:" + apiKey, "", 401},
			{"PUT", path, key, `{"data":{"big":"` + value(100_000) + `"}}`, 200},
			{"DELETE", path + "/big", key, "", 200},
		} {
			if code, body := c.call(t, r.method, r.path, r.key, r.body); code != r.want || strings.Contains(body, `"success":true`) != (r.want == 200) {
				t.Errorf("%s: %s %s %.40s: %d %.100s, want %d", style, r.method, r.path, r.body, code, body, r.want)
			}
		}
		full := 0
		for i := range 12 {
			switch code, body := c.call(t, "PUT", path, key, fmt.Sprintf(`{"data":{"part%d":"%s"}}`, i, value(100_000))); code {
			case 200:
			case 413:
				full++
			default:
				t.Errorf("part %d: %d %.100s", i, code, body)
			}
		}
		if full != 2 { // 1 MiB holds ten of 100,000 bytes
			t.Errorf("%s: %d of 12 parts were refused, want 2", style, full)
		}
		if code, body := c.call(t, "GET", path, key, ""); code != 200 || !stored(body) {
			t.Errorf("%s: %d %.200s", style, code, body)
		}
	}
}
