package frames

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"image/jpeg"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"glimpse/internal/memnet"
	"glimpse/protocol"
)

// served is a studio behind HTTP with one decoder that draws ten pictures a second.
func served(t *testing.T, f func(t *testing.T, s *studio, client *http.Client)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		e := newEasel()
		s := newStudio(t, Config{Decoder: e})
		s.live(t)
		drawn := make(chan struct{})
		go func() {
			defer close(drawn)
			for c := range e.news {
				for pts := time.Duration(0); !c.gone(); time.Sleep(100 * time.Millisecond) {
					pts += 100 * time.Millisecond
					c.draw(pts)
				}
			}
		}()
		mux := http.NewServeMux()
		s.Register(mux)
		wire := memnet.New(8)
		server := &http.Server{Handler: mux, ConnContext: WithConn}
		over := make(chan struct{})
		go func() {
			defer close(over)
			_ = server.Serve(wire)
		}()
		transport := &http.Transport{DialContext: wire.Dial}
		f(t, s, &http.Client{Transport: transport})
		s.Close()
		close(e.news)
		<-drawn
		transport.CloseIdleConnections()
		_ = server.Close()
		_ = wire.Close()
		<-over
		time.Sleep(time.Second) // net/http's own goodbyes
	})
}

func dial(t *testing.T, client *http.Client, query string) *websocket.Conn {
	t.Helper()
	ws, _, err := websocket.Dial(t.Context(), "ws://cloud.test/live/p/frames?"+query, &websocket.DialOptions{HTTPClient: client, HTTPHeader: http.Header{"App": {"com.example.looks"}}})
	if err != nil {
		t.Fatal(err)
	}
	ws.SetReadLimit(8 << 20)
	return ws
}

// receive reads a message; a picture's bytes are behind its header.
func receive(t *testing.T, ws *websocket.Conn, into any) (kind string, data []byte) {
	t.Helper()
	k, b, err := ws.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if k == websocket.MessageBinary {
		end := 4 + binary.BigEndian.Uint32(b)
		b, data = b[4:end], b[end:]
	}
	var head struct{ Type string }
	if err := errors.Join(json.Unmarshal(b, &head), json.Unmarshal(b, into)); err != nil {
		t.Fatalf("%s: %v", b, err)
	}
	return head.Type, data
}

// A websocket: hello, state, pictures; results and their refusals on the same.
func TestSocket(t *testing.T) {
	served(t, func(t *testing.T, s *studio, client *http.Client) {
		ws := dial(t, client, "fps=5&width=320&format=rgb")
		defer func() { _ = ws.CloseNow() }()
		var any struct {
			protocol.FrameHeader
			State   string
			Code    string
			Message string
		}
		var kinds []string
		for range 4 {
			any.State = ""
			kind, data := receive(t, ws, &any)
			kinds = append(kinds, kind)
			if kind == "frame" && (len(data) != 320*180*3 || any.Format != "rgb" || any.Age < 0 || any.Age > 1000) {
				t.Errorf("%+v, %d bytes", any.FrameHeader, len(data))
			}
		}
		if got := strings.Join(kinds, " "); got != "hello status status frame" && got != "hello status frame frame" {
			t.Errorf("%s", got)
		}
		r := s.read(t)
		told(t, r)
		for body, code := range map[string]string{`{"pts_ms":100,"detections":[]}`: "", `{"pts_ms":-1}`: "INVALID_REQUEST", `{"epoch":99,"pts_ms":1}`: "STALE_EPOCH"} {
			if err := ws.Write(t.Context(), websocket.MessageText, []byte(body)); err != nil {
				t.Fatal(err)
			}
			for kind := ""; code != "" && kind != "error"; {
				if kind, _ = receive(t, ws, &any); kind == "error" && (any.Code != code || any.Message == "") {
					t.Errorf("%s: %+v", body, any)
				}
			}
			synctest.Wait()
		}
		if list := told(t, r); len(list) != 1 || list[0]["app"] != "com.example.looks" {
			t.Errorf("%v", list)
		}
		r.Close()
		// The server goes: it says so.
		go s.Close()
		for kind := ""; kind != "status" || any.State != protocol.StateStopped; {
			kind, _ = receive(t, ws, &any)
		}
		if _, _, err := ws.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusNormalClosure {
			t.Errorf("the end: %v", err)
		}
	})
}

