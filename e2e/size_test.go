package e2e

import (
	"os"
	"testing"
)

// maxBinary is how large the stripped binary may be, in bytes.
const maxBinary = 35 << 20

// The binary stays small enough to be copied to a server without a thought.
func TestBinarySize(t *testing.T) {
	parallel(t, others)
	info, err := os.Stat(binary)
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() > maxBinary {
		t.Errorf("%s has %.2f MiB, at most %d: go tool nm -size -sort size tells what weighs", binary, float64(info.Size())/(1<<20), maxBinary>>20)
	}
}
