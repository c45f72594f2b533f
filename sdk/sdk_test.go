package sdk

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"glimpse/protocol"
)

// idle is an OnSession that hands its session to the test and stays.
func idle(got chan<- *Session) func(context.Context, *Session) error {
	return func(ctx context.Context, s *Session) error {
		got <- s
		<-ctx.Done()
		return nil
	}
}

const activeStatus = `{"type":"managed_stream_status","status":"active","streamId":"m2",
	"hlsUrl":"http://cloud/live/p/index.m3u8","dashUrl":"http://cloud/live/p/index.mpd","webrtcUrl":"http://cloud/live/p/whep",
	"previewUrl":"http://cloud/live/p/","thumbnailUrl":"http://cloud/live/p/thumbnail.jpg","message":"Stream is now live"}`

// B2 B11 B17 B25 B40 C2 C31
func TestManagedStream(t *testing.T) {
	got := make(chan *Session, 1)
	run(t, idle(got), func(t *testing.T, c *cloud) {
		k := c.start()
		s := <-got
		if s.UserID() != "me@x" || s.Capabilities() == nil || !s.Capabilities().HasCamera {
			t.Errorf("session of %s with %v", s.UserID(), s.Capabilities())
		}
		synctest.Wait()
		if d := s.Device(); d != (Device{Connected: true, ModelName: "Simulated Live", BatteryLevel: 88, WifiConnected: true, WifiSSID: "lab"}) {
			t.Errorf("device %+v", d)
		}
		k.send(`{"type":"device_state_update","state":{"batteryLevel":20},"fullSnapshot":false}`)

		var seen []string
		statuses := s.Statuses(t.Context())
		go func() {
			for st := range statuses {
				seen = append(seen, st.State)
			}
		}()
		go func() {
			m := k.expect("managed_stream_request")
			if fmt.Sprintf("%v %v %v %v %v", m["quality"], m["enableWebRTC"], m["stream"], m["sound"], m["restreamDestinations"]) !=
				"720p true map[durationLimit:1800] false [map[name:YouTube url:rtmp://a/b]]" {
				t.Errorf("request %v", m)
			}
			k.send(`{"type":"managed_stream_status","status":"initializing","streamId":"m2","message":"Waiting for stream to start..."}`)
			time.Sleep(time.Second)
			k.send(activeStatus)
		}()
		began := time.Now()
		st, err := s.StartManaged(t.Context(), ManagedOptions{
			Quality: "720p", Limit: 30 * time.Minute, Silent: true,
			Destinations: []protocol.Destination{{URL: "rtmp://a/b", Name: "YouTube"}},
		})
		if err != nil {
			t.Fatal(err)
		}
		if d := time.Since(began); d != time.Second {
			t.Errorf("resolved after %v, at active it is 1 s", d)
		}
		if u := st.URLs(); st.ID() != "m2" || u.HLS == "" || u.DASH == "" || u.WebRTC == "" || u.Preview == "" || u.Thumbnail == "" {
			t.Errorf("stream %s with %+v", st.ID(), u)
		}
		if s.Device().BatteryLevel != 20 || !s.Device().Connected {
			t.Errorf("device after a change %+v", s.Device())
		}
		if _, err := s.StartManaged(t.Context(), ManagedOptions{}); !errors.Is(err, ErrCameraBusy) || !strings.Contains(err.Error(), "Already streaming") {
			t.Errorf("second start: %v", err)
		}

		go func() {
			k.expect("stream_status_check")
			k.send(`{"type":"stream_status_check_response","hasActiveStream":true,"streamInfo":{"type":"managed","streamId":"m2","status":"active",
				"stats":{"bitrate":2000000,"fps":30,"droppedFrames":3,"duration":10}}}`)
		}()
		if stats, err := st.Stats(t.Context()); err != nil || stats == nil || stats.DroppedFrames != 3 {
			t.Errorf("stats %+v, %v", stats, err)
		}

		go func() {
			k.expect("managed_stream_stop")
			k.send(`{"type":"managed_stream_status","status":"stopped","streamId":"m2"}`)
		}()
		if err := st.Stop(t.Context()); err != nil {
			t.Errorf("stop: %v", err)
		}
		if err := st.Stop(t.Context()); err != nil {
			t.Errorf("second stop: %v", err)
		}
		synctest.Wait()
		if got := strings.Join(seen, " "); got != "initializing active stopped" {
			t.Errorf("statuses %s", got)
		}
	})
}

