package yolo

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

func names(n int) string {
	var b strings.Builder
	b.WriteByte('{')
	for i := range n {
		fmt.Fprintf(&b, "%d: 'c%d', ", i, i)
	}
	return b.String() + "}"
}

// model is a description of a usual model with n classes; change makes it
// another one.
func model(n int, output ...int64) Description {
	return Description{
		Inputs:  []Tensor{{Name: "images", Shape: []int64{1, 3, 640, 640}, Type: "float32"}},
		Outputs: []Tensor{{Name: "output0", Shape: output, Type: "float32"}},
		Names:   names(n),
	}
}

func with(d Description, change func(*Description)) Description {
	change(&d)
	return d
}

func TestRead(t *testing.T) {
	for _, c := range []struct {
		name string
		d    Description
		hint Layout
		want Layout // or
		err  string
	}{
		{"usual export of 80 classes", model(80, 1, 84, 8400), 0, LayoutClassMajor, ""},
		{"one class", model(1, 1, 5, 8400), 0, LayoutClassMajor, ""},
		{"transposed", model(80, 1, 8400, 84), 0, LayoutCellMajor, ""},
		{"suppression inside", model(80, 1, 300, 6), 0, LayoutSuppressed, ""},
		{"two classes, class-major", model(2, 1, 6, 8400), 0, LayoutClassMajor, ""},
		{"two classes, ambiguous", model(2, 1, 300, 6), 0, 0, "--model-layout"},
		{"two classes, told", model(2, 1, 300, 6), LayoutSuppressed, LayoutSuppressed, ""},
		{"two classes, told otherwise", model(2, 1, 300, 6), LayoutCellMajor, LayoutCellMajor, ""},
		{"as many places as rows", model(10, 1, 14, 14), 0, 0, "--model-layout"},
		{"told what it is not", model(80, 1, 84, 8400), LayoutSuppressed, 0, "known are [1,84,N]"},
		{"other number of classes", model(10, 1, 84, 8400), 0, 0, "with 10 class names known are [1,14,N]"},
		{"no names", with(model(1, 1, 5, 100), func(d *Description) { d.Names = "" }), 0, 0, "names"},
		{"two inputs", with(model(1, 1, 5, 100), func(d *Description) { d.Inputs = append(d.Inputs, Tensor{}) }), 0, 0, "2 inputs"},
		{"two outputs", with(model(1, 1, 5, 100), func(d *Description) { d.Outputs = append(d.Outputs, Tensor{}) }), 0, 0, "segmentation"},
		{"no outputs", with(model(1, 1, 5, 100), func(d *Description) { d.Outputs = nil }), 0, 0, "0 outputs"},
		{"half precision", with(model(1, 1, 5, 100), func(d *Description) { d.Inputs[0].Type = "float16" }), 0, 0, "half=False"},
		{"double output", with(model(1, 1, 5, 100), func(d *Description) { d.Outputs[0].Type = "float64" }), 0, 0, "float64"},
		{"rank", with(model(1, 1, 5, 100), func(d *Description) { d.Inputs[0].Shape = []int64{1, 3, 640} }), 0, 0, "3 dimensions"},
		{"open size", with(model(1, 1, 5, 100), func(d *Description) { d.Inputs[0].Shape[2] = -1 }), 0, 0, "dynamic=False"},
		{"batch", with(model(1, 1, 5, 100), func(d *Description) { d.Inputs[0].Shape[0] = 4 }), 0, 0, "batch=1"},
		{"channels last", with(model(1, 1, 5, 100), func(d *Description) { d.Inputs[0].Shape = []int64{1, 640, 640, 3} }), 0, 0, "640 channels"},
		{"huge input", with(model(1, 1, 5, 100), func(d *Description) { d.Inputs[0].Shape[2] = 1 << 40 }), 0, 0, "pixels"},
		{"open output", model(1, 1, 5, -1), 0, 0, "dynamic=False"},
		{"classifier", model(1, 1, 1000), 0, 0, "shape is [1 1000]"},
		{"huge output", model(1, 1, 5, 1<<40), 0, 0, "too large"},
	} {
		s, err := Read(c.d, c.hint)
		if c.err != "" {
			if !errors.Is(err, ErrModel) || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: %v; want %q", c.name, err, c.err)
			}
			continue
		}
		if err != nil || s.Layout != c.want || s.Width != 640 || s.Input != "images" {
			t.Errorf("%s: %+v, %v", c.name, s, err)
		}
	}
}

func TestParseNames(t *testing.T) {
	for _, c := range []struct {
		text string
		want []string // nil: refused
	}{
		{`{0: 'bird', 1: 'cat'}`, []string{"bird", "cat"}},
		{`{0:"hot dog",1:'cat',}`, []string{"hot dog", "cat"}},
		{" {1: 'b', 0: 'a'}\n", []string{"a", "b"}},
		{`{0: 'rock \'n\' "roll"', 1: 'back\\slash'}`, []string{`rock 'n' "roll"`, `back\slash`}},
		{"{0: 'Vögel'}", []string{"Vögel"}},
		{"", nil},
		{"{}", nil},
		{"['bird']", nil},
		{"{0: 'a', 2: 'b'}", nil},
		{"{0: 'a', 0: 'b'}", nil},
		{"{0: 'a' 1: 'b'}", nil},
		{"{0: 'a'} x", nil},
		{"{0: 'a", nil},
		{"{0: ''}", nil},
		{"{0: a}", nil},
		{"{-1: 'a'}", nil},
		{"{0: '\\x41'}", nil},
		{"{0: 'a\nb'}", nil},
		{"{99999999999999999999: 'a'}", nil},
		{"{0: '" + strings.Repeat("x", 65) + "'}", nil},
		{names(MaxClasses + 1), nil},
		{strings.Repeat(" ", maxNamesText+1), nil},
	} {
		got, err := ParseNames(c.text)
		if (err != nil) != (c.want == nil) || !slices.Equal(got, c.want) {
			t.Errorf("%.40q: %q, %v", c.text, got, err)
		}
	}
	if got, err := ParseNames(names(MaxClasses)); err != nil || len(got) != MaxClasses {
		t.Errorf("%d names: %v", len(got), err)
	}
}

func FuzzParseNames(f *testing.F) {
	f.Add(`{0: 'bird', 1: "cat"}`)
	f.Fuzz(func(t *testing.T, text string) {
		got, err := ParseNames(text)
		if err != nil {
			return
		}
		if len(got) == 0 || len(got) > MaxClasses || slices.Contains(got, "") {
			t.Errorf("%q", got)
		}
	})
}

// The ten animals are found by name in any model, and keep COCO's numbers.
func TestWanted(t *testing.T) {
	coco := &Spec{Names: []string{"person", "bird", "giraffe"}}
	for _, c := range []struct {
		choice string
		want   []bool // nil: refused
	}{
		{"animals", []bool{false, true, true}},
		{"all", []bool{true, true, true}},
		{"person, bird", []bool{true, true, false}},
		{"unicorn", nil},
		{"", nil},
	} {
		got, err := coco.Wanted(c.choice)
		if (err != nil) != (c.want == nil) || !slices.Equal(got, c.want) {
			t.Errorf("%q: %v, %v", c.choice, got, err)
		}
	}
	if _, err := (&Spec{Names: []string{"car"}}).Wanted("animals"); err == nil || !strings.Contains(err.Error(), "--classes") {
		t.Errorf("no animals: %v", err)
	}
	if a, b, c := coco.ClassID(0), coco.ClassID(1), coco.ClassID(2); a != 0 || b != 14 || c != 23 {
		t.Errorf("ids %d %d %d", a, b, c)
	}
}
