package e2e

import (
	"encoding/json"
	"fmt"
	"math"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

// browser is a test's own pages in Chromium, behind browser.mjs. No two pages share
// cookies, caches or a process, whosever they are.
type browser struct {
	t       *testing.T
	id      string
	process *process
	next    int
}

// chromiums is the Chromium that tests share: a start of its own costs each of them
// two seconds of a processor.
type chromiums struct {
	mu      sync.Mutex
	running *process
	tests   int
}

var chromium chromiums

func (s *chromiums) close() {
	if s.running != nil {
		s.running.stop()
	}
}

// startBrowser gives the test a browser; trusted is the public key of an authority
// that it trusts besides the usual ones, as Chromium's own flag wants it.
func startBrowser(t *testing.T, trusted ...string) *browser {
	t.Helper()
	if len(trusted) > 0 {
		b := &browser{t: t, process: start(t, "chromium", browserEnv(trusted...), node(t), "browser.mjs")}
		b.process.waitLine(`"ready"`, 0)
		return b
	}
	chromium.mu.Lock()
	defer chromium.mu.Unlock()
	if chromium.running == nil || chromium.running.ended() {
		p, err := launch("chromium", browserEnv(), node(t), "browser.mjs")
		if err != nil {
			t.Fatal(err)
		}
		chromium.running = p
		eventually(t, "Chromium is ready", func() bool { return p.count(`"ready"`) > 0 })
	}
	chromium.tests++
	b := &browser{t: t, id: fmt.Sprintf("%d/", chromium.tests), process: chromium.running}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("--- chromium said:\n%s", b.said())
		}
		if msg := b.try(nil, "leave"); msg != "" {
			t.Errorf("leave the browser: %s", msg)
		}
	})
	return b
}

func browserEnv(trusted ...string) []string {
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
	return []string{"CHROMIUM=" + path, "TRUSTED_KEYS=" + strings.Join(trusted, ",")}
}

// said is what the browser answered to this test, and what it said to nobody.
func (b *browser) said() string {
	var mine []string
	for line := range strings.Lines(b.process.tail(math.MaxInt)) {
		if !strings.HasPrefix(line, `{"id":"`) || strings.HasPrefix(line, `{"id":"`+b.id) {
			mine = append(mine, line)
		}
	}
	return strings.Join(mine[max(0, len(mine)-25):], "")
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
	id := fmt.Sprintf("%s%d", b.id, b.next)
	line, err := json.Marshal(map[string]any{"id": id, "test": b.id, "cmd": cmd, "args": append([]any{}, args...)})
	if err != nil {
		b.t.Fatal(err)
	}
	p := b.process
	p.mu.Lock()
	from := len(p.lines)
	p.mu.Unlock()
	if _, err := p.in.Write(append(line, '\n')); err != nil {
		return fmt.Sprintf("Chromium is gone: %v", err)
	}
	deadline := time.After(2 * patience)
	for {
		p.mu.Lock()
		for ; from < len(p.lines); from++ {
			var r struct {
				ID     any             `json:"id"`
				Error  string          `json:"error"`
				Result json.RawMessage `json:"result"`
			}
			if json.Unmarshal([]byte(p.lines[from]), &r) != nil || r.ID != id {
				continue
			}
			p.mu.Unlock()
			if r.Error == "" && out != nil {
				if err := json.Unmarshal(r.Result, out); err != nil {
					b.t.Fatalf("browser %s: %v in %s", cmd, err, r.Result)
				}
			}
			return r.Error
		}
		more := p.more
		p.mu.Unlock()
		select {
		case <-more:
		case <-p.done:
			b.t.Fatalf("browser ended: %s", p.tail(20))
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

// wantPlaying fails unless a page comes to play as it should, looked at for 3 s at a time,
// within patience: tests beside it may take the processor from a page, which then
// stalls, jumps or begins anew.
func (b *browser) wantPlaying(page string) measured {
	b.t.Helper()
	var m measured
	var wrong string
	for began := time.Now(); time.Since(began) < patience; {
		if wrong = b.try(&m, "play", page, 3); wrong == "" {
			wrong = m.wrong()
		}
		if wrong == "" {
			return m
		}
		b.t.Logf("%s: %s", page, wrong)
	}
	b.t.Errorf("%s: it does not play: %s", page, wrong)
	return m
}

// wrong says what is: pictures are to move at most of their rate (30), with sound.
func (m measured) wrong() string {
	switch {
	case m.Pictures < 45:
		return fmt.Sprintf("%d pictures decoded in 3 s", m.Pictures)
	case m.Changed < 1:
		return fmt.Sprintf("the picture stands still (%.2f)", m.Changed)
	case m.RMS < 0.005:
		return fmt.Sprintf("silence (RMS %.4f)", m.RMS)
	}
	return ""
}

// waitPlayer waits until the player page says so; if it never does, how it stands is
// said.
func (b *browser) waitPlayer(page, condition string) {
	b.t.Helper()
	if became(patience, func() bool {
		var ok bool
		return b.try(&ok, "eval", page, "!!(window.glimpse && ("+condition+"))") == "" && ok
	}) {
		return
	}
	var stands any
	if fault := b.try(&stands, "eval", page, playing); fault != "" {
		stands = fault
	}
	b.t.Fatalf("not within %v: %s: %s: %v", patience, page, condition, stands)
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
