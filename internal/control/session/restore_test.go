package session

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"glimpse/internal/control/apps"
	"glimpse/internal/control/store"
	"glimpse/protocol"
)

// remembering gives the world a store and returns a function that replaces the
// registry by its successor, as a restart of the process does.
func (w *world) remembering() (restart func(kill bool)) { return w.rememberingSlowly(0) }

// rememberingSlowly is the same with a store whose writes take lag.
func (w *world) rememberingSlowly(lag time.Duration) (restart func(kill bool)) {
	w.t.Helper()
	backend := store.NewMemory()
	w.t.Cleanup(backend.Close)
	bucket, err := store.Open[Record](w.ctx, backend, "sessions")
	if err != nil {
		w.t.Fatal(err)
	}
	var alive *mortalStore
	next := func() {
		alive = &mortalStore{Store: bucket, lag: lag}
		w.reg = New(w.deps(alive), Config{}, slog.New(slog.DiscardHandler))
		if err := w.reg.Restore(w.ctx); err != nil {
			w.t.Error(err)
		}
		synctest.Wait()
	}
	w.reg.Close()
	next()
	return func(kill bool) {
		synctest.Wait()
		if kill { // the old process comes to nothing from now on
			alive.dead.Store(true)
		}
		w.reg.Close()
		clear(w.streams.open)
		next()
	}
}

// mortalStore is a store as one process sees it: a write takes lag, and one that
// is under way when the process dies comes to nothing.
type mortalStore struct {
	Store
	lag  time.Duration
	dead atomic.Bool
}

// alive takes the time of a write and says whether the process lived through it.
func (m *mortalStore) alive() bool {
	if m.lag > 0 && !m.dead.Load() {
		time.Sleep(m.lag)
	}
	return !m.dead.Load()
}

func (m *mortalStore) Put(ctx context.Context, user string, r Record) error {
	if !m.alive() {
		return nil
	}
	return m.Store.Put(ctx, user, r)
}

func (m *mortalStore) Delete(ctx context.Context, user string) error {
	if !m.alive() {
		return nil
	}
	return m.Store.Delete(ctx, user)
}

// After a restart of ours everything is as it was: the same stream with the
// same key and URLs, the apps without an onStop, each told where it stands.
func TestRestartKeepsEverything(t *testing.T) {
	for name, kill := range map[string]bool{"SIGTERM": false, "kill -9": true} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				restart := w.remembering()
				phone, _ := w.phone()
				app, _ := w.run(phone, "com.x.app", false)
				w.run(phone, "com.x.other", false)
				w.say(phone, `{"type":"stop_app","packageName":"com.x.other"}`)
				w.say(app, `{"type":"subscription_update","subscriptions":["stream_status"]}`, `{"type":"managed_stream_request"}`)
				before := w.streams.only(t)
				w.say(phone, `{"type":"stream_status","streamId":"`+before.StreamID+`","status":"streaming"}`)
				before.Notify(MediaEvent{State: MediaLive})
				synctest.Wait()
				starts, stops := w.hooks.counts()

				restart(kill)
				after := w.streams.only(t) // before anybody has come back
				if after.StreamID != before.StreamID || after.IngestKey != before.IngestKey || after.PlaybackID != before.PlaybackID {
					t.Errorf("the stream has other ids")
				}
				if got := w.reg.RunningApps(w.ctx, wearer); !slices.Equal(got, []string{"com.x.app"}) {
					t.Errorf("running %v", got)
				}
				time.Sleep(2 * time.Second)
				_, socket := w.connect("com.x.app", false)
				if s := last(t, socket, "managed_stream_status"); s.str("streamId") != before.StreamID || s.str("hlsUrl") == "" {
					t.Errorf("the app is told %v", s)
				}
				phone, glasses := w.phone()
				if slices.Contains(glasses.types(), "stop_stream") {
					t.Error("the glasses were told to stop")
				}
				after.Notify(MediaEvent{State: MediaLive})
				synctest.Wait()
				if s := last(t, socket, "managed_stream_status"); s.str("status") != "active" {
					t.Errorf("with media the app is told %v", s)
				}
				time.Sleep(20 * time.Second)
				synctest.Wait()
				last(t, glasses, "keep_stream_alive")
				if a, b := w.hooks.counts(); a != starts || b != stops {
					t.Errorf("webhooks: %d starts and %d stops since the restart", a-starts, b-stops)
				}
				_ = phone
			})
		})
	}
}

