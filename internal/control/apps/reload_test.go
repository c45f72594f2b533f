package apps

import (
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"

	"glimpse/internal/control/store"
)

func TestReload(t *testing.T) {
	backend := store.NewMemory()
	defer backend.Close()
	one := Spec{Package: "com.one", APIKey: "first-key", URL: "http://127.0.0.1:1", Permissions: []string{"CAMERA"}}
	two := Spec{Package: "com.two", APIKey: "other-key", URL: "http://127.0.0.1:2"}
	r := open(t, backend, io.Discard, one, two)
	_, made, err := r.Create(t.Context(), Spec{Package: "com.made", URL: "http://x.test"})
	if err != nil {
		t.Fatal(err)
	}
	before, _ := r.App("com.one")

	changed := r.Reload([]Spec{
		two,
		{Package: "com.one", APIKey: "second-key", URL: "http://127.0.0.1:9"},
		{Package: "com.made", APIKey: "taken-over", URL: "http://x.test"},
		{Package: "com.new", APIKey: "new-app-key", URL: "http://x.test"},
	})
	if diff := cmp.Diff([]string{"com.one"}, changed); diff != "" {
		t.Errorf("changed:\n%s", diff)
	}
	for _, c := range []struct {
		pkg, key string
		want     bool
	}{
		{"com.one", "second-key", true}, {"com.one", "first-key", false}, {"com.two", "other-key", true},
		{"com.made", made, true}, {"com.made", "taken-over", false}, {"com.new", "new-app-key", false},
	} {
		if r.CheckKey(c.pkg, c.key) != c.want {
			t.Errorf("CheckKey(%q, %q) = %v, want %v", c.pkg, c.key, !c.want, c.want)
		}
	}
	if after, _ := r.App("com.one"); after.URL != before.URL || !after.Allowed("CAMERA") || !after.FromConfig {
		t.Errorf("a new key made %+v of %+v", after, before)
	}
	if changed := r.Reload(nil); changed != nil || !r.CheckKey("com.one", "second-key") {
		t.Errorf("an app that is gone from the file lost its key: %v", changed)
	}
}
