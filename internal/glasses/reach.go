package glasses

import (
	"fmt"
	"strings"
	"time"
)

// radio is a line that takes a connection away, or brings it back.
//
//	wifi       the glasses' Wi-Fi: nothing can be published, and the phone is told
//	media      the same, and nobody is told: a network that leads nowhere
//	bluetooth  between glasses and phone: the cloud is told DISCONNECTED, and the
//	           two hear nothing of each other
//	phone      between phone and cloud, closed in good order: the glasses go on
//	           publishing
//
// d is for how long; 0 is until it is switched on.
type radio struct {
	name string
	on   bool
	d    time.Duration
}

// parseRadio reads the lines about connections; nil means another line.
func parseRadio(word, rest string) (any, error) {
	switch word {
	case "wifi", "media", "bluetooth", "phone":
	default:
		return nil, nil
	}
	r := radio{name: word}
	switch {
	case rest == "on":
		r.on = true
		return r, nil
	case rest == "off":
		return r, nil
	}
	if d, ok := parseDelay(strings.TrimPrefix(rest, "off ")); ok && strings.HasPrefix(rest, "off ") {
		r.d = d
		return r, nil
	}
	return nil, fmt.Errorf("%w: %s on or off, or off for at most %v: %s off 5s", errUsage, word, maxDelay, word)
}

// until is longer than anybody wears glasses.
const until = 10 * 365 * 24 * time.Hour

// onRadio does what a line says of a connection.
func (g *Glasses) onRadio(r radio) {
	away := g.lasting(r.d)
	switch {
	case r.on:
		away = 0
		g.screen.say("%s is on", r.name)
	case r.d == 0:
		away = until
		g.screen.say("%s is off", r.name)
	default:
		g.screen.say("%s is off for %v", r.name, r.d)
	}
	switch r.name {
	case "phone":
		g.net.leave(away)
	case "media":
		g.wifi.drop(away)
	case "wifi":
		g.wifi.drop(away)
		g.body.noWifi = !r.on
		if g.up { // else with the next connection
			g.sendState()
		}
	case "bluetooth":
		g.body.far = !r.on
		if !g.up {
			break
		}
		g.sendState()
		if r.on {
			g.catchUp()
		}
	}
	if r.d > 0 && r.name != "phone" && r.name != "media" { // those come back by themselves
		g.later(r.d, func() { g.onRadio(radio{name: r.name, on: true}) })
	}
}

// lasting is how long a duration of a line lasts at the glasses' speed.
func (g *Glasses) lasting(d time.Duration) time.Duration {
	return time.Duration(float64(d) / g.cfg.Speed)
}

// later runs f on the loop when a duration of a line is over, unless the glasses
// are taken off before. It is for the loop.
func (g *Glasses) later(d time.Duration, f func()) {
	if g.closing {
		return
	}
	g.jobs.Go(func() {
		t := time.NewTimer(g.lasting(d))
		defer t.Stop()
		select {
		case <-t.C:
			g.post(f)
		case <-g.life.Done():
		}
	})
}
