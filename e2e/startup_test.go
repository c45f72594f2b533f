package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// ended runs the program to its end.
func ended(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, problems bytes.Buffer
	cmd := exec.CommandContext(t.Context(), binary, args...)
	cmd.Stdout, cmd.Stderr = &out, &problems
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), problems.String()
}

// configFile writes a configuration with a data folder of its own and more.
func configFile(t *testing.T, more string) (path string) {
	t.Helper()
	dir := t.TempDir()
	path = filepath.Join(dir, "glimpse.yaml")
	if err := os.WriteFile(path, []byte(fmt.Sprintf("data_dir: %s\n%s", filepath.Join(dir, "data"), more)), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// A second server on the same data folder says who has it, and the first one
// does not mind.
func TestTwoServersOneFolder(t *testing.T) {
	parallel(t, others)
	c := startCloud(t, "")
	code, stdout, stderr := ended(t, "serve", "--config", c.config)
	want := fmt.Sprintf("already running (pid %d)", c.cmd.Process.Pid)
	if code != 1 || stdout != "" || !strings.Contains(stderr, want) || strings.Count(stderr, "\n") != 1 {
		t.Errorf("exit %d, stdout %q, stderr %q; want 1 and %q", code, stdout, stderr, want)
	}
	fetchOK(t, c.url+"/readyz")
}

// A configuration that is not right ends the start with the place or the name of
// the setting; --check says so without starting anything.
func TestConfigErrors(t *testing.T) {
	parallel(t, others)
	for name, c := range map[string]struct {
		yaml string
		says []string
	}{
		"unknown key":   {"wrong: y\n", []string{`unknown field "wrong"`, ">  2 | wrong: y"}},
		"no YAML":       {"apps: [\n", []string{"apps"}},
		"bad values":    {"http: {addr: nowhere}\nlog_level: loud\n", []string{"http.addr:", "log_level:"}},
		"hidden secret": {"admin_token: tops3cret, tops3cret\nwrong: y\n", []string{"admin_token: (hidden)"}},
	} {
		path := configFile(t, c.yaml)
		for _, args := range [][]string{{"serve"}, {"serve", "--check"}, {"user", "token", "me@example.com"}} {
			code, stdout, stderr := ended(t, append(args, "--config", path)...)
			if code != 1 || stdout != "" || !containsAll(stderr, c.says...) || strings.Contains(stderr, "tops3cret") {
				t.Errorf("%s, %v: exit %d, stdout %q, stderr %q; want 1 and %q", name, args, code, stdout, stderr, c.says)
			}
		}
		if _, err := os.Stat(filepath.Join(filepath.Dir(path), "data")); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: a data folder was made", name)
		}
	}
	if code, stdout, stderr := ended(t, "serve", "--check", "--config", configFile(t, "")); code != 0 || stdout == "" || stderr != "" {
		t.Errorf("a right configuration: exit %d, stdout %q, stderr %q", code, stdout, stderr)
	}
	if code, _, stderr := ended(t, "serve", "--config", filepath.Join(t.TempDir(), "none.yaml")); code == 0 || !strings.Contains(stderr, "none.yaml") {
		t.Errorf("no such file: exit %d, stderr %q", code, stderr)
	}
}

var coreToken = regexp.MustCompile(`^[\w-]+\.[\w-]+\.[\w-]+\n$`)

// `glimpse user token` prints the token and nothing else, before the server's
// first start and beside it, and both work.
func TestUserToken(t *testing.T) {
	parallel(t, waiting)
	path := configFile(t, "http: {addr: \"127.0.0.1:0\"}\nrtmp: {addr: \"\"}\nhttps: {addr: \"\"}\nrtmps: {addr: \"\"}\nsrt: {addr: \"\"}\nwebrtc: {addr: \"\"}\n")
	token := func() string {
		code, stdout, stderr := ended(t, "user", "token", "Me@Example.com", "--config", path)
		if code != 0 || !coreToken.MatchString(stdout) || stderr != "" {
			t.Errorf("exit %d, stdout %q, stderr %q; want a token alone", code, stdout, stderr)
		}
		return strings.TrimSpace(stdout)
	}
	early := token()
	server := start(t, "glimpse serve", nil, binary, "serve", "--config", path)
	m, _ := server.waitLine(`(http://127\.0\.0\.1:\d+)`, 0)
	for _, token := range []string{early, token()} {
		glasses := start(t, "glasses", nil, binary, "glasses", "--server", m[1], "--token", token)
		glasses.waitLine(`(?i)connected`, 0)
		glasses.stop()
	}
	if code, stdout, stderr := ended(t, "user", "token", "not a name", "--config", path); code != 1 || stdout != "" || stderr == "" {
		t.Errorf("a bad name: exit %d, stdout %q, stderr %q", code, stdout, stderr)
	}
}

// A port that somebody else has: one sentence with the setting's name and what
// to do.
func TestPortsTaken(t *testing.T) {
	parallel(t, others)
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	udp, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	for setting, taken := range map[string]net.Addr{"http": tcp.Addr(), "rtmp": tcp.Addr(),
		"https": tcp.Addr(), "rtmps": tcp.Addr(), "srt": udp.LocalAddr(), "webrtc": udp.LocalAddr()} {
		yaml := ""
		for _, key := range []string{"http", "https", "rtmp", "rtmps", "srt", "webrtc"} {
			addr := "127.0.0.1:0"
			if key == setting {
				addr = taken.String()
			}
			yaml += fmt.Sprintf("%s: {addr: %q}\n", key, addr)
		}
		code, stdout, stderr := ended(t, "serve", "--config", configFile(t, yaml))
		if code != 1 || stdout != "" || strings.Count(stderr, "\n") != 1 ||
			!containsAll(stderr, setting+".addr: ", taken.String(), "already in use", "set another address") {
			t.Errorf("%s: exit %d, stdout %q, stderr %q; want one sentence", setting, code, stdout, stderr)
		}
	}
}

// The completion script knows the program's own commands and flags, and bash
// takes it.
func TestCompletion(t *testing.T) {
	parallel(t, others)
	script := runCommand(t, binary, "completion", "bash")
	complete := func(words ...string) []string {
		return strings.Fields(runCommand(t, append([]string{"bash", "--norc", "-c", script + `
			COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)); _glimpse; echo "${COMPREPLY[*]}"`, "bash", "glimpse"}, words...)...))
	}
	for _, command := range complete("") {
		if code, stdout, stderr := ended(t, command, "--help"); code != 0 || stdout == "" || stderr != "" {
			t.Errorf("offers %q, but its help ends with %d and %q", command, code, stderr)
		}
	}
	if got := strings.Join(complete("us"), " "); got != "user" {
		t.Errorf("us completes to %q", got)
	}
	if got := strings.Join(complete("serve", "--c"), " "); got != "--config --check" {
		t.Errorf("serve --c completes to %q", got)
	}
	for _, shell := range []string{"zsh", "fish"} {
		if out := runCommand(t, binary, "completion", shell); !containsAll(out, "serve", "json-log") {
			t.Errorf("%s: no word of serve --json-log in\n%s", shell, out)
		}
	}
	if code, _, _ := ended(t, "completion", "tcsh"); code != 2 {
		t.Errorf("a shell that is not known: exit %d, want 2", code)
	}
}
