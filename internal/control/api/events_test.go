package api

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"glimpse/internal/control/events"
)

// follower reads server-sent events as a browser does.
type follower struct {
	t    *testing.T
	in   *bufio.Scanner
	last string // id of the newest
	hang context.CancelFunc
}

// next returns the next event, nil at the end; empty ones only move the id.
func (f *follower) next() *events.Event {
	f.t.Helper()
	var data string
	for f.in.Scan() {
		field, value, _ := strings.Cut(f.in.Text(), ": ")
		switch {
		case field == "id":
			f.last = value
		case field == "data":
			data = value
		case field != "":
			f.t.Fatalf("a line %q", f.in.Text())
		case data != "":
			var e events.Event
			if err := json.Unmarshal([]byte(data), &e); err != nil {
				f.t.Fatal(err)
			}
			if f.last != fmt.Sprint(e.ID) {
				f.t.Errorf("id %s of event %d", f.last, e.ID)
			}
			return &e
		default:
			return &events.Event{} // the beat
		}
	}
	return nil
}

// Events are followed live, with filters, and from the last id that a browser
// has seen; what is missing is said; the end of the log ends the answer.
func TestEvents(t *testing.T) {
	b := newBench(t, Config{})
	server := httptest.NewServer(b.mux)
	defer server.Close()
	open := func(query, lastID, token string) (*follower, int) {
		t.Helper()
		ctx, cancel := context.WithCancel(t.Context())
		req, err := http.NewRequestWithContext(ctx, "GET", server.URL+"/api/v1/events"+query, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		if lastID != "" {
			req.Header.Set("Last-Event-ID", lastID)
		}
		res, err := server.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { cancel(); res.Body.Close() })
		if res.StatusCode == http.StatusOK && res.Header.Get("Content-Type") != "text/event-stream" {
			t.Errorf("content type %q", res.Header.Get("Content-Type"))
		}
		return &follower{t: t, in: bufio.NewScanner(res.Body), hang: cancel}, res.StatusCode
	}
	for query, want := range map[string]int{"?type=stream": 422, "?type=stream.live,nonsense": 422, "?after=-1": 422, "?after=x": 422, "?type=gap": 200} {
		if _, got := open(query, "", adminToken); got != want {
			t.Errorf("%s answers %d, want %d", query, got, want)
		}
	}
	if _, got := open("", "", "wrong"); got != http.StatusUnauthorized {
		t.Errorf("a stranger gets %d", got)
	}
	b.deps.Events.Publish(events.Event{Type: events.WearerCame, Wearer: "before"})
	all, _ := open("", "", adminToken)
	some, _ := open("?type=stream.live,app.*&wearer=A%40b.c", "", adminToken)
	for _, f := range []*follower{all, some} {
		if e := f.next(); e == nil || e.Type != "" || f.last == "" {
			t.Fatalf("begins with %+v, id %q", e, f.last)
		}
	}
	for _, e := range []events.Event{
		{Type: events.StreamLive, Wearer: "x@b.c"},
		{Type: events.StreamLive, Wearer: "a@b.c", Stream: "s1", Kind: "managed"},
		{Type: events.StreamEnded, Wearer: "a@b.c", Message: "two\nlines"},
		{Type: events.AppStopped, Wearer: "a@b.c"},
	} {
		b.deps.Events.Publish(e)
	}
	for _, want := range []string{"stream.live x@b.c", "stream.live a@b.c", "stream.ended a@b.c", "app.stopped a@b.c"} {
		if e := all.next(); e == nil || string(e.Type)+" "+e.Wearer != want {
			t.Errorf("got %+v, want %s", e, want)
		}
	}
	for _, want := range []string{"stream.live s1", "app.stopped "} {
		if e := some.next(); e == nil || string(e.Type)+" "+e.Stream != want {
			t.Errorf("the filter lets through %+v, want %s", e, want)
		}
	}
	all.hang()

	b.deps.Events.Publish(events.Event{Type: events.WearerLeft})
	again, _ := open("?after=0", all.last, adminToken) // a browser repeats the address
	if e := again.next(); e == nil || e.Type != "" {
		t.Fatalf("begins with %+v", e)
	}
	if e := again.next(); e == nil || e.Type != events.WearerLeft {
		t.Errorf("who comes back goes on with %+v", e)
	}
	late, _ := open("?after=0&type=wearer.left", "", adminToken)
	if e := late.next(); e == nil || e.Type != "" {
		t.Fatalf("begins with %+v", e)
	}
	for _, want := range []events.Type{events.Gap, events.WearerLeft} {
		if e := late.next(); e == nil || e.Type != want {
			t.Errorf("all that is kept: %+v, want %s", e, want)
		}
	}
	b.deps.Events.Close()
	if e := late.next(); e != nil {
		t.Errorf("after the end: %+v", e)
	}
	if _, got := open("", "", adminToken); got != http.StatusServiceUnavailable {
		t.Errorf("while the server drains: %d", got)
	}
}
