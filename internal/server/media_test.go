package server

import (
	"context"
	"log/slog"
	"slices"
	"testing"
	"time"

	"glimpse/internal/control/events"
	"glimpse/internal/control/session"
	"glimpse/internal/control/streams"
	"glimpse/internal/media/cmaf"
	"glimpse/internal/media/hub"
	"glimpse/internal/media/poster"
	"glimpse/internal/media/record"
	"glimpse/internal/media/restream"
)

// What happens to a stream's media is an event of the API: everything of a
// standing stream, and of a wearer's what its session does not tell.
func TestMediaEvents(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	news := events.New(64, time.Now)
	packs := cmaf.New(cmaf.Config{}, log)
	h := hub.New(hub.Config{}, log, packs.Output)
	defer h.Close()
	recorder, err := record.New(record.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer recorder.Close()
	posters, err := poster.New(poster.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer posters.Close()
	ctx, cancel := context.WithCancel(t.Context())
	sent := newRestreams(ctx, restream.Network{}, func(_, url string) string { return url }, news, log)
	defer sent.wg.Wait()
	standing := standingMedia{h, recorder, news, sent, posters}
	if err := standing.OpenStanding(streams.Stream{ID: "standing", IngestKey: "k1", PlaybackID: "p1"}); err != nil {
		t.Fatal(err)
	}
	m := &managedStreams{hub: h, packs: packs, events: news, restreams: sent, ctx: ctx, cancel: cancel}
	defer m.wg.Wait()
	defer m.cancel()
	in, err := m.Open(session.IngestSpec{
		User: "a@b.c", StreamID: "managed", IngestKey: "k2", PlaybackID: "p2",
		Notify: func(session.MediaEvent) {}, NotifyViewers: func(int) {},
	})
	if err != nil {
		t.Fatal(err)
	}
	follow, err := news.Subscribe(events.Filter{}, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer follow.Close()
	next := func() events.Event {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		batch, err := follow.Next(ctx)
		if err != nil || len(batch) != 1 {
			t.Fatalf("%v, %v", batch, err)
		}
		return batch[0]
	}
	in.(*ingest).event(hub.Event{Kind: hub.EventTakeover, Stream: h.Stream("managed")})
	if e := next(); e.Type != events.StreamTakeover || e.Wearer != "a@b.c" || e.Stream != "managed" {
		t.Errorf("a newer publisher is told as %+v", e)
	}
	for kind := hub.EventLive; kind <= hub.EventStarving; kind++ {
		standing.tell(hub.Event{Kind: kind, Stream: h.Stream("standing")})
		if e := next(); !slices.Contains(events.Types(), e.Type) || e.Stream != "standing" || e.Kind != "standing" {
			t.Errorf("%s of a standing stream is told as %+v", kind, e)
		}
	}
	standing.CloseStanding("standing")
	if e := next(); e.Type != events.StreamEnded || e.Stream != "standing" {
		t.Errorf("its end is told as %+v", e)
	}
}
