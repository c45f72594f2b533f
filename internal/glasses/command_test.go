package glasses

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"glimpse/internal/media/frame"
	"glimpse/internal/media/hub"
	"glimpse/internal/media/rtmp"
)

// The command against a real RTMP server and a real websocket: pictures and
// sound arrive, a lost network interrupts the stream and it comes back by
// itself, and the server learns of a stop.
// E32 E35
func TestCommandStreamsAndSurvivesALostNetwork(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	h := hub.New(hub.Config{}, log)
	defer h.Close()
	live := make(chan struct{}, 10)
	st, err := h.Open(hub.Spec{ID: "s1", IngestKey: "key", PlaybackID: "play", ResumeWindow: time.Minute, Notify: func(e hub.Event) {
		if e.Kind == hub.EventLive {
			live <- struct{}{}
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	srv, err := rtmp.New(rtmp.Config{Addr: "127.0.0.1:0"}, h, log)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- srv.Run(ctx) }()
	defer func() { cancel(); <-served }()

	c := &cloud{t: t, began: time.Now(), messages: make(chan message, 10_000), conns: make(chan *websocket.Conn, 16)}
	web := httptest.NewServer(http.HandlerFunc(c.serve))
	defer web.Close()

	stdin, typed := io.Pipe()
	defer typed.Close()
	result := make(chan error, 1)
	go func() {
		result <- Run(ctx, Options{Server: web.URL, Token: "good"}, stdin, io.Discard)
	}()
	c.accept()
	c.send(`{"type":"start_stream","streamId":"s1","sound":true,"streamUrl":"rtmp://` + srv.Addr().String() + `/live/key"}`)
	c.expect("stream_status s1 initializing")
	c.expect("stream_status s1 connecting")
	c.expect("stream_status s1 streaming")
	select {
	case <-live:
	case <-time.After(10 * time.Second):
		t.Fatal("no pictures arrived")
	}
	rd := st.Run().Subscribe(hub.ReaderOptions{})
	defer rd.Close()

	io.WriteString(typed, "drop 1s\n")
	c.accept()
	for {
		m := c.raw()
		if m.Status == "streaming" && m.Stats.DroppedFrames > 0 {
			break
		}
		if terminal(m.Status) {
			t.Fatalf("after the break: %s", m)
		}
	}

	// Read on until a picture of the second connection, with its sound.
	var frames []*frame.Frame
	kinds := map[frame.Kind]int{}
	for end := time.Now().Add(20 * time.Second); kinds[frame.Video] == 0 || kinds[frame.Audio] == 0; {
		rctx, stop := context.WithDeadline(ctx, end)
		frames, err = rd.Next(rctx, frames[:0])
		stop()
		if err != nil {
			t.Fatalf("reading the stream: %v", err)
		}
		for _, f := range frames {
			if f.Epoch > 1 || f.Epoch == 1 && st.Stats().Publishers == 2 {
				kinds[f.Track.Kind()]++
			}
		}
	}
	if n := st.Stats().Publishers; n != 2 {
		t.Errorf("%d publishers, want 2", n)
	}

	c.send(`{"type":"stop_stream","streamId":"s1"}`)
	for c.raw().Status != "stopped" {
	}
	io.WriteString(typed, "quit\n")
	if err := <-result; err != nil {
		t.Errorf("Run returned %v", err)
	}
}

// A token of another data folder is the usual reason for a refusal: the command
// says how to make the right one.
func TestCommandTeachesTokens(t *testing.T) {
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, `{"type":"connection_error","message":"Invalid core token"}`)
	}))
	defer web.Close()
	err := Run(t.Context(), Options{Server: web.URL, Token: "bad"}, nil, io.Discard)
	if !errors.Is(err, ErrUnauthorized) || !strings.Contains(err.Error(), "Invalid core token; make one with") ||
		!strings.Contains(err.Error(), "--data DIR") {
		t.Errorf("Run returned %v", err)
	}
}

func TestCommandOptions(t *testing.T) {
	for _, tc := range []struct {
		o    Options
		want string
	}{
		{Options{Server: "http://localhost", Token: "x", Prefer: "rtmpt"}, "--prefer rtmpt: rtmp, rtmps, srt or whip"},
		{Options{Server: "http://localhost", Token: "x", CA: "absent.pem"}, "--ca is a PEM file or a SHA-256 fingerprint"},
		{Options{Server: "http://localhost"}, "--token is needed"},
		{Options{Server: "http://localhost", Token: "x", Source: "absent.mp4"}, "absent.mp4"},
		{Options{Server: "rtmp://localhost", Token: "x"}, "http, https, ws or wss"},
	} {
		if err := Run(t.Context(), tc.o, nil, io.Discard); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%+v: %v; want %q", tc.o, err, tc.want)
		}
	}
}
