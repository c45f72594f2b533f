package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"glimpse/internal/detect/score"
	"glimpse/internal/detect/yolo"
	"glimpse/protocol"
)

// detectorBinary builds glimpse-detect, which needs the C compiler and the library
// that make deps installs.
func detectorBinary(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "glimpse-detect")
	cmd := exec.Command("go", "build", "-o", path, "glimpse/cmd/glimpse-detect")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build glimpse-detect: %v\n%s", err, out)
	}
	return path
}

func onnxRuntime(t *testing.T) string {
	t.Helper()
	found, _ := filepath.Glob("../.cache/onnxruntime/*onnxruntime*")
	if len(found) == 0 {
		t.Fatal("there is no ONNX Runtime in .cache: run make deps")
	}
	path, err := filepath.Abs(found[0])
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// startDetector runs the detector as the app that may look.
func startDetector(t *testing.T, flags ...string) (p *process, classifier string) {
	t.Helper()
	env := []string{"GLIMPSE_API_KEY=" + lookerKey, "GLIMPSE_ONNXRUNTIME=" + onnxRuntime(t)}
	argv := append([]string{detectorBinary(t), "--package", looker, "--listen", "127.0.0.1:0"}, flags...)
	p = start(t, "glimpse-detect", env, argv...)
	m, _ := p.waitLine(`Classifier of single pictures: (ws://\S+)`, 0)
	return p, m[1]
}

// clipTruth is what is in the clip's pictures: boxes by number of the picture.
func clipTruth(t *testing.T) [][]truthBox {
	t.Helper()
	b, err := os.ReadFile("../internal/glasses/clip/testdata/clip.truth.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Data []struct{ Boxes []truthBox }
	}
	if err := json.Unmarshal(b, &file); err != nil || len(file.Data) != clipFrames {
		t.Fatalf("%d pictures, %v", len(file.Data), err)
	}
	list := make([][]truthBox, clipFrames)
	for i, d := range file.Data {
		list[i] = d.Boxes
	}
	return list
}

type truthBox struct {
	ClassID int `json:"class_id"`
	BBox    [4]float32
	Visible float64
}

func (b truthBox) box() yolo.Box {
	return yolo.Box{Class: b.ClassID, X1: b.BBox[0], Y1: b.BBox[1], X2: b.BBox[2], Y2: b.BBox[3]}
}

// judge puts a result beside the truth.
func judge(truth []truthBox, d protocol.Detections) score.Picture {
	var p score.Picture
	for _, b := range truth {
		if b.Visible >= 0.5 {
			p.Truth = append(p.Truth, b.box())
		} else {
			p.Ignored = append(p.Ignored, b.box())
		}
	}
	for _, f := range d.Detections {
		p.Found = append(p.Found, yolo.Box{
			Class: f.ClassID, Score: float32(f.Confidence),
			X1: float32(f.BBox[0]), Y1: float32(f.BBox[1]), X2: float32(f.BBox[2]), Y2: float32(f.BBox[3]),
		})
	}
	slices.SortStableFunc(p.Found, func(a, b yolo.Box) int { return int(1e4*b.Score) - int(1e4*a.Score) })
	return p
}

// A publisher, the server, the detector, another app that follows its results:
// what it finds is right, and comes soon, in little memory and little time. Not in
// parallel: a neighbour's pictures would be among what is late.
//
// E1 E3 E15 E22 E23 E24 E33 E51
func TestDetector(t *testing.T) {
	alone(t)
	c := startLooking(t, "")
	det, _ := startDetector(t, "--watch", c.url+"/live/stream")
	det.waitLine("Detector: no video", 0)
	publishClip(t, c.rtmp+"/live/stream")
	det.waitLine("Detector: running", 0)

	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	truth := clipTruth(t)
	var pictures []score.Picture
	var ages []time.Duration
	begun, cpu := time.Now(), cpuTime(t, c.process, det)
	for d, err := range c.live().Detections(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		ages = append(ages, time.Duration(d.Age*float64(time.Millisecond))) // from the picture's arrival
		if d.Width != 1280 || d.Height != 720 || d.App != looker {
			t.Fatalf("%+v", d)
		}
		pts := time.Duration(d.PTS * float64(time.Millisecond))
		if pictures = append(pictures, judge(truth[clipPicture(pts)], d)); len(pictures) == clipFrames/3 {
			break
		}
	}
	took, used := time.Since(begun), cpuTime(t, c.process, det)-cpu
	if len(pictures) < clipFrames/3 {
		t.Fatalf("%d results: %s", len(pictures), det.tail(20))
	}
	got := score.Count(pictures, 0, false)
	slices.Sort(ages)
	p95 := ages[len(ages)*95/100]
	memory := residentMemory(t, c.process, det)
	t.Logf("precision %.3f, recall %.3f; camera to box p50 %v p95 %v; %.1f results a second; %.1f %% of a core, %d MiB",
		got.Precision(), got.Recall(), ages[len(ages)/2], p95, float64(len(pictures))/took.Seconds(), 100*used.Seconds()/took.Seconds(), memory>>20)
	if got.Precision() < 0.90 || got.Recall() < 0.80 {
		t.Errorf("precision %.3f, recall %.3f; at least 0.90 and 0.80", got.Precision(), got.Recall())
	}
	if p95 > 500*time.Millisecond {
		t.Errorf("from the camera to the box: %v (p95), at most 500 ms", p95)
	}
	if memory > 500<<20 {
		t.Errorf("%d MiB of memory, at most 500", memory>>20)
	}
	if share := used.Seconds() / took.Seconds(); share > 0.5 {
		t.Errorf("%.0f %% of a core, at most 50", 100*share)
	}

	// E21: it ends when it is told to.
	det.signalled(syscall.SIGTERM)
}

// family is a process and its children, of which ffmpeg is one.
func family(t *testing.T, processes ...*process) (pids []int) {
	t.Helper()
	if runtime.GOOS != "linux" {
		return nil
	}
	for _, p := range processes {
		pids = append(pids, p.cmd.Process.Pid)
		tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", p.cmd.Process.Pid))
		for _, f := range tasks {
			b, _ := os.ReadFile(f) // a thread that has ended has none
			for _, child := range strings.Fields(string(b)) {
				var pid int
				fmt.Sscan(child, &pid)
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

// cpuTime is how much the processes and their children have computed.
func cpuTime(t *testing.T, processes ...*process) (sum time.Duration) {
	t.Helper()
	for _, pid := range family(t, processes...) {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			continue // a child that has just ended
		}
		fields := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+2:]))
		var user, system time.Duration
		fmt.Sscan(fields[11]+" "+fields[12], &user, &system)
		sum += (user + system) * (time.Second / 100) // the kernel's ticks
	}
	return sum
}

// residentMemory is what they have in memory, in bytes.
func residentMemory(t *testing.T, processes ...*process) (sum int64) {
	t.Helper()
	for _, pid := range family(t, processes...) {
		b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		for line := range strings.Lines(string(b)) {
			var kib int64
			if n, _ := fmt.Sscanf(line, "VmRSS: %d kB", &kib); n == 1 {
				sum += kib << 10
			}
		}
	}
	return sum
}

// As an app: a wearer who starts it goes live, the glasses show what is seen, and
// the app's end is the stream's.
//
// E1 E13 E32 E35
func TestDetectorAsApp(t *testing.T) {
	parallel(t, others)
	port := freePort(t)
	c := startCloud(t, fmt.Sprintf("users: [{id: me@example.com}]\napps:\n  - {package: %s, api_key: %s, url: \"http://127.0.0.1:%d\", permissions: [CAMERA]}\n", looker, lookerKey, port))
	det, _ := startDetector(t, "--webhook", fmt.Sprintf("127.0.0.1:%d", port), "--cloud", c.url)
	det.waitLine("its webhook is", 0)
	glasses := c.startGlasses(t, "me@example.com")
	const app = "/api/v1/users/me@example.com/apps/" + looker
	if code := c.api("POST", app+"/start", nil, nil); code >= 300 {
		t.Fatalf("start: %d", code)
	}
	glasses.waitLine("👀.*(dog|cat|cow|elephant|giraffe|horse|sheep|bird|bear|zebra)", 0)
	if code := c.api("POST", app+"/stop", nil, nil); code >= 300 {
		t.Fatalf("stop: %d", code)
	}
	glasses.waitLine("recording light off", 0)
}
