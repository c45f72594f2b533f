package session

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"glimpse/protocol"
)

// What a wearer did not stop runs again with the next phone, also after a
// restart of the server; what was stopped meanwhile, or taken out of the
// registry, does not (WIRE c.1).
func TestSleepingApps(t *testing.T) {
	for name, c := range map[string]struct {
		meanwhile func(w *world, restart func(kill bool))
		want      []string // sessionIds that are asked to connect
	}{
		"a while":                    {func(*world, func(bool)) {}, []string{"com.x.app", "com.x.blind"}},
		"the server restarts":        {func(_ *world, restart func(bool)) { restart(false) }, []string{"com.x.app", "com.x.blind"}},
		"the server is killed":       {func(_ *world, restart func(bool)) { restart(true) }, []string{"com.x.app", "com.x.blind"}},
		"an app leaves the registry": {func(w *world, _ func(bool)) { delete(w.apps, "com.x.app") }, []string{"com.x.blind"}},
		"both are stopped, and a restart": {func(w *world, restart func(bool)) {
			for _, err := range []error{w.reg.StopApp(w.ctx, wearer, "com.x.app"), w.reg.StopApp(w.ctx, "", "com.x.blind")} {
				if err != nil {
					w.t.Error(err)
				}
			}
			restart(true)
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				restart := w.remembering()
				phone, _ := w.phone()
				w.run(phone, "com.x.app", false)
				w.run(phone, "com.x.other", false)
				w.run(phone, "com.x.blind", false)
				w.say(phone, `{"type":"stop_app","packageName":"com.x.other"}`)
				phone.Gone(w.ctx)
				time.Sleep(61 * time.Second)
				synctest.Wait()
				if w.reg.lookup(wearer) != nil {
					t.Fatal("the session is still there")
				}
				w.hooks.mu.Lock()
				w.hooks.starts = nil
				w.hooks.mu.Unlock()
				c.meanwhile(w, restart)
				synctest.Wait()
				if starts, _ := w.hooks.counts(); starts != 0 {
					t.Errorf("%d webhooks before the phone is back", starts)
				}
				w.phone()
				w.hooks.mu.Lock()
				defer w.hooks.mu.Unlock()
				var asked []string
				for _, req := range w.hooks.starts {
					asked = append(asked, req.SessionID[len(wearer)+1:])
				}
				slices.Sort(asked)
				if !slices.Equal(asked, c.want) {
					t.Errorf("started again: %v, want %v", asked, c.want)
				}
			})
		})
	}
}

// The record of sleeping apps goes with them.
func TestNothingSleepsForEver(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.remembering()
		phone, _ := w.phone()
		w.run(phone, "com.x.app", false)
		phone.Gone(w.ctx)
		time.Sleep(61 * time.Second)
		delete(w.apps, "com.x.app")
		phone, _ = w.phone()
		phone.Gone(w.ctx)
		time.Sleep(61 * time.Second)
		synctest.Wait()
		if items, err := w.reg.deps.Store.All(w.ctx); err != nil || len(items) != 0 {
			t.Errorf("left in the store: %v, %v", items, err)
		}
	})
}

// An app that is removed stops for all its wearers at once: the slowest app
// server decides how long it takes, not their number.
func TestStopForEverybody(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		const wearers = 50
		var under, most atomic.Int32
		w.hooks.onStop = func(context.Context, protocol.StopRequest) error {
			most.Store(max(most.Load(), under.Add(1)))
			time.Sleep(4 * time.Second)
			under.Add(-1)
			return nil
		}
		for i := range wearers {
			user := string(rune('a'+i%26)) + string(rune('a'+i/26)) + "@example.com"
			link, err := w.reg.AttachPhone(w.ctx, user, base, &fakeSocket{})
			if err != nil {
				t.Fatal(err)
			}
			w.say(link, `{"type":"start_app","packageName":"com.x.app"}`)
			if _, err := w.reg.AttachApp(w.ctx, AppHello{SessionID: user + "-com.x.app", Package: "com.x.app"}, &fakeSocket{}); err != nil {
				t.Fatal(err)
			}
		}
		began := time.Now()
		if err := w.reg.StopApp(w.ctx, "", "com.x.app"); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took != 4*time.Second || most.Load() != wearers {
			t.Errorf("took %v, %d at a time", took, most.Load())
		}
		if _, stops := w.hooks.counts(); stops != wearers {
			t.Errorf("%d were told", stops)
		}
	})
}
