// Package scripttest plays scenario scripts in tests: testdata/*.txt, in which
// lines at the margin say what happens and indented lines what came of it. What a
// line means is the caller's; this package owns nothing but the comparison.
package scripttest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Run plays each script of the caller's testdata in a subtest of its own. play
// returns the script with what really came of it; where that differs the test
// fails at the first line, or with update the script is written anew.
func Run(t *testing.T, update bool, play func(t *testing.T, script string) string) {
	t.Helper()
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, f := range files {
		t.Run(strings.TrimSuffix(filepath.Base(f), ".txt"), func(t *testing.T) {
			want, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			got := play(t, string(want))
			if got == string(want) {
				return
			}
			if update {
				if err := os.WriteFile(f, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
				return
			}
			w, g := strings.Split(string(want), "\n"), strings.Split(got, "\n")
			for i := range g {
				if i >= len(w) || w[i] != g[i] {
					t.Fatalf("line %d:\n got %s\nwant %s\nall:\n%s", i+1, g[i], strings.Join(w[min(i, len(w)):min(i+1, len(w))], ""), got)
				}
			}
			t.Fatalf("the script expects more:\n%s", got)
		})
	}
}
