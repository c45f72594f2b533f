package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// answer is one of the classifier's.
type answer struct {
	Type, Error string
	Code        string `json:"error_code"`
	Timestamp   float64
	Data        struct {
		ID         string `json:"image_id"`
		Width      int
		Detections []struct {
			ClassID   int    `json:"class_id"`
			ClassName string `json:"class_name"`
			BBox      [4]float64
		}
	}
	Failed string
}

// classify runs the demo's client and returns what it was answered.
func classify(t *testing.T, url, picture string, count int) (list []answer) {
	t.Helper()
	out, err := exec.Command(node(t), "apps/classifier.mjs", url, picture, fmt.Sprint(count)).Output()
	for line := range strings.Lines(string(out)) {
		var a answer
		if err := json.Unmarshal([]byte(line), &a); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		list = append(list, a)
	}
	if err != nil && (len(list) != 1 || list[0].Failed == "") {
		t.Fatalf("the client: %v\n%s", err, out)
	}
	return list
}

// clipJPEG is one picture of the clip, as the demo's client sends it.
func clipJPEG(t *testing.T, number int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "picture.jpg")
	cmd := exec.Command("ffmpeg", "-v", "error", "-i", "../internal/glasses/clip/clip.mp4", "-vf", fmt.Sprintf(`select=eq(n\,%d)`, number), "-frames:v", "1", path)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return path
}

// A client that speaks the demo's protocol gets one answer for each request, with
// its id, also when it asks faster than the model looks; what is answered is right.
//
// E12 E14 E27 E51
func TestClassifier(t *testing.T) {
	parallel(t, others)
	_, url := startDetector(t)
	const number, count = 30, 40
	truth := clipTruth(t)[number]
	ids, looked := map[string]bool{}, 0
	for _, a := range classify(t, url, clipJPEG(t, number), count) {
		switch {
		case a.Type == "pong" && a.Timestamp == 1, a.Type == "error" && a.Code == "bad_json":
			continue
		case a.Type != "detection_response" || ids[a.Data.ID]:
			t.Errorf("%+v", a)
			continue
		}
		ids[a.Data.ID] = true
		if a.Code == "dropped" {
			continue
		}
		looked++
		if a.Code != "" || a.Data.Width != 1280 || len(a.Data.Detections) < 3 {
			t.Fatalf("%+v", a)
		}
		for _, d := range a.Data.Detections {
			right := false
			for _, b := range truth {
				box := b.box()
				found := box
				found.X1, found.Y1, found.X2, found.Y2 = float32(d.BBox[0]), float32(d.BBox[1]), float32(d.BBox[2]), float32(d.BBox[3])
				right = right || b.ClassID == d.ClassID && box.IoU(found) >= 0.5
			}
			if !right {
				t.Errorf("%s: %s at %v is not there", a.Data.ID, d.ClassName, d.BBox)
			}
		}
	}
	if len(ids) != count || looked < 5 || !ids["frame_0"] || !ids[fmt.Sprintf("frame_%d", count-1)] {
		t.Errorf("%d requests answered, %d looked at", len(ids), looked)
	}

	// A port on which nobody listens, and one on which another does.
	port := freePort(t)
	if a := classify(t, fmt.Sprintf("ws://127.0.0.1:%d", port), clipJPEG(t, 0), 1); !strings.Contains(a[0].Failed, "ECONNREFUSED") {
		t.Errorf("nobody listens: %+v", a)
	}
	second := exec.Command(detectorBinary(t), "--listen", strings.TrimPrefix(url, "ws://"), "--runtime", onnxRuntime(t))
	if out, err := second.CombinedOutput(); err == nil || !strings.Contains(string(out), "another program listens on") || !strings.Contains(string(out), "--listen") {
		t.Errorf("a taken port: %v\n%s", err, out)
	}
}

// Without the library everything runs, and everybody is told what is missing; a
// model that is none stops the start.
//
// E25 E29
func TestDetectorWithoutLibrary(t *testing.T) {
	parallel(t, browsers)
	c := startLooking(t, "")
	det, url := startDetector(t, "--runtime", filepath.Join(t.TempDir(), "none.so"), "--watch", c.url+"/live/stream", "--debug")
	defer os.Remove("debug.log")
	det.waitLine("Detector: model missing: ONNX Runtime is missing", 0)
	if !strings.Contains(det.tail(50), "scripts/onnxruntime.sh") {
		t.Errorf("it does not say what to do: %s", det.tail(50))
	}
	if b, err := os.ReadFile("debug.log"); err != nil || !strings.Contains(string(b), "level=INFO") {
		t.Errorf("debug.log: %v\n%s", err, b)
	}
	for _, a := range classify(t, url, clipJPEG(t, 0), 1) {
		if a.Type == "detection_response" && a.Code != "model_missing" {
			t.Errorf("%+v", a)
		}
	}
	b := startBrowser(t)
	b.do(nil, "open", "page", c.url+"/live/stream/detect")
	b.waitPlayer("page", "glimpse.detector === 'model_missing'")
	var text string
	b.do(&text, "text", "page")
	if !containsAll(text, "No model", "ONNX Runtime is missing") {
		t.Errorf("the page says: %s", text)
	}

	bad := exec.Command(detectorBinary(t), "--model", "doc.go", "--runtime", onnxRuntime(t), "--listen", "")
	if out, err := bad.CombinedOutput(); err == nil || !strings.Contains(string(out), "this model cannot be used") {
		t.Errorf("a file that is no model: %v\n%s", err, out)
	}
}
