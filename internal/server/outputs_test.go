package server

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"glimpse/internal/control/camera"
	"glimpse/internal/control/events"
	"glimpse/internal/control/session"
	"glimpse/internal/media/hub"
	"glimpse/internal/media/restream"
	"glimpse/protocol"
)

// What happens to an output is told to its session in the SDKs' words and is an
// event in ours; neither has the key but the session's own address.
func TestOutputNews(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	news := events.New(16, time.Now)
	h := hub.New(hub.Config{}, log)
	ctx, cancel := context.WithCancel(t.Context())
	sent := newRestreams(ctx, restream.Network{}, func(string, string) string { return "id" }, news, log)
	defer sent.wg.Wait()
	defer h.Close()
	defer cancel()
	stream, err := h.Open(hub.Spec{ID: "m", IngestKey: "k", PlaybackID: "p", Name: "a@b.c"})
	if err != nil {
		t.Fatal(err)
	}
	var told []session.OutputEvent
	o := sent.supervise(stream, func(e session.OutputEvent) { told = append(told, e) })
	const url = "rtmp://x/app/secret"
	o.outlets["id"] = camera.Outlet{Destination: protocol.Destination{URL: url}}
	follow, err := news.Subscribe(events.Filter{}, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer follow.Close()
	for _, s := range []restream.Status{
		{State: restream.Connecting}, {State: restream.Active}, {State: restream.Retrying, Error: "refused"}, {State: restream.Failed, Error: "private"},
		{State: restream.Stopped}, {State: restream.Idle}, {State: restream.Idle, Error: "no answer"}, {ID: "gone", State: restream.Active},
	} {
		if s.ID == "" {
			s.ID = "id"
		}
		o.changed(s)
	}
	want := []session.OutputEvent{
		{URL: url, Status: "stopped"}, {URL: url, Status: "active"}, {URL: url, Status: "error", Error: "refused"},
		{URL: url, Status: "error", Error: "private"}, {URL: url, Status: "stopped"}, {URL: url, Status: "stopped"}, {URL: url, Status: "error", Error: "no answer"},
	}
	if !slices.Equal(told, want) {
		t.Errorf("told %+v", told)
	}
	batch, err := follow.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var words []string
	for _, e := range batch {
		words = append(words, string(e.Type)+" "+e.Message)
		if e.Wearer != "a@b.c" || e.Stream != "m" || e.Output != "id" || e.Kind != "managed" {
			t.Errorf("event %+v", e)
		}
	}
	if w := []string{"output.active ", "output.retrying refused", "output.error private", "output.stopped "}; !slices.Equal(words, w) {
		t.Errorf("events %q, want %q", words, w)
	}
}

// A change of the number of viewers is an event, at most one in 5 s for a stream.
func TestViewersAreEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		news := events.New(16, time.Now)
		h := hub.New(hub.Config{}, slog.New(slog.DiscardHandler))
		defer h.Close()
		stream, err := h.Open(hub.Spec{ID: "s", IngestKey: "k", PlaybackID: "p", Standing: true})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); tellAudiences(ctx, h, news) }()
		follow, err := news.Subscribe(events.Filter{}, -1)
		if err != nil {
			t.Fatal(err)
		}
		defer follow.Close()
		count := func(seconds int) (list []int) {
			time.Sleep(time.Duration(seconds) * time.Second)
			synctest.Wait()
			ended, stop := context.WithCancel(t.Context())
			stop()
			batch, err := follow.Next(ended)
			if err != nil && !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
			for _, e := range batch {
				if e.Type != events.StreamViewers || e.Stream != "s" || e.Kind != "standing" {
					t.Errorf("event %+v", e)
				}
				list = append(list, *e.Viewers)
			}
			return list
		}
		var leave []func()
		for range 30 {
			leave = append(leave, stream.AddViewer(hub.ViewerInfo{Protocol: "hls"}))
		}
		if got := count(6); !slices.Equal(got, []int{30}) {
			t.Errorf("30 came: %v", got)
		}
		if got := count(20); len(got) != 0 {
			t.Errorf("nobody came or went: %v", got)
		}
		for _, f := range leave {
			f()
			time.Sleep(400 * time.Millisecond)
		}
		if got := count(5); len(got) < 2 || len(got) > 4 || got[len(got)-1] != 0 {
			t.Errorf("30 left within 12 s: %v", got)
		}
		cancel()
		<-done
	})
}
