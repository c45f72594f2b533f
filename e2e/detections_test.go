package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"glimpse/protocol"
	"glimpse/sdk"
)

// shownIn is the first program of a language that one of docs/ shows, at or below a
// heading.
func shownIn(t *testing.T, doc, heading, language string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../docs", doc))
	if err != nil {
		t.Fatal(err)
	}
	_, below, found := strings.Cut("\n"+string(text), "\n"+heading)
	if !found {
		t.Fatalf("docs/%s has no %q", doc, heading)
	}
	_, code, found := strings.Cut(below, "\n```"+language+"\n")
	code, _, closed := strings.Cut(code, "\n```\n")
	if !found || !closed {
		t.Fatalf("docs/%s shows no %s", doc, language)
	}
	return code
}

// documented writes a program that docs/frames.md shows to a file and returns its path.
func documented(t *testing.T, language, name string) string {
	t.Helper()
	code := shownIn(t, "frames.md", "# ", language)
	if n := strings.Count(code, "\n") + 1; n > 25 {
		t.Errorf("the %s client has %d lines", language, n)
	}
	// Below e2e, where its packages are.
	dir, err := os.MkdirTemp(".", "documented-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(code+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if language == "ts" {
		return compiled(t, path)
	}
	return path
}

// sse follows server-sent events whose data is JSON.
func sse(t *testing.T, ctx context.Context, url string) func(into any) {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { res.Body.Close() })
	if res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != "text/event-stream" || res.Header.Get("Access-Control-Allow-Origin") != "*" {
		t.Fatalf("%s: %s, %v", url, res.Status, res.Header)
	}
	lines := bufio.NewScanner(res.Body)
	return func(into any) {
		t.Helper()
		for lines.Scan() {
			if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				if err := json.Unmarshal([]byte(data), into); err != nil {
					t.Fatal(err)
				}
				return
			}
		}
		t.Fatalf("%s ended: %v", url, lines.Err())
	}
}

// The clients that the documentation shows run as they stand there. What they find
// reaches a viewer and another app with all the times of the picture, and an app
// that goes is told.
//
// E51
func TestDocumentedClients(t *testing.T) {
	parallel(t, others)
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Fatal("python3 is missing: run `make deps`")
	}
	const other, otherKey = "com.example.other", "other-api-key-0123456789"
	c := startLooking(t, "  - {package: "+other+", api_key: "+otherKey+", url: \"http://127.0.0.1:9\", permissions: [CAMERA]}\n")
	publishClip(t, c.rtmp+"/live/stream")
	c.wantStatus(c.streamNamed("stream").ID, "live")
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	next := sse(t, ctx, c.url+"/live/stream/detections")
	var hello protocol.FramesHello
	if next(&hello); hello.Type != protocol.TypeHello || hello.Epoch == 0 || hello.SourceWidth != 1280 {
		t.Fatalf("%+v", hello)
	}
	ts := start(t, "the TypeScript client", nil, node(t), documented(t, "ts", "look.mts"), "ws"+strings.TrimPrefix(c.url, "http")+"/live/stream", looker+":"+lookerKey)
	start(t, "the Python client", nil, python, documented(t, "python", "look.py"), c.url+"/live/stream", other+":"+otherKey)
	found := map[string]int{}
	for found[looker] < 5 || found[other] < 5 {
		var d protocol.Detections
		if next(&d); d.Type != protocol.TypeDetections {
			continue
		}
		found[d.App]++
		rtp := hello.RTPBase + uint32(int64(math.Round(d.PTS*90)))
		if d.Epoch != hello.Epoch || d.RTP != rtp || d.Width != 320 || d.Height != 180 || len(d.Detections) != 1 {
			t.Fatalf("%+v; the picture's rtp_ts is %d", d, rtp)
		}
		// Half of the clip is light, whatever the picture.
		if f := d.Detections[0]; f.ClassName != "light" || f.Confidence < 0.2 || f.Confidence > 0.9 || f.CenterX != 160 || f.CenterY != 90 {
			t.Errorf("%+v", f)
		}
		if off := time.Since(time.UnixMilli(int64(d.Wall))); off.Abs() > patience || d.Age <= 0 || d.Age > float64(patience.Milliseconds()) {
			t.Errorf("captured %v ago, age_ms says %.0f", off, d.Age)
		}
	}
	for d, err := range c.live().Detections(ctx) { // with what was found in the last 3 s
		if err != nil || d.App == "" {
			t.Fatalf("%+v, %v", d, err)
		}
		break
	}
	if err := c.live().PostState(ctx, protocol.State{State: protocol.StateRunning, Model: "mean"}); err != nil {
		t.Fatal(err)
	}
	c.wantLooking(t, 2)
	ts.stop()
	for want := []string{protocol.StateRunning, protocol.StateStopped}; len(want) > 0; {
		var s protocol.State
		if next(&s); s.Type == protocol.TypeState && s.App == looker {
			if s.State != want[0] || s.State == protocol.StateRunning && s.Model != "mean" {
				t.Fatalf("%+v, want %s", s, want[0])
			}
			want = want[1:]
		}
	}
}

