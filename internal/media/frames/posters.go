package frames

import (
	"encoding/json"
	"net/http"
	"time"

	"glimpse/protocol"
)

const (
	// forgetAfter is how long an app may say nothing before its state is taken to
	// be that it has gone,
	forgetAfter = 25 * time.Second
	// and goneAfter when it has also stopped to take pictures.
	goneAfter = 5 * time.Second
)

// poster is an app that posts about a stream. Guarded by channel.mu.
type poster struct {
	app    string
	until  time.Time // it is forgotten then
	state  *protocol.State
	tokens float64 // messages that it may post
	filled time.Time
}

// poster returns the app's entry with so many messages paid for. c.mu is held.
func (c *channel) poster(app string, messages int, now time.Time) (*poster, error) {
	p := c.posters[app]
	if p == nil {
		if len(c.posters) >= maxApps {
			return nil, refused(http.StatusConflict, "LIMIT_REACHED", "Too many apps post about this stream.")
		}
		p = &poster{app: app, tokens: postBurst, filled: now}
		c.posters[app] = p
	}
	p.tokens = min(postBurst, p.tokens+postRate*now.Sub(p.filled).Seconds())
	p.filled, p.until = now, now.Add(forgetAfter)
	if p.tokens < float64(messages) {
		return nil, refused(http.StatusTooManyRequests, "TOO_MANY_REQUESTS", "The app posts too much: at most 100 messages a second.")
	}
	p.tokens -= float64(messages)
	return p, nil
}

// postState publishes what an app says of itself, when that is new. c.mu is held.
func (c *channel) postState(p *poster, st protocol.State) {
	if p.state != nil && same(*p.state, st) {
		return
	}
	p.state = &st
	c.bus.publish(st, time.Now())
}

// same compares states as readers see them.
func same(a, b protocol.State) bool {
	x, err := json.Marshal(a)
	y, err2 := json.Marshal(b)
	return err == nil && err2 == nil && string(x) == string(y)
}

// parted notes that an app takes no pictures of the stream any more. c.mu is held.
func (c *channel) parted(app string, now time.Time) {
	for _, t := range c.taps {
		for s := range t.subs {
			if s.app == app {
				return
			}
		}
	}
	if p := c.posters[app]; p != nil && p.until.After(now.Add(goneAfter)) {
		p.until = now.Add(goneAfter)
	}
}

// forget tells of apps that have gone. c.mu is held.
func (c *channel) forget(now time.Time) {
	for app, p := range c.posters {
		if now.Before(p.until) {
			continue
		}
		delete(c.posters, app)
		if p.state != nil && p.state.State != protocol.StateStopped {
			c.bus.publish(protocol.State{
				Type: protocol.TypeState, App: app, State: protocol.StateStopped, Reason: "The app has said nothing for a while.",
			}, now)
		}
	}
}
