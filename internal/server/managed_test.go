package server

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"

	"glimpse/internal/control/session"
	"glimpse/internal/media/cmaf"
	"glimpse/internal/media/hub"
)

// What overtakes an announcement makes it void: a session never hears that a
// stream is live after it heard that it is not.
func TestAnnouncementIsOvertaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := slog.New(slog.DiscardHandler)
		packs := cmaf.New(cmaf.Config{}, log)
		h := hub.New(hub.Config{}, log, packs.Output)
		defer h.Close()
		m := &managedStreams{hub: h, packs: packs}
		m.ctx, m.cancel = context.WithCancel(t.Context())
		defer m.wg.Wait()
		defer m.cancel()
		var mu sync.Mutex
		var told []session.MediaState
		in := &ingest{m: m, spec: session.IngestSpec{Notify: func(e session.MediaEvent) {
			mu.Lock()
			defer mu.Unlock()
			told = append(told, e.State)
		}}}
		s, err := h.Open(hub.Spec{ID: "s1", IngestKey: "key", PlaybackID: "play"})
		if err != nil {
			t.Fatal(err)
		}
		in.stream = s
		in.event(hub.Event{Kind: hub.EventInterrupted, Stream: s})
		in.tellLive(in.news - 1)
		in.event(hub.Event{Kind: hub.EventTakeover, Stream: s})
		in.tellLive(in.news)
		synctest.Wait()
		if len(told) != 2 || told[0] != session.MediaLost || told[1] != session.MediaLive {
			t.Errorf("told %v", told)
		}
	})
}
