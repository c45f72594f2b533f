package session

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"glimpse/internal/control/events"
)

// A flood of one app delays another app of the same wearer by what fits into the
// mailbox and no more, and no other wearer at all.
//
// FAULTS 1
func TestFloodOfOneApp(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		phone, _ := w.phone()
		app, socket := w.run(phone, "com.x.app", false)
		other, otherSocket := w.run(phone, "com.x.other", false)
		var pongs, atAnswer atomic.Int64
		socket.onSend = func(m message) {
			if m.str("type") == "pong" {
				pongs.Add(1)
			}
		}
		otherSocket.onSend = func(m message) {
			if m.str("type") == "stream_status_check_response" {
				atAnswer.Store(pongs.Load())
			}
		}
		hold := make(chan struct{}) // the session is busy until the flood stands at its door
		busy := w.reg.lookup(wearer)
		if err := busy.post(w.ctx, func() { <-hold }); err != nil {
			t.Fatal(err)
		}
		const flood = 20 * mailbox
		go func() {
			for range flood {
				if err := app.Receive(w.ctx, []byte(`{"type":"ping"}`)); err != nil {
					t.Error(err)
				}
			}
		}()
		synctest.Wait()
		go func() {
			if err := other.Receive(w.ctx, []byte(`{"type":"stream_status_check"}`)); err != nil {
				t.Error(err)
			}
		}()
		synctest.Wait()
		close(hold)
		synctest.Wait()
		if n := atAnswer.Load(); n == 0 || n > mailbox+2 {
			t.Errorf("%d messages of the flood came first, want at most %d", n, mailbox+2)
		}
		if n := pongs.Load(); n != flood {
			t.Errorf("%d of %d messages of the flood were handled", n, flood)
		}
		if _, err := w.reg.AttachPhone(w.ctx, "another@example.com", base, &fakeSocket{}); err != nil {
			t.Errorf("another wearer: %v", err)
		}
	})
}

// badStore fails or hangs when it is told to.
type badStore struct {
	Store
	fail  atomic.Bool
	hang  atomic.Bool
	calls atomic.Int64
}

func (b *badStore) Put(ctx context.Context, user string, r Record) error {
	b.calls.Add(1)
	if b.hang.Load() {
		<-ctx.Done()
		return ctx.Err()
	}
	if b.fail.Load() {
		return errors.New("disk full")
	}
	return b.Store.Put(ctx, user, r)
}

// FAULTS F18: a store that hangs or fails delays no app and no glasses. The first
// failure is an event; what could not be written is tried again until it is, and
// a kill afterwards loses nothing.
func TestBadStore(t *testing.T) {
	for name, switchTo := range map[string]func(*badStore, bool){
		"fails": func(b *badStore, on bool) { b.fail.Store(on) },
		"hangs": func(b *badStore, on bool) { b.hang.Store(on) },
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.remembering()
				good := w.reg.deps.Store
				bad := &badStore{Store: good}
				w.reg.Close()
				w.reg = New(w.deps(bad), Config{}, slog.New(slog.DiscardHandler))
				switchTo(bad, true)
				failing, err := w.events.Subscribe(events.Filter{Types: []string{string(events.StoreFailing)}}, -1)
				if err != nil {
					t.Fatal(err)
				}
				began := time.Now()
				phone, glasses := w.phone()
				app, socket := w.run(phone, "com.x.app", false)
				w.say(app, `{"type":"managed_stream_request"}`)
				w.streams.only(t).Notify(MediaEvent{State: MediaLive})
				synctest.Wait()
				if s := last(t, socket, "managed_stream_status"); s.str("status") != "active" {
					t.Errorf("the app hears %v", s)
				}
				last(t, glasses, "start_stream")
				if waited := time.Since(began); waited != 0 {
					t.Errorf("the store delayed them by %v", waited)
				}
				time.Sleep(20 * time.Second)
				synctest.Wait()
				if n := bad.calls.Load(); n < 3 || n > 25 {
					t.Errorf("%d writes were tried in 20 s", n)
				}
				switchTo(bad, false)
				time.Sleep(5 * time.Second)
				synctest.Wait()
				items, err := good.All(w.ctx)
				if err != nil || len(items) != 1 || items[0].Value.Camera.Stream == nil || len(items[0].Value.Apps) != 1 {
					t.Errorf("at last the store has %+v, %v", items, err)
				}
				w.events.Close()
				if batch, err := failing.Next(w.ctx); err != nil || len(batch) != 1 {
					t.Errorf("told %v, %v; want one event", batch, err)
				}
			})
		})
	}
}

// FAULTS F14, F18: a store that hangs does not keep the server from ending in time.
func TestCloseWithAHangingStore(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.remembering()
		bad := &badStore{Store: w.reg.deps.Store}
		w.reg.Close()
		w.reg = New(w.deps(bad), Config{}, slog.New(slog.DiscardHandler))
		bad.hang.Store(true)
		for _, user := range []string{"a@b.c", "b@b.c", "c@b.c", "d@b.c"} {
			link, err := w.reg.AttachPhone(w.ctx, user, base, &fakeSocket{})
			if err != nil {
				t.Fatal(err)
			}
			w.say(link, `{"type":"start_app","packageName":"com.x.app"}`)
		}
		time.Sleep(10 * time.Second)
		began := time.Now()
		w.reg.Close()
		if took := time.Since(began); took > 3*storeTimeout {
			t.Errorf("the end took %v", took)
		}
	})
}