// A subscriber that reads nothing is cut off after 10 s; another one, and whoever
// reads slowly but reads, are not.
func TestStalledSocket(t *testing.T) {
	served(t, func(t *testing.T, s *studio, client *http.Client) {
		stalled, well := dial(t, client, "fps=10&width=320"), dial(t, client, "fps=10&width=320")
		defer func() { _, _ = stalled.CloseNow(), well.CloseNow() }()
		var h protocol.FrameHeader
		pictures, dropped := 0, uint64(0)
		for begun := time.Now(); time.Since(begun) < 15*time.Second; {
			h.Dropped = 0
			if kind, _ := receive(t, well, &h); kind == "frame" {
				pictures++
				dropped += h.Dropped
			}
		}
		synctest.Wait()
		if st := s.Stats(); st.Subscribers != 1 || pictures < 140 || dropped != 0 {
			t.Errorf("%d pictures to the other, %d dropped, %+v", pictures, dropped, st)
		}
		time.Sleep(2 * time.Second) // slow, not dead
		for range 10 {
			receive(t, well, &h)
		}
		if s.Stats().Subscribers != 1 {
			t.Error("a slow subscriber was cut off")
		}
	})
}

// The same without a websocket, pictures only, and one picture.
func TestParts(t *testing.T) {
	served(t, func(t *testing.T, _ *studio, client *http.Client) {
		for path, want := range map[string]string{
			"frames?fps=5&width=64&format=gray": "application/json application/json application/octet-stream",
			"frames.mjpeg?fps=5&width=64":       "image/jpeg image/jpeg image/jpeg",
		} {
			res, err := client.Get("http://cloud.test/live/p/" + path)
			if err != nil {
				t.Fatal(err)
			}
			_, params, err := mime.ParseMediaType(res.Header.Get("Content-Type"))
			if err != nil || res.Header.Get("Cache-Control") != "no-store" {
				t.Fatalf("%v, %v", res.Header, err)
			}
			parts := multipart.NewReader(res.Body, params["boundary"])
			var kinds []string
			for len(kinds) < 3 {
				p, err := parts.NextRawPart()
				if err != nil {
					t.Fatal(err)
				}
				b, err := io.ReadAll(p)
				if err != nil {
					t.Fatal(err)
				}
				kind := p.Header.Get("Content-Type")
				var h protocol.FrameHeader
				if kind == "application/json" && len(kinds) == 2 {
					continue // another state
				}
				if kinds = append(kinds, kind); kind == "application/json" {
					continue
				}
				if err := json.Unmarshal([]byte(p.Header.Get("X-Frame")), &h); err != nil || h.Width != 64 || h.Height != 36 || kind != "image/jpeg" && len(b) != 64*36 {
					t.Errorf("%s: %+v, %d bytes, %v", path, h, len(b), err)
				}
			}
			if got := strings.Join(kinds, " "); got != want {
				t.Errorf("%s: %s", path, got)
			}
			_ = res.Body.Close()
		}
		res, err := client.Get("http://cloud.test/live/p/frame.jpg?width=64")
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		if img, err := jpeg.Decode(res.Body); err != nil || img.Bounds().Dx() != 64 || res.Header.Get("X-Frame") == "" {
			t.Errorf("frame.jpg: %v, %v", err, res.Header)
		}
	})
}

// A reader of results that takes nothing is cut off, and one that is there hears
// something at least every 10 s.
func TestEventStream(t *testing.T) {
	served(t, func(t *testing.T, s *studio, client *http.Client) {
		open := func() *http.Response {
			t.Helper()
			res, err := client.Get("http://cloud.test/live/p/detections")
			if err != nil || res.Header.Get("Content-Type") != "text/event-stream" {
				t.Fatal(err)
			}
			return res
		}
		stalled, well := open(), open()
		lines := bufio.NewReader(well.Body)
		var last time.Time
		for begun := time.Now(); time.Since(begun) < 25*time.Second; {
			if _, err := lines.ReadString('\n'); err != nil {
				t.Fatal(err)
			}
			if gap := time.Since(last); !last.IsZero() && gap > 10*time.Second {
				t.Errorf("nothing for %v", gap)
			}
			last = time.Now()
		}
		synctest.Wait()
		if n := s.Stats().Readers; n != 1 {
			t.Errorf("%d readers, one of them reads", n)
		}
		_, _ = stalled.Body.Close(), well.Body.Close()
		res, err := client.Post("http://cloud.test/live/p/detections", "application/json", strings.NewReader(strings.Repeat(" ", maxPost+1)))
		if err != nil || res.StatusCode != http.StatusRequestEntityTooLarge {
			t.Fatalf("a long body: %v, %v", res, err)
		}
		_ = res.Body.Close()
		if res, err = client.Get("http://cloud.test/live/nobody/detections"); err != nil || res.StatusCode != http.StatusNotFound {
			t.Fatalf("%v, %v", res, err)
		}
		_ = res.Body.Close()
	})
}
