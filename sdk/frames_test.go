package sdk

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"glimpse/internal/memnet"
	"glimpse/protocol"
)

// watched runs f with a stream whose requests a handler answers, on fake time.
func watched(t *testing.T, answer http.HandlerFunc, f func(t *testing.T, l Live)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		wire := memnet.New(8)
		server := &http.Server{Handler: answer}
		served := make(chan struct{})
		go func() {
			defer close(served)
			_ = server.Serve(wire)
		}()
		transport := &http.Transport{DialContext: wire.Dial}
		f(t, Live{URL: "http://cloud.test/live/p1/", Package: "com.example.looks", APIKey: "secret", HTTPClient: &http.Client{Transport: transport}})
		transport.CloseIdleConnections()
		_ = server.Close()
		_ = wire.Close()
		<-served
	})
}

// message is a binary message with a gray picture of 2x1.
func message(seq uint64, pts time.Duration, dropped int) []byte {
	head := fmt.Sprintf(`{"type":"frame","seq":%d,"epoch":3,"pts_ms":%v,"rtp_ts":77,"wall_ms":1000.5,"age_ms":9.25,"dropped":%d,"width":2,"height":1,"format":"gray"}`,
		seq, float64(pts)/1e6, dropped)
	b := binary.BigEndian.AppendUint32(nil, uint32(len(head)))
	return append(append(b, head...), byte(seq), 200)
}

const helloText = `{"type":"hello","stream":"p1","epoch":3,"source_width":1280,"source_height":720}`

// Pictures are read with their times; a connection that ends is made again, sooner
// when it had worked; what waits while the loop is busy is replaced and counted.
func TestFrames(t *testing.T) {
	var connections atomic.Int32
	next := make(chan struct{})
	watched(t, func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		if r.URL.String() != "/live/p1/frames?format=gray&fps=2.5&width=2" || user != "com.example.looks" || password != "secret" {
			t.Errorf("%s by %s", r.URL, user)
		}
		n := connections.Add(1)
		if n == 2 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		ws, err := websocket.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = ws.CloseNow() }()
		send := func(kind websocket.MessageType, b []byte) { _ = ws.Write(r.Context(), kind, b) }
		send(websocket.MessageText, []byte(helloText))
		send(websocket.MessageText, []byte(`{"type":"status","state":"running"}`))
		send(websocket.MessageBinary, message(uint64(n), 27066666667, 2))
		if n == 3 {
			<-next
			for i := range uint64(4) {
				send(websocket.MessageBinary, message(10+i, time.Duration(i)*time.Second, 0))
			}
			<-next
		}
	}, func(t *testing.T, l Live) {
		var states []string
		o := FrameOptions{FPS: 2.5, Width: 2, Format: Gray, OnState: func(s protocol.State) { states = append(states, s.State) }}
		begun, count := time.Now(), 0
		for f, err := range l.Frames(t.Context(), o) {
			if err != nil {
				t.Fatal(err)
			}
			switch count++; count {
			case 1:
				if f.Seq != 1 || f.Epoch != 3 || f.PTS != 27066666667 || f.RTP != 77 || f.Age != 9250*time.Microsecond || f.Dropped != 2 ||
					f.Source.X != 1280 || !f.Wall.Equal(time.UnixMicro(1000500)) || len(f.Data) != 2 || f.Data[0] != 1 {
					t.Errorf("%+v", f)
				}
				img, err := f.Image()
				if err != nil || img.Bounds().Dx() != 2 {
					t.Errorf("%v, %v", img, err)
				}
			case 2:
				if d := time.Since(begun); f.Seq != 3 || d != 3*time.Second { // after 1 s refused, 2 s later taken
					t.Errorf("picture %d after %v", f.Seq, d)
				}
				close(next)
				synctest.Wait() // four come meanwhile
			case 3:
				if f.Seq != 13 || f.Dropped != 3 {
					t.Errorf("after a busy time: %+v", f)
				}
			}
			if count == 3 {
				break
			}
		}
		if got := strings.Join(states, " "); got != "running starting starting running" {
			t.Errorf("states: %s", got)
		}
	})
}

type refusedCase struct {
	status int
	body   string
	want   error
}

