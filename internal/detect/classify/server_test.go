package classify

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"image"
	"image/jpeg"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/goleak"

	"glimpse/internal/detect/yolo"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// finder finds a dog as wide as the picture; it waits for hold.
type finder struct {
	began chan int      // the width of each picture that it looks at
	hold  chan struct{} // closed: no waiting
}

func (finder) Name() string { return "test" }
func (finder) Spec() *yolo.Spec {
	return &yolo.Spec{Width: 320, Height: 320, Names: []string{"bird", "cat", "dog"}}
}

func (f finder) Find(ctx context.Context, p image.Image, _ float32) ([]yolo.Box, time.Duration, error) {
	w := p.Bounds().Dx()
	f.began <- w
	select {
	case <-f.hold:
	case <-ctx.Done():
		return nil, 0, ctx.Err()
	}
	return []yolo.Box{{Class: 2, Score: 0.87, X2: float32(w), Y2: 10}}, time.Millisecond, nil
}

func serve(t *testing.T, cfg Config) *websocket.Conn {
	t.Helper()
	cfg.Logger = slog.New(slog.DiscardHandler)
	s := New(cfg)
	web := httptest.NewServer(s)
	t.Cleanup(func() { s.Close(); web.Close() })
	ws, _, err := websocket.Dial(t.Context(), web.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	ws.SetReadLimit(1 << 20)
	t.Cleanup(func() { ws.CloseNow() })
	return ws
}

func send(t *testing.T, ws *websocket.Conn, text string) {
	t.Helper()
	if err := ws.Write(t.Context(), websocket.MessageText, []byte(text)); err != nil {
		t.Fatal(err)
	}
}

func receive(t *testing.T, ws *websocket.Conn) map[string]any {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	_, b, err := ws.Read(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(b, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

func picture(t *testing.T, width int) string {
	t.Helper()
	var b bytes.Buffer
	if err := jpeg.Encode(&b, image.NewRGBA(image.Rect(0, 0, width, 20)), nil); err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(b.Bytes())
}

func request(id, data string) string {
	return fmt.Sprintf(`{"type":"detection_request","image_data":%q,"image_id":%q,"timestamp":1700000000.5}`, data, id)
}

func open() finder {
	f := finder{began: make(chan int, 100), hold: make(chan struct{})}
	close(f.hold)
	return f
}

// The original's messages, field by field.
//
// E12
func TestProtocol(t *testing.T) {
	ws := serve(t, Config{Finder: open(), Confidence: 0.35})
	send(t, ws, request("frame_123", picture(t, 64)))
	m := receive(t, ws)
	d, _ := m["data"].(map[string]any)
	if m["type"] != "detection_response" || d["image_id"] != "frame_123" || m["error"] != nil {
		t.Fatalf("%v", m)
	}
	if p, ok := d["processing_time"].(float64); !ok || p <= 0 || p > 10 {
		t.Errorf("processing_time %v", d["processing_time"])
	}
	if ts, ok := d["timestamp"].(float64); !ok || time.Since(time.UnixMilli(int64(ts*1000))).Abs() > time.Minute {
		t.Errorf("timestamp %v", d["timestamp"])
	}
	if d["width"] != 64.0 || d["height"] != 20.0 || d["model"] != "test" {
		t.Errorf("what is added: %v", d)
	}
	got, _ := json.Marshal(d["detections"])
	const want = `[{"bbox":[0,0,64,10],"center_x":32,"center_y":5,"class_id":16,"class_name":"dog","confidence":0.87}]`
	if string(got) != want {
		t.Errorf("detections %s\nwant %s", got, want)
	}

	send(t, ws, `{"type":"ping","timestamp":1234.5}`)
	if m := receive(t, ws); m["type"] != "pong" || m["timestamp"] != 1234.5 {
		t.Errorf("%v", m)
	}
	send(t, ws, request("frame_124", "data:image/jpeg;base64,"+picture(t, 32)))
	if m := receive(t, ws); m["data"].(map[string]any)["width"] != 32.0 {
		t.Errorf("a data URL: %v", m)
	}
	send(t, ws, `{"type":"detection_request","image_data":"`+picture(t, 8)+`"}`)
	if m := receive(t, ws); m["data"].(map[string]any)["image_id"] != "unknown" {
		t.Errorf("without id: %v", m)
	}
}

// header is a PNG of one size that holds nothing else.
func header(width, height uint32) string {
	b := []byte("\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR")
	b = binary.BigEndian.AppendUint32(b, width)
	b = binary.BigEndian.AppendUint32(b, height)
	b = append(b, 8, 2, 0, 0, 0)
	b = binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b[12:]))
	return base64.StdEncoding.EncodeToString(b)
}

// Everything is answered, what is wrong with a code and a sentence.
func TestRefusals(t *testing.T) {
	ws := serve(t, Config{Finder: open()})
	for _, c := range []struct{ send, kind, id, code string }{
		{`{"type":`, "error", "", codeBadJSON},
		{`[1]`, "error", "", codeBadJSON},
		{`{"type":"hello"}`, "error", "", codeUnknownType},
		{`{}`, "error", "", codeUnknownType},
		{`{"type":"detection_request","image_id":"a"}`, "detection_response", "a", codeNoImage},
		{request("b", "no base64!"), "detection_response", "b", codeBadImage},
		{request("c", base64.StdEncoding.EncodeToString([]byte("no picture"))), "detection_response", "c", codeBadImage},
		{request("d", header(4097, 1)), "detection_response", "d", codeTooLarge},
		{request("e", header(1, 1<<30)), "detection_response", "e", codeTooLarge},
		{request("f", header(4096, 4096)), "detection_response", "f", codeBadImage},
		{request("g", picture(t, 16)), "detection_response", "g", ""},
	} {
		send(t, ws, c.send)
		m := receive(t, ws)
		d, _ := m["data"].(map[string]any)
		code, _ := m["error_code"].(string)
		text, _ := m["error"].(string)
		id, _ := d["image_id"].(string)
		if m["type"] != c.kind || id != c.id || code != c.code || (text == "") != (code == "") {
			t.Errorf("%.60s: %v", c.send, m)
		}
		if c.kind == "detection_response" && code != "" {
			if list, ok := d["detections"].([]any); !ok || len(list) != 0 || d["processing_time"] != 0.0 || d["timestamp"] != 0.0 {
				t.Errorf("%.60s: data %v", c.send, d)
			}
		}
	}
}

// A client that sends faster than pictures are looked at gets one answer for
// each, by id; the oldest that wait are given up.
//
// E19 E20
func TestLateAnswers(t *testing.T) {
	f := finder{began: make(chan int, 100), hold: make(chan struct{})}
	ws := serve(t, Config{Finder: f})
	send(t, ws, request("0", picture(t, 100)))
	<-f.began
	for i := 1; i <= 6; i++ {
		send(t, ws, request(fmt.Sprint(i), picture(t, 100+i)))
	}
	for _, id := range []string{"1", "2"} {
		m := receive(t, ws)
		if m["data"].(map[string]any)["image_id"] != id || m["error_code"] != codeDropped {
			t.Fatalf("want %s dropped: %v", id, m)
		}
	}
	close(f.hold)
	for _, i := range []int{0, 3, 4, 5, 6} {
		d := receive(t, ws)["data"].(map[string]any)
		if d["image_id"] != fmt.Sprint(i) || d["width"] != float64(100+i) {
			t.Errorf("request %d: %v", i, d)
		}
	}
}

// One client's pictures do not go to another, and a stalled one stalls nobody.
func TestClientsAreApart(t *testing.T) {
	f := open()
	s := New(Config{Finder: f, Logger: slog.New(slog.DiscardHandler)})
	web := httptest.NewServer(s)
	defer web.Close()
	defer s.Close()
	var all []*websocket.Conn
	for range maxConnections {
		ws, _, err := websocket.Dial(t.Context(), web.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer ws.CloseNow()
		all = append(all, ws)
	}
	_, resp, err := websocket.Dial(t.Context(), web.URL, nil)
	if err == nil || resp == nil || resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("one connection too many: %v", err)
	}
	for i, ws := range all {
		send(t, ws, request("x", picture(t, 10+i)))
	}
	for i, ws := range all {
		if d := receive(t, ws)["data"].(map[string]any); d["width"] != float64(10+i) {
			t.Errorf("client %d: %v", i, d)
		}
	}
	_, resp, err = websocket.Dial(t.Context(), web.URL, &websocket.DialOptions{HTTPHeader: http.Header{"Origin": {"http://elsewhere.example"}}})
	if err == nil || resp == nil {
		t.Error("a page of another site may connect")
	}
}

func TestWithoutModel(t *testing.T) {
	ws := serve(t, Config{Missing: "ONNX Runtime is missing: do this"})
	send(t, ws, request("a", picture(t, 16)))
	m := receive(t, ws)
	if m["error_code"] != codeNoModel || m["error"] != "ONNX Runtime is missing: do this" || m["data"].(map[string]any)["image_id"] != "a" {
		t.Errorf("%v", m)
	}
}

func TestTooLongAMessage(t *testing.T) {
	ws := serve(t, Config{Finder: open()})
	send(t, ws, request("a", strings.Repeat("A", maxMessage)))
	if _, _, err := ws.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusMessageTooBig {
		t.Errorf("%v", err)
	}
}

func FuzzTake(f *testing.F) {
	f.Add([]byte(`{"type":"detection_request","image_data":"aGVsbG8=","image_id":"a"}`))
	f.Add([]byte(`{"type":"detection_request","image_data":"data:image/png;base64,` + header(4, 4) + `"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var m message
		if json.Unmarshal(b, &m) != nil {
			return
		}
		began := make(chan int, 1)
		hold := make(chan struct{})
		close(hold)
		s := New(Config{Finder: finder{began: began, hold: hold}, Logger: slog.New(slog.DiscardHandler)})
		if m.ImageID == nil {
			m.ImageID = json.RawMessage("0")
		}
		r := s.answer(t.Context(), &m)
		if _, err := json.Marshal(r); err != nil || (r.Error == "") != (r.ErrorCode == "") || !slices.Equal(r.Data.ImageID, m.ImageID) {
			t.Errorf("%+v, %v", r, err)
		}
	})
}