// Refusals keep the cloud's sentence, and errors.Is knows them with a code or
// by their words.
// A14 A52 A53 A54 B24 C54 C55 C56 C57
func TestRefusals(t *testing.T) {
	for _, tc := range []struct {
		status string
		is     error
		text   string
	}{
		{`"status":"error","message":"Already streaming: unmanaged stream already active"`, ErrCameraBusy, "Already streaming: unmanaged stream already active"},
		{`"status":"error","message":"Cannot start stream: managed stream active"`, ErrManagedActive, "Cannot start stream: managed stream active"},
		{`"status":"error","message":"Camera permission required for managed streams"`, ErrPermission, "Camera permission required for managed streams"},
		{`"status":"error","errorDetails":"Invalid URL: nope"`, ErrInvalidURL, "Invalid URL: nope"},
		{`"status":"error","message":"Network error: could not connect"`, ErrNetwork, "Network error: could not connect"},
		{`"status":"error","message":"Cloud service error: ingest unavailable"`, ErrCloud, "Cloud service error: ingest unavailable"},
		{`"status":"error","message":"Stream start timeout: no media received from the glasses"`, ErrTimeout, "Stream start timeout: no media received from the glasses"},
		{`"status":"error","message":"anything","code":"GLASSES_DISCONNECTED"`, ErrNoGlasses, "anything"},
		{`"status":"timeout","message":"Stream timed out waiting for keep-alive"`, ErrTimeout, "Stream timed out waiting for keep-alive"},
		{`"status":"stopped"`, &Error{Code: protocol.CodeInternal}, "Managed stream failed"},
	} {
		got := make(chan *Session, 1)
		run(t, idle(got), func(t *testing.T, c *cloud) {
			k := c.start()
			s := <-got
			go func() {
				k.expect("managed_stream_request")
				k.send(`{"type":"managed_stream_status","streamId":"m1",` + tc.status + `}`)
			}()
			_, err := s.StartManaged(t.Context(), ManagedOptions{})
			if !errors.Is(err, tc.is) || err.Error() != tc.text {
				t.Errorf("%s: %v", tc.status, err)
			}
			// The app may try again at once.
			go func() {
				k.expect("managed_stream_request")
				k.send(activeStatus)
			}()
			if _, err := s.StartManaged(t.Context(), ManagedOptions{}); err != nil {
				t.Errorf("%s: again: %v", tc.status, err)
			}
		})
	}
}

