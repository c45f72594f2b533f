package session

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Every row of the wire's tables has a script that shows it, or a test that does.
func TestEveryRowHasAScript(t *testing.T) {
	index, err := os.ReadFile("testdata/wire.index")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]bool{} // row: shown
	tests := map[string]string{}
	for line := range strings.Lines(string(index)) {
		line = strings.TrimSpace(line)
		id, text, _ := strings.Cut(line, " ")
		if line == "" || id == "#" {
			continue
		}
		if _, twice := rows[id]; twice {
			t.Errorf("row %s stands twice in the index", id)
		}
		_, names, byTest := strings.Cut(text, "->")
		rows[id] = byTest
		for _, name := range strings.Fields(names) {
			tests[name] = id
		}
	}
	own, err := filepath.Glob("testdata/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	pure, err := filepath.Glob("../camera/testdata/*.txt")
	if err != nil || len(own) == 0 || len(pure) == 0 {
		t.Fatalf("scripts: %v, %d here, %d of the camera", err, len(own), len(pure))
	}
	for _, script := range append(own, pure...) {
		text, err := os.ReadFile(script)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			named, ok := strings.CutPrefix(strings.TrimSpace(line), "# WIRE ")
			if !ok {
				continue
			}
			for _, id := range strings.Fields(named) {
				if _, known := rows[id]; !known {
					t.Errorf("%s names the row %s, which the index does not have", script, id)
				}
				rows[id] = true
			}
		}
	}
	for _, id := range slices.Sorted(maps.Keys(rows)) {
		if !rows[id] {
			t.Errorf("no script shows row %s", id)
		}
	}
	for _, name := range findTests(t) {
		delete(tests, name)
	}
	for name, id := range tests {
		t.Errorf("row %s names the test %s, which does not exist", id, name)
	}
}

// findTests lists the names of all tests of the repository.
func findTests(t *testing.T) (names []string) {
	t.Helper()
	declared := regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	root := os.DirFS("../../..")
	err := fs.WalkDir(root, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() && (d.Name() == "node_modules" || d.Name() == ".git") {
			return fs.SkipDir
		}
		if !strings.HasSuffix(path, "_test.go") {
			return nil
		}
		text, err := fs.ReadFile(root, path)
		if err != nil {
			return err
		}
		for _, m := range declared.FindAllSubmatch(text, -1) {
			names = append(names, string(m[1]))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}
