package glasses

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"glimpse/internal/glasses/source"
)

// A film with AAC alone gets its sound in Opus as well: the same pictures, and no
// copy left behind.
func TestFilmGetsOpus(t *testing.T) {
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		t.Fatal("ffmpeg is missing: run `make deps`")
	}
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	name := filepath.Join(t.TempDir(), "film.mp4")
	out, err := exec.Command("ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25:duration=2",
		"-f", "lavfi", "-i", "sine=duration=2", "-c:v", "libx264", "-c:a", "aac", name).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	film, err := source.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer film.Close()
	if !lacksOpus(film) {
		t.Fatal("the film has Opus already")
	}
	both, err := withOpus(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	defer both.Close()
	if lacksOpus(both) || both.Tracks()[1].Codec.Name() != "AAC" || (both.Period()-film.Period()).Abs() > time.Millisecond {
		t.Errorf("the copy has %s beside AAC and lasts %v, not %v", both.WithSound("Opus").Tracks()[1].Codec.Name(), both.Period(), film.Period())
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("%s is left", left[0].Name())
	}
	if _, err := withOpus(t.Context(), name+"x"); err == nil || !strings.Contains(err.Error(), "ffmpeg") {
		t.Errorf("a film that is not there: %v", err)
	}
	if lacksOpus(clipSource(t)) {
		t.Error("the clip lacks Opus")
	}
}
