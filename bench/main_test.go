package main

import (
	"bufio"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// asMain is what makes this program the benchmark itself.
const asMain = "BENCH_AS_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(asMain) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// Who ends a run by SIGTERM, or by Ctrl-C, finds no server left, and no folder.
func TestServerEndsWithTheRun(t *testing.T) {
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(signal.String(), func(t *testing.T) {
			folder := t.TempDir()
			server := filepath.Join(folder, "server") // it says who it is, and is never ready
			if err := os.WriteFile(server, []byte("#!/bin/sh\necho $$ >&2\necho http://127.0.0.1:1\nexec sleep 60\n"), 0o700); err != nil {
				t.Fatal(err)
			}
			temporary := t.TempDir()
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-server", server, "-only", "idle", "-rounds", "1")
			cmd.Env = append(os.Environ(), asMain+"=1", "TMPDIR="+temporary)
			said, err := cmd.StderrPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			lines := bufio.NewScanner(said)
			pid := 0
			for pid == 0 && lines.Scan() {
				pid, _ = strconv.Atoi(strings.TrimSpace(lines.Text()))
			}
			if pid == 0 {
				t.Fatal("no server was started")
			}
			_ = cmd.Process.Signal(signal)
			_, _ = io.Copy(io.Discard, said)
			_ = cmd.Wait()
			if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
				_ = syscall.Kill(pid, syscall.SIGKILL)
				t.Errorf("the server outlives the run: %v", err)
			}
			if left, err := os.ReadDir(temporary); err != nil || len(left) > 0 {
				t.Errorf("left behind: %v, %v", left, err)
			}
		})
	}
}