// The dialect survives as well: a direct status is spelt as before.
func TestRestartKeepsTheDialect(t *testing.T) {
	for _, typ := range []string{"stream", "rtmp_stream"} {
		inWorld(t, func(t *testing.T, w *world) {
			restart := w.remembering()
			phone, _ := w.phone()
			app, _ := w.run(phone, "com.x.app", false)
			w.say(app, `{"type":"`+typ+`_request","rtmpUrl":"rtmp://dest.example/live/x"}`)
			stream := w.reg.Snapshots(w.ctx)[0].Stream
			w.say(phone, `{"type":"stream_status","streamId":"`+stream+`","status":"streaming"}`)
			restart(true)
			_, socket := w.connect("com.x.app", false)
			if s := last(t, socket, typ+"_status"); s.str("status") != "active" || s.str("streamId") != stream {
				t.Errorf("told %v", s)
			}
		})
	}
}

// Apps that do not come back by themselves within 8 s are asked to; a wearer who
// does not come back is over after the usual grace, also in the store.
func TestRestartWithoutReturn(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		restart := w.remembering()
		phone, _ := w.phone()
		w.run(phone, "com.x.app", false)
		restart(false)
		time.Sleep(7 * time.Second)
		if starts, _ := w.hooks.counts(); starts != 1 {
			t.Errorf("%d session requests within the hold", starts)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if starts, _ := w.hooks.counts(); starts != 2 {
			t.Errorf("%d session requests after the hold", starts)
		}
		w.connect("com.x.app", false)
		time.Sleep(time.Minute)
		synctest.Wait()
		if w.reg.lookup(wearer) != nil {
			t.Error("the session outlived its grace")
		}
		restart(false)
		if w.reg.lookup(wearer) != nil {
			t.Error("an ended session was restored")
		}
	})
}

// What the wearer stopped, or an app gave away, stays stopped.
func TestRestartForgetsStoppedApps(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		restart := w.remembering()
		phone, _ := w.phone()
		w.run(phone, "com.x.app", false)
		other, _ := w.run(phone, "com.x.other", true)
		w.say(phone, `{"type":"stop_app","packageName":"com.x.app"}`)
		w.say(other, `{"type":"ownership_release","reason":"clean_shutdown"}`)
		restart(true)
		if w.reg.lookup(wearer) != nil {
			t.Errorf("running %v", w.reg.RunningApps(w.ctx, wearer))
		}
	})
}

// A process that connects because of a webhook from before the restart is a
// fresh one: an unasked "active" would make its SDK believe in a stream.
func TestRestartKnowsAFreshProcess(t *testing.T) {
	for name, asked := range map[string]bool{"asked before": true, "asked before, and again in vain": true, "came back by itself": false} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				restart := w.remembering()
				phone, _ := w.phone()
				app, _ := w.run(phone, "com.x.app", true)
				w.say(app, `{"type":"managed_stream_request"}`)
				w.streams.only(t).Notify(MediaEvent{State: MediaLive})
				synctest.Wait()
				app.Gone(w.ctx)
				if asked {
					time.Sleep(8100 * time.Millisecond)
				}
				restart(true)
				if strings.HasSuffix(name, "in vain") {
					w.hooks.onStart = func(context.Context, protocol.SessionRequest) error { return apps.ErrUnreachable }
					phone, _ = w.phone()
					w.say(phone, `{"type":"start_app","packageName":"com.x.app"}`)
				}
				_, socket := w.connect("com.x.app", true)
				if told := len(socket.got("managed_stream_status")); (told == 0) != asked {
					t.Errorf("it was told %d statuses", told)
				}
			})
		})
	}
}

// A record that leads to nothing goes: it must not come back with each restart.
func TestRestartForgetsWhatIsOver(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		restart := w.remembering()
		phone, _ := w.phone()
		app, _ := w.run(phone, "com.x.app", false)
		w.say(app, `{"type":"managed_stream_request"}`)
		delete(w.apps, "com.x.app")
		restart(true)
		time.Sleep(61 * time.Second)
		synctest.Wait()
		if items, err := w.reg.deps.Store.All(w.ctx); err != nil || len(items) != 0 {
			t.Errorf("left in the store: %v, %v", items, err)
		}
	})
}
