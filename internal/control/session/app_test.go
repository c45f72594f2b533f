package session

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"glimpse/internal/control/apps"
	"glimpse/protocol"
)

// An app that does not come within 12 s has failed; a second webhook goes out
// only when the first could not even be delivered.
func TestStartDeadlines(t *testing.T) {
	unreachable := fmt.Errorf("dial: %w", apps.ErrUnreachable)
	for _, c := range []struct {
		name     string
		outcomes []error // of the webhooks
		webhooks int
		after    time.Duration
	}{
		{"says yes, never connects", []error{nil}, 1, 12 * time.Second},
		{"says no, never connects", []error{errors.New("500")}, 1, 12 * time.Second},
		{"cannot be reached twice", []error{unreachable, unreachable}, 2, time.Second},
		{"cannot be reached, then says yes", []error{unreachable, nil}, 2, 12 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.hooks.onStart = func(context.Context, protocol.SessionRequest) error {
					starts, _ := w.hooks.counts()
					return c.outcomes[starts-1]
				}
				began := time.Now()
				err := w.reg.StartApp(w.ctx, wearer, "com.x.app", base)
				var refusal *Refusal
				if !errors.As(err, &refusal) || refusal.Code != protocol.CodeAppNotStarted {
					t.Errorf("error is %v", err)
				}
				if took := time.Since(began); took != c.after {
					t.Errorf("gave up after %v, want %v", took, c.after)
				}
				if starts, _ := w.hooks.counts(); starts != c.webhooks {
					t.Errorf("%d webhooks, want %d", starts, c.webhooks)
				}
			})
		})
	}
}

// The truth is the init: a webhook that hangs or fails afterwards means nothing.
func TestInitBeatsWebhook(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.hooks.onStart = func(ctx context.Context, _ protocol.SessionRequest) error {
			<-ctx.Done() // an onSession that never settles
			return ctx.Err()
		}
		phone, _ := w.phone()
		began := time.Now()
		_, socket := w.run(phone, "com.x.app", false)
		time.Sleep(30 * time.Second)
		synctest.Wait()
		if code, _ := socket.closed(); code != 0 {
			t.Errorf("app was closed with %d", code)
		}
		if running := w.reg.RunningApps(w.ctx, wearer); len(running) != 1 {
			t.Errorf("running %v after %v", running, time.Since(began))
		}
		if starts, _ := w.hooks.counts(); starts != 1 {
			t.Errorf("%d webhooks, want 1", starts)
		}
	})
}

// An app may run without glasses; it is told so when it wants the camera.
func TestAppWithoutGlasses(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		result := make(chan error, 1)
		go func() { result <- w.reg.StartApp(w.ctx, wearer, "com.x.app", base) }()
		synctest.Wait()
		app, socket := w.connect("com.x.app", false)
		if err := <-result; err != nil {
			t.Fatal(err)
		}
		if state := last(t, socket, "device_state_update")["state"].(map[string]any); state["connected"] != false {
			t.Errorf("device state %v", state)
		}
		if ack := last(t, socket, "tpa_connection_ack"); ack["capabilities"] != nil {
			t.Errorf("capabilities of no glasses: %v", ack["capabilities"])
		}
		w.say(app, `{"type":"managed_stream_request"}`)
		if s := last(t, socket, "managed_stream_status"); s.str("status") != "error" || s.str("message") != protocol.TextGlassesGone {
			t.Errorf("status %v", s)
		}
		time.Sleep(time.Hour)
		if running := w.reg.RunningApps(w.ctx, wearer); len(running) != 1 {
			t.Errorf("running %v after an hour without a phone", running)
		}
		if err := w.reg.StopApp(w.ctx, wearer, "com.x.app"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(61 * time.Second)
		synctest.Wait()
		if w.reg.lookup(wearer) != nil {
			t.Error("a session without phone and apps stays")
		}
	})
}

