package completion

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the golden files")

type sample struct {
	Run struct {
		Config string `short:"c" help:"It's a \\ file."`
		Mode   string `enum:"fast,slow" default:"fast" help:"How."`
		Quiet  bool   `help:"Say nothing."`
		Secret string `hidden:""`
	} `cmd:"" help:"Run: it."`
	User struct {
		Token struct {
			ID string `arg:""`
		} `cmd:"" help:"Print one."`
		Drop struct{} `cmd:"" aliases:"rm" help:"Forget one."`
	} `cmd:"" help:"Users."`
	Shell struct {
		Name string `arg:"" enum:"bash,zsh" help:"Which."`
	} `cmd:"" help:"Pick."`
	Debug struct{} `cmd:"" hidden:""`
}

func script(t *testing.T, shell string) string {
	t.Helper()
	parser, err := kong.New(&sample{}, kong.Name("prog"))
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := Write(&out, shell, parser.Model); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestGolden(t *testing.T) {
	for _, shell := range Shells() {
		path, got := filepath.Join("testdata", shell+".golden"), script(t, shell)
		if *update {
			if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), got); diff != "" {
			t.Errorf("%s:\n%s", shell, diff)
		}
	}
}

func TestUnknownShell(t *testing.T) {
	if err := Write(&strings.Builder{}, "tcsh", nil); err == nil || !strings.Contains(err.Error(), "tcsh") {
		t.Errorf("%v, want an error that names the shell", err)
	}
}

// bash takes the script and completes what stands at the cursor with it.
func TestBash(t *testing.T) {
	text := script(t, "bash")
	check := exec.Command("bash", "-n")
	check.Stdin = strings.NewReader(text)
	if out, err := check.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s\n%s", err, out, text)
	}
	for typed, want := range map[string]string{
		"prog ":                     "run user shell --help",
		"prog r":                    "run",
		"prog run --":               "--help --config --mode --quiet",
		"prog run --c":              "--config",
		"prog run --config ":        "", // files
		"prog run -c ":              "",
		"prog run --mode ":          "fast slow",
		"prog run --mode = s":       "slow", // as bash splits --mode=s
		"prog run --mode fast --q":  "--quiet",
		"prog user ":                "token drop rm --help",
		"prog user token ":          "--help",
		"prog user rm --":           "--help",
		"prog run --config user --": "--help --config --mode --quiet",
		"prog shell ":               "bash zsh --help",
		"prog debug":                "",
	} {
		words := strings.Split(typed, " ")
		ask := exec.Command("bash", append([]string{"--norc", "-c", text + `
			COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)); _prog; echo "${COMPREPLY[*]}"`, "bash"}, words...)...)
		out, err := ask.Output()
		if err != nil {
			t.Fatalf("%q: %v", typed, err)
		}
		if got := strings.TrimSpace(string(out)); got != want {
			t.Errorf("%q completes to %q, want %q", typed, got, want)
		}
	}
}