// A start that is given up leaves nothing running.
func TestStartGivenUp(t *testing.T) {
	got := make(chan *Session, 1)
	run(t, idle(got), func(t *testing.T, c *cloud) {
		k := c.start()
		s := <-got
		began := time.Now()
		_, err := s.StartManaged(t.Context(), ManagedOptions{})
		if !errors.Is(err, ErrTimeout) || err.Error() != "Managed stream request timeout" || time.Since(began) != 30*time.Second {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
		k.expect("managed_stream_request")
		k.expect("managed_stream_stop")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := s.StartDirect(ctx, "rtmp://host/live/key", DirectOptions{}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("with a deadline: %v", err)
		}
		k.expect("stream_request")
		k.expect("stream_stop")
		// Neither start stands in the way of another.
		go func() {
			k.expect("managed_stream_request")
			k.send(activeStatus)
			k.expect("stream_request")
			k.send(`{"type":"stream_status","streamId":"s1","status":"active"}`)
		}()
		if _, err := s.StartManaged(t.Context(), ManagedOptions{}); err != nil {
			t.Errorf("managed again: %v", err)
		}
		if _, err := s.StartDirect(t.Context(), "rtmp://host/live/key", DirectOptions{}); err != nil {
			t.Errorf("direct again: %v", err)
		}
	})
}

// The late end of a start that was given up is not the end of the next one.
func TestLateEndOfFormerStream(t *testing.T) {
	got := make(chan *Session, 1)
	run(t, idle(got), func(t *testing.T, c *cloud) {
		k := c.start()
		s := <-got
		go func() {
			k.expect("stream_request")
			k.send(`{"type":"stream_status","streamId":"s1","status":"initializing"}`)
		}()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := s.StartDirect(ctx, "rtmp://host/live/key", DirectOptions{}); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		k.expect("stream_stop")
		go func() {
			k.expect("stream_request")
			k.send(`{"type":"stream_status","streamId":"s1","status":"stopping"}`)
			k.send(`{"type":"stream_status","streamId":"s1","status":"stopped"}`)
			k.send(`{"type":"stream_status","streamId":"s2","status":"initializing"}`)
			k.send(`{"type":"stream_status","streamId":"s2","status":"active"}`)
		}()
		st, err := s.StartDirect(t.Context(), "rtmp://host/live/key", DirectOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if st.ID() != "s2" {
			t.Errorf("stream %s", st.ID())
		}
	})
}

// A20 A21 A22 A23 A24 A26 A30 A38 A39 D16
func TestDirectStream(t *testing.T) {
	got := make(chan *Session, 1)
	run(t, idle(got), func(t *testing.T, c *cloud) {
		k := c.start()
		s := <-got
		go func() {
			m := k.expect("stream_request")
			if m["streamUrl"] != "rtmp://host/live/key" || m["rtmpUrl"] != "rtmp://host/live/key" ||
				fmt.Sprint(m["video"]) != "map[bitrate:2.5e+06 frameRate:30 height:720 width:1280]" ||
				fmt.Sprint(m["audio"]) != "map[bitrate:128000 sampleRate:44100]" {
				t.Errorf("request %v", m)
			}
			k.send(`{"type":"stream_status","streamId":"s1","status":"initializing"}`)
			k.send(`{"type":"stream_status","streamId":"s1","status":"active"}`)
		}()
		st, err := s.StartDirect(t.Context(), "rtmp://host/live/key", DirectOptions{
			Video: &protocol.VideoConfig{Width: 1280, Height: 720, Bitrate: 2_500_000, FrameRate: 30},
			Audio: &protocol.AudioConfig{Bitrate: 128_000, SampleRate: 44_100},
		})
		if err != nil {
			t.Fatal(err)
		}
		var seen []string
		done := make(chan struct{})
		go func() {
			defer close(done)
			for status, err := range st.Statuses(t.Context()) {
				if err != nil {
					t.Error(err)
				}
				text := status.State
				if status.Stats != nil {
					text += fmt.Sprintf("(%v)", status.Stats.DroppedFrames)
				}
				if status.Err != nil {
					text += ": " + status.Err.Error()
				}
				seen = append(seen, text)
			}
		}()
		synctest.Wait()
		k.send(`{"type":"rtmp_stream_status","streamId":"s1","status":"active","stats":{"bitrate":1998000,"fps":29,"droppedFrames":3,"duration":1}}`)
		synctest.Wait()
		if stats, err := st.Stats(t.Context()); err != nil || stats.FPS != 29 {
			t.Errorf("stats %+v, %v", stats, err)
		}
		k.send(`{"type":"stream_status","streamId":"s0","status":"stopped"}`) // a former stream's late word
		k.send(`{"type":"stream_status","streamId":"s1","status":"error","errorDetails":"Network error: could not connect to RTMP server"}`)
		<-done
		want := "active active(3) error(3): Network error: could not connect to RTMP server"
		if got := strings.Join(seen, " "); got != want {
			t.Errorf("statuses %s\nwant %s", got, want)
		}
		if err := st.Stop(t.Context()); err != nil {
			t.Errorf("stopping what is over: %v", err)
		}
	})
}

// B35 B36 B39
func TestCheckExisting(t *testing.T) {
	got := make(chan *Session, 1)
	run(t, idle(got), func(t *testing.T, c *cloud) {
		k := c.start()
		s := <-got
		go func() {
			id := k.expect("stream_status_check")["requestId"].(string)
			k.send(`{"type":"stream_status_check_response","requestId":"another","hasActiveStream":false}`)
			k.send(`{"type":"stream_status_check_response","requestId":"` + id + `","hasActiveStream":true,
				"streamInfo":{"type":"unmanaged","streamId":"s1","status":"active","createdAt":"2026-11-20T23:10:13.447Z","rtmpUrl":"rtmp://x","requestingAppId":"com.other"}}`)
			k.expect("stream_status_check")
			k.send(`{"type":"stream_status_check_response","hasActiveStream":false}`)
			k.expect("stream_status_check")
		}()
		info, err := s.CheckExisting(t.Context())
		if err != nil || info == nil || info.RequestingAppID != "com.other" || info.CreatedAt.Year() != 2026 {
			t.Errorf("%+v, %v", info, err)
		}
		if info, err := s.CheckExisting(t.Context()); err != nil || info != nil {
			t.Errorf("%+v, %v; want none", info, err)
		}
		if _, err := s.CheckExisting(t.Context()); !errors.Is(err, ErrTimeout) {
			t.Errorf("without an answer: %v", err)
		}
	})
}

// A40 A48
func TestTextsAndEvents(t *testing.T) {
	got := make(chan *Session, 1)
	run(t, idle(got), func(t *testing.T, c *cloud) {
		k := c.start()
		s := <-got
		if err := s.ShowText(t.Context(), "hello"); err != nil {
			t.Fatal(err)
		}
		m := k.expect("display_event")
		if fmt.Sprintf("%v %v %v", m["layout"], m["view"], m["packageName"]) != "map[layoutType:text_wall text:hello] main com.example.app" {
			t.Errorf("display %v", m)
		}

		said := make(chan string, 1)
		go func() {
			for speech, err := range s.Transcriptions(t.Context()) {
				if err != nil {
					t.Error(err)
				}
				said <- fmt.Sprint(speech.Text, " ", speech.IsFinal)
				break
			}
			close(said)
		}()
		k.expectSubscriptions("managed_stream_status", "stream_status", "transcription:en-US")
		k.send(`{"type":"data_stream","streamType":"transcription:en-US","data":{"type":"transcription","text":"stop stream","isFinal":true}}`)
		if got := <-said; got != "stop stream true" {
			t.Errorf("heard %q", got)
		}
		k.expectSubscriptions("managed_stream_status", "stream_status")

		ctx, cancel := context.WithCancel(t.Context())
		pressed := make(chan string, 1)
		go func() {
			for press := range s.Buttons(ctx) {
				pressed <- press.PressType
			}
			close(pressed)
		}()
		k.expectSubscriptions("button_press", "managed_stream_status", "stream_status")
		k.send(`{"type":"something_new","data":{}}`)
		k.send(`{"type":"data_stream","streamType":"button_press","data":{"type":"button_press","buttonId":"main","pressType":"long"}}`)
		if got := <-pressed; got != "long" {
			t.Errorf("pressed %q", got)
		}
		cancel()
		if _, more := <-pressed; more {
			t.Error("the loop goes on after its context")
		}
		k.expectSubscriptions("managed_stream_status", "stream_status")

		refused := make(chan error, 1)
		go func() {
			for _, err := range s.Transcriptions(t.Context()) {
				refused <- err
			}
		}()
		k.expectSubscriptions("managed_stream_status", "stream_status", "transcription:en-US")
		k.send(`{"type":"permission_error","message":"Some subscriptions were rejected due to missing permissions",
			"details":[{"stream":"transcription:en-US","requiredPermission":"MICROPHONE","message":"needs MICROPHONE"}]}`)
		if err := <-refused; !errors.Is(err, ErrPermission) || err.Error() != "needs MICROPHONE" {
			t.Errorf("refused with %v", err)
		}
	})
}

// A dropped socket is connected again after 1, 2, 4, 8 s; the session, its
// subscriptions and its calls in progress go on.
func TestReconnects(t *testing.T) {
	got := make(chan *Session, 2)
	run(t, idle(got), func(t *testing.T, c *cloud) {
		k := c.start()
		s := <-got
		started := make(chan error, 1)
		go func() {
			_, err := s.StartManaged(t.Context(), ManagedOptions{})
			started <- err
		}()
		k.expect("managed_stream_request")
		for _, how := range []websocket.StatusCode{websocket.StatusInternalError, websocket.StatusServiceRestart, -1} {
			began := time.Now()
			c.away.Store(true)
			if how > 0 {
				k.ws.Close(how, "")
			} else {
				k.ws.CloseNow()
			}
			time.Sleep(6 * time.Second) // tries at 1 and 3 s fail
			c.away.Store(false)
			shown := make(chan error, 1)
			go func() { shown <- s.ShowText(t.Context(), "meanwhile") }()
			k = c.accept()
			if d := time.Since(began); d.Round(time.Millisecond) != 7*time.Second {
				t.Errorf("after %v: connected again after %v", how, d)
			}
			k.expect("display_event")
			if err := <-shown; err != nil {
				t.Errorf("show text meanwhile: %v", err)
			}
		}
		k.send(activeStatus)
		if err := <-started; err != nil {
			t.Errorf("start over a lost connection: %v", err)
		}
		if len(got) != 0 {
			t.Error("OnSession ran again")
		}
	})
}

// A session ends when the cloud says so, and after a minute without a cloud.
func TestSessionEnds(t *testing.T) {
	for _, tc := range []struct {
		name string
		end  func(c *cloud, k *socket)
		is   error
		text string
	}{
		{"stop webhook", func(c *cloud, k *socket) {
			code, _ := c.webhook(`{"type":"stop_request","sessionId":"me@x-com.example.app","userId":"me@x","reason":"user_disabled"}`)
			if code != http.StatusOK {
				c.t.Errorf("stop webhook answered %d", code)
			}
		}, ErrStopped, "session stopped: user_disabled"},
		{"app_stopped", func(c *cloud, k *socket) {
			k.send(`{"type":"app_stopped","reason":"system_stop"}`)
		}, ErrStopped, "session stopped: system_stop"},
		{"close 1000", func(c *cloud, k *socket) { k.ws.Close(1000, "App stopped") }, ErrStopped, "App stopped"},
		{"close 1008", func(c *cloud, k *socket) { k.ws.Close(1008, "no") }, ErrUnauthorized, "no"},
		{"cloud gone", func(c *cloud, k *socket) { c.away.Store(true); k.ws.CloseNow() }, ErrCloud, "Cloud service error: connection lost: "},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var ended chan error
			run(t, func(ctx context.Context, s *Session) error {
				<-ctx.Done()
				ended <- context.Cause(ctx)
				return nil
			}, func(t *testing.T, c *cloud) {
				ended = make(chan error, 1)
				k := c.start()
				tc.end(c, k)
				err := <-ended
				if !errors.Is(err, tc.is) || !strings.HasPrefix(err.Error(), tc.text) {
					t.Errorf("ended with %v", err)
				}
				synctest.Wait()
				if s := c.app.session("me@x-com.example.app"); s != nil {
					t.Error("the session is still known")
				}
			})
		})
	}
}

