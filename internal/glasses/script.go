package glasses

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// wait is a line that holds back the lines after it: for a time, or until
// something has happened.
type wait struct {
	d    time.Duration
	what string // "connected", "start", "stop", "keepalive", or a stream's status
}

// parseWait reads a wait; nil means another line.
func parseWait(word, rest string) (any, error) {
	if word != "wait" {
		return nil, nil
	}
	if d, ok := parseDelay(rest); ok {
		return wait{d: d}, nil
	}
	if isStatus(rest) {
		return wait{what: rest}, nil
	}
	return nil, fmt.Errorf("%w: wait a duration, or one of connected, start, stop, keepalive, or a stream's status: wait streaming", errUsage)
}

// isStatus says whether a word could be a status.
func isStatus(s string) bool {
	return s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz_") == "" && len(s) <= 32
}

// diary is what has happened, for those who wait for it.
type diary struct {
	news    []string // what no wait has passed yet, the newest last
	waiters []waiter
}

type waiter struct {
	what string
	over chan<- struct{}
}

// maxNews bounds the diary; a wait concerns what is new.
const maxNews = 64

// note adds what has happened.
func (d *diary) note(what string) {
	if len(d.news) == maxNews {
		d.news = d.news[1:]
	}
	d.news = append(d.news, what)
	waiting := d.waiters
	d.waiters = nil
	for _, w := range waiting {
		d.await(w.what, false, w.over)
	}
}

// await closes over when what has happened after that which the last wait was
// for, or is so now, or happens.
func (d *diary) await(what string, now bool, over chan<- struct{}) {
	i := slices.Index(d.news, what)
	switch {
	case i >= 0:
		d.news = d.news[i+1:]
		close(over)
	case now:
		close(over)
	default:
		d.waiters = append(d.waiters, waiter{what, over})
	}
}

// hold keeps a reader of lines back; false means that the glasses are taken off.
func (g *Glasses) hold(w wait) bool {
	var timer <-chan time.Time
	over := make(chan struct{})
	if w.d > 0 {
		t := time.NewTimer(g.lasting(w.d))
		defer t.Stop()
		timer = t.C
	} else {
		g.post(func() {
			g.diary.await(w.what, w.what == g.last.Status || w.what == "connected" && g.acked, over)
		})
	}
	select {
	case <-timer:
	case <-over:
	case <-g.life.Done():
		return false
	}
	return true
}

// CheckScript reads the lines of a script as the glasses will and returns what
// is wrong with the first bad one, nil when there is none.
func CheckScript(lines []string) error {
	for i, line := range lines {
		if _, err := parseLine(line); err != nil {
			return fmt.Errorf("line %d: %w", i+1, err)
		}
	}
	return nil
}