// compiled is the JavaScript of a TypeScript file, whose types must be right.
func compiled(t *testing.T, path string) string {
	t.Helper()
	tsc := exec.Command(node(t), "node_modules/typescript/bin/tsc", "--strict", "--skipLibCheck", "--module", "nodenext", "--target", "es2022", "--types", "node", path)
	if said, err := tsc.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", path, err, said)
	}
	return strings.TrimSuffix(path, ".mts") + ".mjs"
}

// wantLooking looks for the apps in what the operator is shown: the stream, the
// metrics, the events.
func (c *cloud) wantLooking(t *testing.T, apps int) {
	t.Helper()
	var s struct {
		Stats struct {
			Looking []struct {
				App, Format, State string
				FPS                float64
				Width              int
				Sent               int
			} `json:"frame_subscribers"`
		} `json:"stats"`
	}
	c.api("GET", "/api/v1/streams/"+c.streamNamed("stream").ID, nil, &s)
	if len(s.Stats.Looking) != apps {
		t.Errorf("%+v, want %d apps", s.Stats.Looking, apps)
	}
	for _, l := range s.Stats.Looking {
		if l.App == "" || l.Format != "gray" || l.State != protocol.StateRunning || l.FPS != 5 || l.Width != 320 || l.Sent < 5 {
			t.Errorf("%+v", l)
		}
	}
	_, _, metrics := get(t, c.url+"/metrics")
	for _, want := range []string{fmt.Sprintf("glimpse_frame_subscribers %d\n", apps), "glimpse_frame_decoders 1\n", "glimpse_detection_readers "} {
		if !strings.Contains(string(metrics), want) {
			t.Errorf("the metrics have no %q", want)
		}
	}
	req, _ := http.NewRequestWithContext(t.Context(), "GET", c.url+"/api/v1/events?after=0&type=frames.subscribed", nil)
	req.Header.Set("Authorization", "Bearer "+c.token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	for lines, n := bufio.NewScanner(res.Body), 0; n < apps && lines.Scan(); {
		if strings.Contains(lines.Text(), `"type":"frames.subscribed"`) && strings.Contains(lines.Text(), `"app":"com.example.`) {
			n++
		}
	}
}

// Who may have pictures and post results, and what is refused, each with a code
// and a sentence.
func TestFramesRefused(t *testing.T) {
	parallel(t, others)
	const blind, blindKey = "com.example.blind", "blind-api-key-0123456789"
	c := startLooking(t, "  - {package: "+blind+", api_key: "+blindKey+", url: \"http://127.0.0.1:9\", permissions: [MICROPHONE]}\n")
	ctx := t.Context()
	first := func(l sdk.Live, o sdk.FrameOptions) error {
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		for _, err := range l.Frames(ctx, o) {
			return err
		}
		return ctx.Err()
	}
	live, wrong, other, unknown := c.live(), c.live(), c.live(), c.live()
	wrong.APIKey = "wrong"
	other.Package, other.APIKey = blind, blindKey
	unknown.URL = c.url + "/live/nothing"
	for want, err := range map[error]error{
		sdk.ErrUnauthorized: first(wrong, sdk.FrameOptions{}),
		sdk.ErrPermission:   first(other, sdk.FrameOptions{}),
		sdk.ErrNotFound:     first(unknown, sdk.FrameOptions{}),
	} {
		if !errors.Is(err, want) {
			t.Errorf("%v, want %v", err, want)
		}
	}
	var refused *sdk.Error
	if err := first(live, sdk.FrameOptions{FPS: 31}); !errors.As(err, &refused) || refused.Code != "INVALID_REQUEST" || !strings.Contains(refused.Message, "0.1 to 30") {
		t.Errorf("fps 31: %v", err)
	}
	if err := live.PostDetections(ctx, protocol.Detections{Epoch: 7, PTS: 1}); !errors.As(err, &refused) || refused.Code != "STALE_EPOCH" {
		t.Errorf("an epoch that never was: %v", err)
	}
	if err := wrong.PostDetections(ctx, protocol.Detections{}); !errors.Is(err, sdk.ErrUnauthorized) {
		t.Errorf("post with a wrong key: %v", err)
	}
	for _, path := range []string{"frames", "frames.mjpeg", "frame.jpg"} {
		code, h, body := get(t, c.url+"/live/stream/"+path)
		if code != http.StatusUnauthorized || h.Get("WWW-Authenticate") == "" || !strings.Contains(string(body), `"code":"UNAUTHORIZED"`) {
			t.Errorf("%s without a key: %d %s", path, code, body)
		}
	}
	// The operator may, and is told why there is no picture.
	req, _ := http.NewRequestWithContext(ctx, "GET", c.url+"/live/stream/frame.jpg", nil)
	req.Header.Set("Authorization", "Bearer "+c.token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var p struct{ Code, Detail string }
	if err := json.NewDecoder(res.Body).Decode(&p); err != nil || res.StatusCode != http.StatusServiceUnavailable || p.Code != "NO_VIDEO" || p.Detail == "" {
		t.Errorf("frame.jpg of an idle stream: %s, %+v, %v", res.Status, p, err)
	}
}
