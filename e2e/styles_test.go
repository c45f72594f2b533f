package e2e

import (
	"bufio"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// styles are the four ways in which the published SDKs write apps.
var styles = []string{"sdk2", "hono", "alpha", "mini"}

// four are apps, one of each style; a name before the style tells several of
// one style apart.
type four struct {
	ports  map[string]int
	config string // the apps list
	apps   map[string]*app
	heard  map[string]int // statuses by style, when note was called
}

// newFour makes packages "com.example.<name><style>".
func newFour(t *testing.T, name, permissions string) *four {
	t.Helper()
	f := &four{config: "apps:\n", ports: map[string]int{}, apps: map[string]*app{}, heard: map[string]int{}}
	for _, style := range styles {
		f.ports[style] = freePort(t)
		f.config += appConfig("com.example."+name+style, f.ports[style], permissions)
	}
	return f
}

// run starts the four programs and, for a user by style, their sessions.
func (f *four) run(t *testing.T, c *cloud, name string, user func(style string) string, more ...string) {
	t.Helper()
	var wg sync.WaitGroup
	var mu sync.Mutex
	for _, style := range styles {
		wg.Go(func() {
			a := launchApp(t, style, "com.example."+name+style, f.ports[style], more...)
			mu.Lock()
			f.apps[style] = a
			mu.Unlock()
		})
	}
	wg.Wait()
	for _, style := range styles {
		f.apps[style].ready()
		c.startSession(f.apps[style], user(style))
	}
}

// always is for run: all four are one wearer's.
func always(user string) func(string) string { return func(string) string { return user } }

// share lets the four hold one managed stream and returns its links.
func (f *four) share(t *testing.T) (links urls) {
	t.Helper()
	for i, style := range styles {
		var u urls
		if f.apps[style].do(&u, "managed", map[string]any{}); i == 0 {
			links = u
		} else if u != links {
			t.Errorf("%s got %+v, the first %+v", style, u, links)
		}
	}
	f.note()
	return links
}

// note remembers how many statuses each has got.
func (f *four) note() {
	for style, a := range f.apps {
		a.existing() // answered after all so far
		f.heard[style] = a.statuses()
	}
}

// leave stops the managed stream of one after the other: the links work until
// the last has left, and each is told once.
func (f *four) leave(t *testing.T, links urls) {
	t.Helper()
	for _, style := range styles {
		a := f.apps[style]
		fetchOK(t, links.HLS)
		a.mark()
		a.do(nil, "stopManaged")
		a.status("stopped")
	}
	eventually(t, "the links are gone", func() bool { code, _, _ := get(t, links.HLS); return code == 404 })
}

// statuses counts those that the app's handlers got.
func (a *app) statuses() int { return a.count(`^@\{"event":"status"`) }

// wantUntold fails when an app heard of an end of a stream, or its session ended
// or began anew.
func (f *four) wantUntold(t *testing.T) {
	t.Helper()
	for style, a := range f.apps {
		if n := a.count(`^@\{"event":"status".*"status":"(stopped|error|timeout)"`); n != 0 {
			t.Errorf("%s was told of %d ends", style, n)
		}
		f.wantSameSession(t, style)
	}
}

// wantSameSession fails when the session of an app ended or began anew.
func (f *four) wantSameSession(t *testing.T, style string) {
	t.Helper()
	a := f.apps[style]
	if n := a.count(`^@\{"event":"stop"`); n != 0 {
		t.Errorf("%s ran onStop", style)
	}
	if n := a.count(`^@\{"event":"session"`); n != 1 {
		t.Errorf("%s had %d sessions, want the first only", style, n)
	}
}

// stops counts how often onStop ran for a reason, and for others; what the SDK of
// an AppServer adds when the cloud closes the socket that its app left open does
// not count.
func (a *app) stops(reason string) (n, others int) {
	n = a.count(`^@\{"event":"stop".*"reason":"` + reason + `"`)
	return n, a.count(`^@\{"event":"stop"`) - n - a.count(`"reason":"Clean disconnect: App stopped"`)
}

// existing is what checkExistingStream returns.
type existing struct {
	HasActiveStream bool `json:"hasActiveStream"`
	StreamInfo      struct {
		Type, StreamID, Status, HLSURL, RTMPURL, RequestingAppID string
		ActiveViewers                                            int
	} `json:"streamInfo"`
}

// existing asks the app's SDK.
func (a *app) existing() (found existing) {
	a.t.Helper()
	a.do(&found, "check")
	return found
}

// streaming asks whether the app's SDK believes that it streams.
func (a *app) streaming() (yes bool) {
	a.t.Helper()
	a.do(&yes, "isStreaming")
	return yes
}

// happened is an event of the API.
type happened struct {
	Type, Stream, App, Status, Message string
}

// happenings are all events since the server's start, as they come.
type happenings struct {
	t    *testing.T
	mu   sync.Mutex
	list []happened
}

// follow reads the API's events until the test ends or the server does.
func (c *cloud) follow(t *testing.T) *happenings {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.url+"/api/v1/events?after=0", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	h := &happenings{t: t}
	var wg sync.WaitGroup
	wg.Go(func() {
		defer res.Body.Close()
		for s := bufio.NewScanner(res.Body); s.Scan(); {
			var e happened
			if data, ok := strings.CutPrefix(s.Text(), "data: "); ok && json.Unmarshal([]byte(data), &e) == nil {
				h.mu.Lock()
				h.list = append(h.list, e)
				h.mu.Unlock()
			}
		}
	})
	t.Cleanup(wg.Wait) // t.Context ends before
	return h
}

// count says how often something has happened; empty fields fit anything.
func (h *happenings) count(like happened) (n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	fits := func(want, is string) bool { return want == "" || want == is }
	for _, e := range h.list {
		if e.Type == like.Type && fits(like.Stream, e.Stream) && fits(like.App, e.App) && fits(like.Status, e.Status) {
			n++
		}
	}
	return n
}

// await waits until something has happened n times.
func (h *happenings) await(n int, like happened) {
	h.t.Helper()
	eventually(h.t, "event "+like.Type+" "+like.App, func() bool { return h.count(like) >= n })
}

// outage is how long the cloud is away when every SDK must have given up:
// their last attempts are 7 s after the loss.
const outage = 12 * time.Second

// together runs a test under several names side by side, which mostly waits: all
// of them in the one place that t has in its lane.
func together(t *testing.T, names []string, test func(t *testing.T, name string)) {
	var wg sync.WaitGroup
	for _, name := range names {
		wg.Go(func() { t.Run(name, func(t *testing.T) { test(t, name) }) })
	}
	wg.Wait()
}