// An app that is done, or shuts down, stops its streams and says so.
func TestGoodbye(t *testing.T) {
	for _, how := range []string{"session_done", "clean_shutdown", "switching_clouds"} {
		t.Run(how, func(t *testing.T) {
			var leave chan struct{}
			run(t, func(ctx context.Context, s *Session) error {
				if _, err := s.StartManaged(ctx, ManagedOptions{}); err != nil {
					return err
				}
				select {
				case <-leave:
				case <-ctx.Done():
				}
				return nil
			}, func(t *testing.T, c *cloud) {
				leave = make(chan struct{})
				k := c.start()
				k.expect("managed_stream_request")
				k.send(activeStatus)
				synctest.Wait()
				switch how {
				case "session_done":
					close(leave)
				case "clean_shutdown":
					go c.app.Close()
				case "switching_clouds":
					c.start()
				}
				if how != "switching_clouds" {
					k.expect("managed_stream_stop")
				}
				if m := k.expect("ownership_release"); m["reason"] != how {
					t.Errorf("released because of %v", m["reason"])
				}
				if code := k.closed(); code != websocket.StatusNormalClosure {
					t.Errorf("closed with %v", code)
				}
			})
		})
	}
}

func TestWebhook(t *testing.T) {
	run(t, func(context.Context, *Session) error { panic("not my day") }, func(t *testing.T, c *cloud) {
		for body, want := range map[string]int{
			``:                     400,
			`{"type":"tool_call"}`: 400,
			`{"type":"session_request","sessionId":"a","userId":"b"}`:                                  500,
			`{"type":"session_request","sessionId":"a","userId":"b","websocketUrl":"http://x/app-ws"}`: 500,
			`{"type":"session_request","userId":"b","websocketUrl":"ws://x/app-ws"}`:                   500,
			`{"type":"stop_request","sessionId":"unknown"}`:                                            200,
		} {
			if code, text := c.webhook(body); code != want {
				t.Errorf("%s: %d %s", body, code, text)
			}
		}
		// A refused key.
		go func() {
			k := <-c.conns
			k.expect("tpa_connection_init")
			k.send(`{"type":"tpa_connection_error","code":"INVALID_API_KEY","message":"Invalid API key"}`)
			k.ws.Close(websocket.StatusPolicyViolation, "Invalid API key")
		}()
		if code, text := c.webhook(sessionRequest); code != 500 || !strings.Contains(text, `"message":"Failed to connect"`) {
			t.Errorf("refused key: %d %s", code, text)
		}
		// Silence after the init.
		began := time.Now()
		if code, _ := c.webhook(sessionRequest); code != 500 || time.Since(began) != 5*time.Second {
			t.Errorf("no ack: %d after %v", code, time.Since(began))
		}
		<-c.conns
		// A panic of the app ends its session and nothing else.
		if code := c.start().closed(); code != websocket.StatusNormalClosure {
			t.Errorf("after a panic closed with %v", code)
		}
		c.start()
	})
}