// What is of no use to ask for again is the loop's last word.
func TestFramesRefused(t *testing.T) {
	for _, c := range []refusedCase{
		{http.StatusUnauthorized, `{"code":"INVALID_API_KEY","detail":"Invalid API key"}`, ErrUnauthorized},
		{http.StatusForbidden, `{"code":"PERMISSION_DENIED","detail":"x"}`, ErrPermission},
		{http.StatusNotFound, `{"code":"STREAM_NOT_FOUND","detail":"x"}`, ErrNotFound},
	} {
		watched(t, func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(c.status)
			_, _ = io.WriteString(w, c.body)
		}, func(t *testing.T, l Live) {
			n := 0
			for _, err := range l.Frames(t.Context(), FrameOptions{}) {
				if n++; !errors.Is(err, c.want) {
					t.Errorf("%v, want %v", err, c.want)
				}
			}
			for _, err := range l.Detections(t.Context()) {
				if n++; !errors.Is(err, c.want) {
					t.Errorf("detections: %v, want %v", err, c.want)
				}
			}
			if err := l.PostDetections(t.Context(), protocol.Detections{}); !errors.Is(err, c.want) || n != 2 {
				t.Errorf("post: %v, want %v; %d words", err, c.want, n)
			}
		})
	}
}

// Results go out in as many requests as it takes, and come back from the event
// stream, which is made again when it ends.
func TestDetections(t *testing.T) {
	var posted []int
	var reads atomic.Int32
	watched(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			var list []protocol.Detections
			if err := json.NewDecoder(r.Body).Decode(&list); err != nil || list[0].Type != protocol.TypeDetections {
				t.Errorf("%+v, %v", list, err)
			}
			posted = append(posted, len(list))
			w.WriteHeader(http.StatusNoContent)
			return
		}
		n := reads.Add(1)
		_, _ = fmt.Fprintf(w, "data: %s\n\n:\n\ndata: {\"type\":\"detections\",\"seq\":%d,\"pts_ms\":1,\"detections\":[]}\n\n", helloText, n)
	}, func(t *testing.T, l Live) {
		f := Frame{Epoch: 3, PTS: 1500 * time.Microsecond, Width: 320, Height: 180}
		if r := f.Result(); r.Epoch != 3 || r.PTS != 1.5 || r.Width != 320 {
			t.Errorf("%+v", r)
		}
		if err := l.PostDetections(t.Context(), slices.Repeat([]protocol.Detections{f.Result()}, 100)...); err != nil || !slices.Equal(posted, []int{64, 36}) {
			t.Errorf("%v, %v", posted, err)
		}
		var seen []uint64
		for d, err := range l.Detections(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			if seen = append(seen, d.Seq); len(seen) == 3 {
				break
			}
		}
		if !slices.Equal(seen, []uint64{1, 2, 3}) {
			t.Error(seen)
		}
	})
}

// A managed stream's pictures end with it.
func TestFramesOfStream(t *testing.T) {
	got := make(chan *Session, 1)
	run(t, idle(got), func(t *testing.T, c *cloud) {
		k := c.start()
		s := <-got
		go func() {
			k.expect("managed_stream_request")
			k.send(activeStatus)
		}()
		st, err := s.StartManaged(t.Context(), ManagedOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if l := st.Live(); l.URL != st.URLs().Preview || l.Package == "" || l.APIKey == "" {
			t.Errorf("%+v", l)
		}
		over := make(chan struct{})
		begun := func(ctx context.Context) iter.Seq2[int, error] {
			return func(yield func(int, error) bool) {
				yield(1, nil)
				<-ctx.Done()
			}
		}
		go func() {
			defer close(over)
			for range alive(t.Context(), st, begun) {
				k.send(strings.Replace(activeStatus, `"active"`, `"stopped"`, 1))
			}
		}()
		<-over
	})
}

func TestLiveAddress(t *testing.T) {
	for url, want := range map[string]string{
		"http://h:1/live/p":             "http://h:1/live/p/frames?",
		"https://h/live/p/index.m3u8?x": "https://h/live/p/frames?",
		"http://h/live/a%2Fb/":          "http://h/live/a%2Fb/frames?",
		"rtmp://h/live/p":               "",
		"http://h/watch/p":              "",
		"http://h/live/":                "",
		"":                              "",
	} {
		got, err := Live{URL: url}.at("frames", nil)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v", url, got, err)
		}
	}
}

func FuzzFrame(f *testing.F) {
	f.Add(message(1, time.Second, 0))
	f.Add([]byte{0, 0, 0, 2, '{', '}'})
	f.Fuzz(func(t *testing.T, b []byte) {
		fr, err := parseFrame(b)
		if err != nil {
			return
		}
		if fr.Format != JPEG {
			_, _ = fr.Image()
		}
	})
}
