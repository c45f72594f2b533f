package demo

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

const (
	detectorName  = "glimpse-detect"
	detectorGrace = 5 * time.Second // to end by itself when it is told to
	detectorPause = time.Second     // before it is started again
	noDetector    = "No animal detector: glimpse-detect is not beside this program; make demo builds it where there is a C compiler."
	// standing is the stream of the animal detection demo, which ffmpeg or OBS may
	// publish beside the glasses.
	standing = "stream"
)

// findDetector returns the detector's program: the named one, else beside this
// program or in the PATH. Empty when there is none.
func findDetector(named string) string {
	if named != "" {
		return named
	}
	name := detectorName
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	if exe, err := os.Executable(); err == nil {
		if beside := filepath.Join(filepath.Dir(exe), name); isFile(beside) {
			return beside
		}
	}
	path, _ := exec.LookPath(name) // none is an answer too
	return path
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// detector runs the animal detector beside the demo.
type detector struct {
	program string
	key     string // of the app
	listen  string // address of the classifier
	page    *page
}

// run looks at the newest of the pages that come, and at the standing stream,
// until ctx ends. The child ends with it.
func (d *detector) run(ctx context.Context, pages <-chan string) {
	child := func() {}
	defer func() { child() }()
	for {
		select {
		case url := <-pages:
			child()
			child = d.start(ctx, url)
		case <-ctx.Done():
			return
		}
	}
}

// start runs the detector on the stream at url, and again when it ends; the
// function that it returns ends it and waits.
func (d *detector) start(ctx context.Context, url string) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			d.once(ctx, url)
			d.listen = "localhost:0" // perhaps the usual port was taken meanwhile
			select {
			case <-time.After(detectorPause):
			case <-ctx.Done():
			}
		}
	}()
	return func() { cancel(); <-done }
}

// once runs the detector until it or ctx ends.
func (d *detector) once(ctx context.Context, url string) {
	page := strings.TrimRight(url, "/")
	cmd := exec.CommandContext(ctx, d.program, "--package", appPackage, "--listen", d.listen,
		"--watch", page, "--watch", page[:strings.LastIndex(page, "/")+1]+standing)
	cmd.Env = append(os.Environ(), "GLIMPSE_API_KEY="+d.key)
	if runtime.GOOS != "windows" { // there is no such signal
		cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	}
	cmd.WaitDelay = detectorGrace
	out, w := io.Pipe()
	cmd.Stdout, cmd.Stderr = w, w
	go func() {
		if err := cmd.Run(); err != nil && ctx.Err() == nil {
			fmt.Fprintf(w, "glimpse-detect ended: %v\n", err)
		}
		_ = w.Close()
	}()
	d.page.detector(out)
}

// detector passes on what of a detector's words concerns the person at the
// keyboard: where single pictures go, and what is wrong.
func (p *page) detector(out io.Reader) {
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		line := lines.Text()
		for _, beginning := range []string{"Classifier of", "No model", "glimpse-detect"} {
			if strings.HasPrefix(line, beginning) {
				p.print("  " + line)
			}
		}
	}
	_, _ = io.Copy(io.Discard, out) // a line that is too long
}