func TestConfig(t *testing.T) {
	on := func(context.Context, *Session) error { return nil }
	for _, cfg := range []Config{
		{APIKey: "k", OnSession: on},
		{Package: "two words", APIKey: "k", OnSession: on},
		{Package: "p", OnSession: on},
		{Package: "p", APIKey: "k"},
		{Package: "p", APIKey: "k", OnSession: on, Cloud: "nonsense"},
	} {
		if _, err := New(cfg); err == nil {
			t.Errorf("%+v was accepted", cfg)
		}
	}
	a, err := New(Config{Package: "p", APIKey: "k", OnSession: on, Cloud: "https://cloud.example:8443"})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	for address, ok := range map[string]bool{
		"wss://cloud.example:8443/app-ws": true,
		"wss://CLOUD.example:8443/app-ws": true,
		"ws://cloud.example:8443/app-ws":  false,
		"wss://evil.example/app-ws":       false,
	} {
		if _, err := a.address(&protocol.SessionRequest{WebsocketURL: address}); (err == nil) != ok {
			t.Errorf("%s: %v", address, err)
		}
	}
	for _, m := range []protocol.SessionRequest{
		{MentraOSWebsocketURL: "wss://cloud.example:8443/app-ws"}, {AugmentOSWebsocketURL: "wss://cloud.example:8443/app-ws"},
	} {
		if _, err := a.address(&m); err != nil {
			t.Errorf("%+v: %v", m, err)
		}
	}
}

