// Command rows compares docs/checklist.md, the list of what the product
// documents ask for, with the tests that name its rows.
//
// Without arguments it prints the rows that no test names. With -check it
// prints and fails on rows that are neither named nor deferred, on deferrals
// that are no longer true, and on names of rows that do not exist.
package main

import (
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
)

// row is one line of the checklist.
type row struct {
	id, text, deferred string
}

var (
	rowLine  = regexp.MustCompile(`^- ([A-E][0-9]+) (.*)$`)
	comment  = regexp.MustCompile(`^\s*(?://|#)\s*(.*)$`)
	rowNames = regexp.MustCompile(`\b[A-E][0-9]{1,2}\b`)
	// A line names rows when it begins with one: prose that mentions one in
	// passing proves nothing.
	naming = regexp.MustCompile(`^[A-E][0-9]{1,2}(?:[,;: ]|$)`)
)

// deferral separates a row's text from the reason why no test shows it yet.
const deferral = " — deferred: "

func main() {
	check := flag.Bool("check", false, "fail on rows that are neither named by a test nor deferred")
	flag.Parse()
	ok, err := run(os.DirFS("."), *check, func(format string, args ...any) { fmt.Printf(format+"\n", args...) })
	if err != nil {
		fmt.Fprintln(os.Stderr, "rows:", err)
		os.Exit(2)
	}
	if !ok {
		os.Exit(1)
	}
}

// run reports on the tree and says whether the check passed.
func run(tree fs.FS, check bool, printf func(string, ...any)) (bool, error) {
	rows, err := readRows(tree)
	if err != nil {
		return false, err
	}
	named, err := namedRows(tree)
	if err != nil {
		return false, err
	}
	ok, covered, deferred := true, 0, 0
	known := map[string]bool{}
	for _, r := range rows {
		known[r.id] = true
		switch {
		case named[r.id] != "" && r.deferred != "" && check:
			ok = false
			printf("%s is deferred, but %s names it", r.id, named[r.id])
		case named[r.id] != "":
			covered++
		case r.deferred != "":
			deferred++
			if !check {
				printf("%s  %s\n     deferred: %s", r.id, r.text, r.deferred)
			}
		default:
			ok = false
			printf("%s  %s", r.id, r.text)
		}
	}
	for _, id := range sorted(named) {
		if !known[id] {
			ok = false
			printf("%s names %s, which is no row", named[id], id)
		}
	}
	printf("rows: %d, named by tests: %d, deferred: %d", len(rows), covered, deferred)
	return ok || !check, nil
}

func readRows(tree fs.FS) ([]row, error) {
	b, err := fs.ReadFile(tree, "docs/checklist.md")
	if err != nil {
		return nil, err
	}
	var rows []row
	for line := range strings.Lines(string(b)) {
		if m := rowLine.FindStringSubmatch(strings.TrimSpace(line)); m != nil {
			text, why, _ := strings.Cut(m[2], deferral)
			rows = append(rows, row{m[1], text, why})
		}
	}
	return rows, nil
}

// namedRows maps each row that a test names to the file that does.
func namedRows(tree fs.FS) (map[string]string, error) {
	named := map[string]string{}
	err := fs.WalkDir(tree, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "node_modules" || (strings.HasPrefix(d.Name(), ".") && path != ".")) {
			return fs.SkipDir
		}
		if d.IsDir() || !isTest(path) {
			return nil
		}
		b, err := fs.ReadFile(tree, path)
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(b)) {
			m := comment.FindStringSubmatch(strings.TrimRight(line, "\n"))
			if m == nil || !naming.MatchString(m[1]) {
				continue
			}
			for _, id := range rowNames.FindAllString(m[1], -1) {
				named[id] = path
			}
		}
		return nil
	})
	return named, err
}

// isTest says whether a file's comments count: Go tests, scenario scripts,
// and the programs of e2e.
func isTest(path string) bool {
	return strings.HasSuffix(path, "_test.go") ||
		(strings.Contains(path, "testdata/") && filepath.Ext(path) == ".txt") ||
		(strings.HasPrefix(path, "e2e/") && filepath.Ext(path) == ".mjs")
}

func sorted(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}
