package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"syscall"
	"testing"
)

// happening is an event of the API.
type happening struct {
	ID     int64  `json:"id"`
	Type   string `json:"type"`
	Wearer string `json:"wearer"`
	Stream string `json:"stream"`
	Kind   string `json:"kind"`
	Report string `json:"report"`
}

// follower follows the server's events as a browser does.
type follower struct {
	t    *testing.T
	in   *bufio.Scanner
	last string
	hang context.CancelFunc
}

// followFrom begins after the event with the id last; "" is from now on. It returns
// when the server has answered.
func (c *cloud) followFrom(t *testing.T, query, last string) *follower {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	req, err := http.NewRequestWithContext(ctx, "GET", c.url+"/api/v1/events"+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	if last != "" {
		req.Header.Set("Last-Event-ID", last)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cancel(); res.Body.Close() })
	if res.StatusCode != http.StatusOK {
		t.Fatalf("events: %d", res.StatusCode)
	}
	return &follower{t: t, in: bufio.NewScanner(res.Body), last: last, hang: cancel}
}

// next is the next event, nil at the end.
func (f *follower) next() *happening {
	for f.in.Scan() {
		switch field, value, _ := strings.Cut(f.in.Text(), ": "); field {
		case "id":
			f.last = value
		case "data":
			e := new(happening)
			if err := json.Unmarshal([]byte(value), e); err != nil {
				f.t.Fatal(err)
			}
			return e
		}
	}
	return nil
}

// until skips to the first event of a type.
func (f *follower) until(typ string) *happening {
	f.t.Helper()
	var seen []string
	for {
		e := f.next()
		if e == nil {
			f.t.Fatalf("no %s; there were %v", typ, seen)
		}
		if e.Type == typ {
			return e
		}
		seen = append(seen, e.Type)
	}
}

// Whoever follows the events sees a stream live, interrupted and resumed and a
// wearer come; the end of the server is announced, and the next one says that
// something may be missing.
func TestEvents(t *testing.T) {
	parallel(t, others)
	const user = "wearer@example.com"
	c := startCloud(t, "users:\n  - {id: "+user+"}\n")
	s := c.newStream()
	f := c.followFrom(t, "", "")
	p := publish(t, s.Ingest["rtmp"])
	if e := f.until("stream.live"); e.Stream != s.ID || e.Kind != "standing" {
		t.Errorf("told %+v", e)
	}
	p.stop()
	f.until("stream.interrupted")
	publish(t, s.Ingest["rtmp"])
	f.until("stream.resumed")
	c.startGlasses(t, user)
	if e := f.until("glasses.connected"); e.Wearer != user {
		t.Errorf("told %+v", e)
	}
	seen := f.last
	f.hang()

	c.api("DELETE", "/api/v1/streams/"+s.ID, nil, nil)
	f = c.followFrom(t, "?type=stream.*", seen)
	if e := f.until("stream.ended"); e.Stream != s.ID { // its report comes beside it
		t.Errorf("who comes back goes on with %+v", e)
	}
	f = c.followFrom(t, "", f.last)
	c.restart(t, syscall.SIGTERM)
	f.until("server.draining")
	if e := f.next(); e != nil {
		t.Errorf("after the end: %+v", e)
	}
	f = c.followFrom(t, "?type=server.*", f.last)
	for _, want := range []string{"gap", "server.started"} {
		if e := f.next(); e == nil || e.Type != want {
			t.Errorf("after a restart: %+v, want %s", e, want)
		}
	}
}