// A slow reader loses the oldest events, never the newest.
func TestFeedIsBounded(t *testing.T) {
	var f feed[int]
	r := f.add()
	for i := range 3 * maxQueued {
		f.send(i)
	}
	q, _ := f.take(r)
	if len(q) != maxQueued || q[len(q)-1] != 3*maxQueued-1 {
		t.Errorf("%d queued, the last is %d", len(q), q[len(q)-1])
	}
}

// FuzzMessage gives a session arbitrary messages of a cloud.
func FuzzMessage(f *testing.F) {
	f.Add(activeStatus)
	f.Add(`{"type":"data_stream","streamType":"transcription:en-US","data":{"text":"x"}}`)
	f.Add(`{"type":"device_state_update","state":{"connected":7},"fullSnapshot":true}`)
	f.Add(`{"type":"permission_error","details":[{"stream":"button_press"}]}`)
	f.Add(`{"type":"stream_status_check_response","hasActiveStream":true}`)
	a, err := New(Config{Package: "p", APIKey: "k", OnSession: func(context.Context, *Session) error { return nil }})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s := newSession(a, &protocol.SessionRequest{SessionID: "s", UserID: "u"}, "ws://x")
		defer s.cancel(nil)
		st := &Stream{session: s, managed: true, live: make(chan struct{}), ended: make(chan struct{})}
		if err := s.claim(st); err != nil {
			t.Fatal(err)
		}
		_ = s.onMessage([]byte(text))
		_ = s.onMessage([]byte(text))
	})
}
