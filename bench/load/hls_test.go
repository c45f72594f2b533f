package load

import (
	"slices"
	"testing"
)

// A client takes what follows its last part; too late for that, it takes the newest.
func TestAfter(t *testing.T) {
	parts := []string{"a", "b", "c"}
	for done, want := range map[string][]string{"": {"c"}, "a": {"b", "c"}, "c": {}, "gone": {"c"}} {
		if got := after(parts, done); !slices.Equal(got, want) {
			t.Errorf("after %q: %q, want %q", done, got, want)
		}
	}
	if got := after(nil, "a"); len(got) != 0 {
		t.Errorf("of nothing: %q", got)
	}
}
