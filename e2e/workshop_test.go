package e2e

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// The model workshop runs as one command and repeats: twice the same steps make the
// same network, byte by byte, measured on scenes and on drawings that training
// never saw. Twenty steps of 3,848 show that; what they make finds nothing.
func TestWorkshopRepeats(t *testing.T) {
	if !long {
		t.Skip("PyTorch, and a minute of a core: make test-long")
	}
	parallel(t, others)
	var made [2][]byte
	for i := range made {
		out := t.TempDir()
		if said, err := exec.Command("../tools/detect/workshop.sh", out, "20", "40").CombinedOutput(); err != nil {
			t.Fatalf("the workshop: %v\n%s", err, said)
		}
		var err error
		if made[i], err = os.ReadFile(filepath.Join(out, "model.onnx")); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"model.metrics.json", "unseen.metrics.json"} {
			var metrics map[string]any
			b, err := os.ReadFile(filepath.Join(out, name))
			if err == nil {
				err = json.Unmarshal(b, &metrics)
			}
			if err != nil || metrics["recall_at_0.35_any_class"] == nil {
				t.Errorf("%s: %v, %s", name, err, b)
			}
		}
	}
	if !bytes.Equal(made[0], made[1]) {
		t.Error("the same seeds and steps make another network")
	}
}