// B35 B36 B37 B38
func TestCheckExistingStream(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		phone, _ := w.phone()
		app, socket := w.run(phone, "com.x.app", true)
		other, otherSocket := w.run(phone, "com.x.other", false)
		w.say(app, `{"type":"stream_status_check","sessionId":"unknown-session-id","requestId":"r1"}`)
		none := last(t, socket, "stream_status_check_response")
		if none["hasActiveStream"] != false || none.str("requestId") != "r1" || none["streamInfo"] != nil {
			t.Errorf("without a stream: %v", none)
		}

		w.say(app, `{"type":"stream_request","streamUrl":"rtmp://dest.example/live/x"}`)
		w.say(other, `{"type":"stream_status_check"}`)
		info := last(t, otherSocket, "stream_status_check_response")["streamInfo"].(map[string]any)
		if info["type"] != "unmanaged" || info["requestingAppId"] != "com.x.app" || info["status"] != "initializing" ||
			info["rtmpUrl"] != "rtmp://dest.example/live/x" || info["streamUrl"] != info["rtmpUrl"] || info["createdAt"] == nil {
			t.Errorf("direct: %v", info)
		}

		w.say(app, `{"type":"stream_stop"}`, `{"type":"managed_stream_request"}`, `{"type":"stream_status_check"}`)
		info = last(t, socket, "stream_status_check_response")["streamInfo"].(map[string]any)
		spec := w.streams.only(t)
		watch := w.streams.WatchURLs(base, spec.PlaybackID)
		if info["type"] != "managed" || info["streamId"] != spec.StreamID || info["hlsUrl"] != watch.HLS ||
			info["dashUrl"] != watch.DASH || info["webrtcUrl"] != watch.WebRTC || info["thumbnailUrl"] != watch.Thumbnail ||
			info["activeViewers"] != 0.0 {
			t.Errorf("managed: %v", info)
		}
		spec.NotifyViewers(3)
		synctest.Wait()
		w.say(app, `{"type":"stream_status_check"}`)
		if info = last(t, socket, "stream_status_check_response")["streamInfo"].(map[string]any); info["activeViewers"] != 3.0 {
			t.Errorf("viewers: %v", info["activeViewers"])
		}
	})
}

// An app whose socket is gone keeps its hold for 8 s and is then asked to come
// back; three times in 5 minutes, not more.
func TestResurrection(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		phone, _ := w.phone()
		for round := 1; round <= 3; round++ {
			var app *AppLink
			if round == 1 {
				app, _ = w.run(phone, "com.x.app", false)
			} else {
				app, _ = w.connect("com.x.app", false)
			}
			app.Gone(w.ctx)
			time.Sleep(7900 * time.Millisecond)
			synctest.Wait()
			if starts, _ := w.hooks.counts(); starts != round {
				t.Fatalf("round %d: %d webhooks before the hold was over", round, starts)
			}
			time.Sleep(200 * time.Millisecond)
			synctest.Wait()
			if starts, _ := w.hooks.counts(); starts != round+1 {
				t.Fatalf("round %d: %d webhooks after the hold", round, starts)
			}
		}
		app, _ := w.connect("com.x.app", false)
		app.Gone(w.ctx)
		time.Sleep(time.Minute)
		synctest.Wait()
		if starts, _ := w.hooks.counts(); starts != 4 {
			t.Errorf("%d webhooks, want 1 and 3 resurrections", starts)
		}
		if running := w.reg.RunningApps(w.ctx, wearer); len(running) != 0 {
			t.Errorf("running %v after giving up", running)
		}
	})
}

func TestNoResurrection(t *testing.T) {
	for name, leave := range map[string]func(w *world, phone *PhoneLink, app *AppLink){
		"after the wearer's stop": func(w *world, phone *PhoneLink, app *AppLink) {
			w.hooks.onStop = func(context.Context, protocol.StopRequest) error {
				app.Gone(w.ctx) // the app closes its own socket first
				return nil
			}
			w.say(phone, `{"type":"stop_app","packageName":"com.x.app"}`)
		},
		"after ownership_release": func(w *world, _ *PhoneLink, app *AppLink) {
			w.say(app, `{"type":"ownership_release","reason":"clean_shutdown"}`)
			app.Gone(w.ctx)
		},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				phone, _ := w.phone()
				app, _ := w.run(phone, "com.x.app", false)
				leave(w, phone, app)
				time.Sleep(time.Minute)
				synctest.Wait()
				if starts, _ := w.hooks.counts(); starts != 1 {
					t.Errorf("%d webhooks, want the first only", starts)
				}
				if running := w.reg.RunningApps(w.ctx, wearer); len(running) != 0 {
					t.Errorf("running %v", running)
				}
			})
		})
	}
}

