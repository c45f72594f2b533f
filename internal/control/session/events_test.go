package session

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"glimpse/internal/control/camera"
	"glimpse/internal/control/events"
)

// follow returns what happened since the last call, in words: type, app, and
// what else says something. Phones and apps that come and go at the beginning
// of a test are not shown before begin.
func (w *world) follow(t *testing.T) (happened func() []string) {
	t.Helper()
	sub, err := w.events.Subscribe(events.Filter{Wearer: wearer}, -1)
	if err != nil {
		t.Fatal(err)
	}
	return func() []string {
		synctest.Wait()
		now, cancel := context.WithCancel(w.ctx)
		cancel()
		var all []string
		for {
			batch, err := sub.Next(now)
			if err != nil {
				return all
			}
			for _, e := range batch {
				all = append(all, strings.Join(slices.DeleteFunc([]string{
					string(e.Type), strings.TrimPrefix(e.App, "com.x."), e.Kind, e.Status, e.Code,
				}, func(s string) bool { return s == "" }), " "))
			}
		}
	}
}

func want(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("happened:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// What the cloud invents, interruptions, resumes, retries, resurrections, newer
// phones, are events of the API.
func TestEventsOfAWearer(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		happened := w.follow(t)
		phone, _ := w.phone()
		app, _ := w.run(phone, "com.x.app", false)
		want(t, happened(), "wearer.came", "phone.connected", "glasses.connected", "app.started app")

		w.say(app, `{"type":"rtmp_stream_request","rtmpUrl":"nonsense"}`)
		want(t, happened(), "request.refused app unmanaged INVALID_URL")

		w.say(app, `{"type":"managed_stream_request"}`)
		want(t, happened(), "stream.began app managed", "hold.began app managed")
		media := w.streams.only(t)
		media.Notify(MediaEvent{State: MediaLive})
		want(t, happened(), "stream.live managed")
		media.Notify(MediaEvent{State: MediaLost})
		want(t, happened(), "stream.interrupted managed")
		time.Sleep(6100 * time.Millisecond) // 5 s of silence and the first retry
		want(t, happened(), "stream.retried managed NETWORK")
		media.Notify(MediaEvent{State: MediaLive})
		want(t, happened(), "stream.resumed managed")

		newer, _ := w.phone()
		want(t, happened(), "phone.connected", "phone.superseded")
		newer.Gone(w.ctx)
		newer, _ = w.phone()
		want(t, happened(), "phone.disconnected", "phone.connected")
		w.say(newer, `{"type":"glasses_connection_state","status":"DISCONNECTED"}`, `{"type":"glasses_connection_state","status":"CONNECTED"}`)
		want(t, happened(), "glasses.disconnected", "glasses.connected")

		app.Gone(w.ctx)
		app, _ = w.connect("com.x.app", false)
		want(t, happened(), "app.disconnected app", "app.reconnected app")
		for range maxResurrections {
			app.Gone(w.ctx)
			time.Sleep(8100 * time.Millisecond)
			synctest.Wait()
			app, _ = w.connect("com.x.app", false)
			want(t, happened(), "app.disconnected app", "app.resurrected app", "app.started app")
		}
		app.Gone(w.ctx)
		time.Sleep(8100 * time.Millisecond)
		want(t, happened(), "app.disconnected app", "app.given_up app",
			"hold.ended app managed stopped", "stream.ended managed stopped")

		other, _ := w.run(newer, "com.x.other", false)
		w.say(newer, `{"type":"stop_app","packageName":"com.x.other"}`)
		want(t, happened(), "app.started other", "app.stopped other")
		other.Gone(w.ctx)
		other, _ = w.run(newer, "com.x.other", false)
		w.say(other, `{"type":"ownership_release"}`)
		other.Gone(w.ctx)
		time.Sleep(8100 * time.Millisecond)
		want(t, happened(), "app.started other", "app.released other", "app.disconnected other", "app.stopped other")
		w.hooks.onStart = nil
		w.say(newer, `{"type":"start_app","packageName":"com.x.blind"}`)
		time.Sleep(12100 * time.Millisecond)
		want(t, happened(), "app.given_up blind")

		newer.Gone(w.ctx)
		time.Sleep(61 * time.Second)
		want(t, happened(), "phone.disconnected", "wearer.left")
	})
}

// After a restart a follower sees that the stream waits for its media.
func TestEventsAfterARestart(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		restart := w.remembering()
		phone, _ := w.phone()
		app, _ := w.run(phone, "com.x.app", false)
		w.say(app, `{"type":"managed_stream_request"}`)
		w.streams.only(t).Notify(MediaEvent{State: MediaLive})
		synctest.Wait()
		happened := w.follow(t)
		restart(true)
		got := happened()
		want(t, got[max(len(got)-2, 0):], "wearer.came", "stream.interrupted managed")
		w.connect("com.x.app", false)
		want(t, happened(), "app.reconnected app")
	})
}

// Each word of the camera's is one of the API's.
func TestNotesAreEvents(t *testing.T) {
	for _, note := range []camera.NoteKind{
		camera.StreamBegan, camera.StreamLive, camera.StreamInterrupted, camera.StreamResumed, camera.StreamRetried,
		camera.StreamEnded, camera.HoldBegan, camera.HoldEnded, camera.Refused,
	} {
		if !slices.Contains(events.Types(), events.Type(note)) {
			t.Errorf("%s is no type of event", note)
		}
	}
}
