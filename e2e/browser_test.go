package e2e

import (
	"encoding/json"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// browser is Chromium behind browser.mjs.
type browser struct {
	*process
	next int
}

// startBrowser runs Chromium; trusted is the public key of an authority that it
// trusts besides the usual ones, as Chromium's own flag wants it.
func startBrowser(t *testing.T, trusted ...string) *browser {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if p, err := exec.LookPath(name); err == nil {
			path = p
			break
		}
	}
	if path == "" {
		path = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"
	}
	b := &browser{process: start(t, "chromium", []string{"CHROMIUM=" + path, "TRUSTED_KEYS=" + strings.Join(trusted, ",")}, node(t), "browser.mjs")}
	b.waitLine(`"ready"`, 0)
	return b
}

// do runs a command and decodes its result into out.
func (b *browser) do(out any, cmd string, args ...any) {
	b.t.Helper()
	if msg := b.try(out, cmd, args...); msg != "" {
		b.t.Fatalf("browser %s %v: %s", cmd, args, msg)
	}
}

// try is do, but returns the failure's text.
func (b *browser) try(out any, cmd string, args ...any) string {
	b.t.Helper()
	b.next++
	id := b.next
	line, err := json.Marshal(map[string]any{"id": id, "cmd": cmd, "args": append([]any{}, args...)})
	if err != nil {
		b.t.Fatal(err)
	}
	b.say(string(line))
	deadline := time.After(2 * patience)
	for from := 0; ; {
		b.mu.Lock()
		for ; from < len(b.lines); from++ {
			var r struct {
				ID     int             `json:"id"`
				Error  string          `json:"error"`
				Result json.RawMessage `json:"result"`
			}
			if json.Unmarshal([]byte(b.lines[from]), &r) != nil || r.ID != id {
				continue
			}
			b.mu.Unlock()
			if r.Error == "" && out != nil {
				if err := json.Unmarshal(r.Result, out); err != nil {
					b.t.Fatalf("browser %s: %v in %s", cmd, err, r.Result)
				}
			}
			return r.Error
		}
		more := b.more
		b.mu.Unlock()
		select {
		case <-more:
		case <-b.done:
			b.t.Fatalf("browser ended: %s", b.tail(20))
		case <-deadline:
			b.t.Fatalf("browser: no answer to %s %v", cmd, args)
		}
	}
}

// measured is what browser.mjs play reports.
type measured struct {
	Pictures, Dropped, Width, Height int
	Changed, RMS                     float64
	Muted                            bool
}

// wantPlaying fails unless pictures move at most of their rate, with sound.
func (b *browser) wantPlaying(page string) measured {
	b.t.Helper()
	var m measured
	b.do(&m, "play", page, 3)
	if m.Pictures < 45 {
		b.t.Errorf("%s: %d pictures decoded in 3 s", page, m.Pictures)
	}
	if m.Changed < 1 {
		b.t.Errorf("%s: the picture stands still (%.2f)", page, m.Changed)
	}
	if m.RMS < 0.005 {
		b.t.Errorf("%s: silence (RMS %.4f)", page, m.RMS)
	}
	return m
}

// waitState waits until the player page says so.
func (b *browser) waitPlayer(page, condition string) {
	b.t.Helper()
	eventually(b.t, page+": "+condition, func() bool {
		var ok bool
		return b.try(&ok, "eval", page, "!!(window.glimpse && ("+condition+"))") == "" && ok
	})
}

// wantNoFaults fails on script errors, blocked content and outside requests.
func (b *browser) wantNoFaults(page string) {
	b.t.Helper()
	var faults []string
	b.do(&faults, "faults", page)
	if len(faults) > 0 {
		b.t.Errorf("%s: %s", page, strings.Join(faults, "\n"))
	}
}

func containsAll(text string, words ...string) bool {
	for _, w := range words {
		if !strings.Contains(text, w) {
			return false
		}
	}
	return true
}