// A restart of an app while it is being stopped waits for the stop.
func TestStartWhileStopping(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		phone, _ := w.phone()
		w.run(phone, "com.x.app", false)
		release := make(chan struct{})
		w.hooks.onStop = func(context.Context, protocol.StopRequest) error { <-release; return nil }
		w.say(phone, `{"type":"stop_app","packageName":"com.x.app"}`, `{"type":"start_app","packageName":"com.x.app"}`)
		if starts, _ := w.hooks.counts(); starts != 1 {
			t.Errorf("%d session requests while stopping", starts)
		}
		if _, err := w.reg.AttachApp(w.ctx, AppHello{SessionID: wearer + "-com.x.app", Package: "com.x.app"}, &fakeSocket{}); err == nil {
			t.Error("an app that is stopping was let in")
		}
		close(release)
		synctest.Wait()
		if starts, _ := w.hooks.counts(); starts != 2 {
			t.Errorf("%d session requests after the stop", starts)
		}
		w.connect("com.x.app", false)
	})
}

// A start that comes while the wearer's session ends waits for its successor,
// and the app is known there.
func TestStartWhileSessionEnds(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		phone, _ := w.phone()
		w.run(phone, "com.x.app", false)
		release := make(chan struct{})
		w.hooks.onStop = func(context.Context, protocol.StopRequest) error { <-release; return nil }
		phone.Gone(w.ctx)
		time.Sleep(61 * time.Second) // the grace is over: the stop webhook is under way
		synctest.Wait()
		ended := w.reg.lookup(wearer)
		answer := make(chan error, 1)
		go func() { answer <- w.reg.StartApp(w.ctx, wearer, "com.x.app", base) }()
		synctest.Wait()
		close(release)
		synctest.Wait()
		if s := w.reg.lookup(wearer); s == nil || s == ended {
			t.Fatal("no new session")
		}
		w.connect("com.x.app", false)
		if err := <-answer; err != nil {
			t.Errorf("start: %v", err)
		}
	})
}

// The newest socket is the app's; the late close of the old one ends nothing.
func TestSupersededAppSocket(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		phone, glasses := w.phone()
		old, oldSocket := w.run(phone, "com.x.app", false)
		w.say(old, `{"type":"ownership_release","reason":"switching_clouds"}`)
		app, socket := w.connect("com.x.app", false)
		w.say(old, `{"type":"display_event","layout":{"layoutType":"text_wall","text":"from the old one"}}`)
		if n := len(glasses.got("display_event")); n != 0 {
			t.Error("a superseded socket still speaks")
		}
		old.Gone(w.ctx)
		time.Sleep(time.Minute)
		w.say(app, `{"type":"display_event","layout":{"layoutType":"text_wall","text":"hello"}}`)
		if n := len(glasses.got("display_event")); n != 1 {
			t.Errorf("%d texts from the new socket", n)
		}
		if code, _ := oldSocket.closed(); code != 0 {
			t.Errorf("a socket that closed by itself was closed with %d", code)
		}
		if code, _ := socket.closed(); code != 0 {
			t.Errorf("new socket closed with %d", code)
		}

		w.connect("com.x.app", false) // and this one lingers
		time.Sleep(retireAfter)
		synctest.Wait()
		if code, _ := socket.closed(); code != 1000 {
			t.Errorf("a lingering superseded socket was closed with %d", code)
		}
	})
}

// B44
//
// A same process that reconnects is told where its stream stands; a fresh
// process is told nothing until it asks.
func TestReconnectedAppIsTold(t *testing.T) {
	for _, c := range []struct {
		name    string
		away    time.Duration
		webhook error
		told    bool
	}{
		{"within the hold", 2 * time.Second, nil, true},
		{"resurrected", 9 * time.Second, nil, false},
		// Nobody read the webhook, so this is the process that was here before.
		{"webhook unreachable", 8500 * time.Millisecond, apps.ErrUnreachable, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				phone, _ := w.phone()
				app, _ := w.run(phone, "com.x.app", false)
				w.say(app, `{"type":"managed_stream_request"}`)
				spec := w.streams.only(t)
				w.say(phone, `{"type":"stream_status","streamId":"`+spec.StreamID+`","status":"streaming"}`)
				w.hooks.onStart = func(context.Context, protocol.SessionRequest) error { return c.webhook }
				app.Gone(w.ctx)
				spec.Notify(MediaEvent{State: MediaLive})
				time.Sleep(c.away)
				synctest.Wait()
				app, socket := w.connect("com.x.app", false)
				statuses := socket.got("managed_stream_status")
				if told := len(statuses) > 0; told != c.told {
					t.Fatalf("told %v", statuses)
				}
				w.say(app, `{"type":"stream_status_check"}`)
				if r := last(t, socket, "stream_status_check_response"); r["hasActiveStream"] != true {
					t.Errorf("a check says %v", r)
				}
				if c.told && statuses[len(statuses)-1].str("status") != "active" {
					t.Errorf("told %v", statuses)
				}
			})
		})
	}
}
