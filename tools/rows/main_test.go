package main

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"
)

func TestRun(t *testing.T) {
	list := "# rows\n- A1 named\n- A2 deferred — deferred: later\n- A3 neither\n"
	for _, test := range []struct {
		name, list, test string
		ok               bool
		want             string
	}{
		{"a row that nobody names", list, "// A1: x\n", false, "A3  neither"},
		{"a deferral that is no longer true", strings.Replace(list, "- A3 neither\n", "", 1), "// A1 A2\n", false, "A2 is deferred, but x_test.go names it"},
		{"a row that does not exist", strings.Replace(list, "- A3 neither\n", "", 1), "// A1 E99\n", false, "x_test.go names E99, which is no row"},
		{"prose proves nothing", list, "// see A3\n// A1\n", false, "A3  neither"},
		{"all is well", list, "// A1 A3\n", true, "rows: 3, named by tests: 2, deferred: 1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var out strings.Builder
			ok, err := run(fstest.MapFS{
				"docs/checklist.md": {Data: []byte(test.list)},
				"x_test.go":         {Data: []byte(test.test)},
			}, true, func(f string, a ...any) { fmt.Fprintf(&out, f+"\n", a...) })
			if err != nil || ok != test.ok || !strings.Contains(out.String(), test.want) {
				t.Errorf("ok %v, err %v, printed:\n%s", ok, err, out.String())
			}
		})
	}
}
