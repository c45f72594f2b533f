package srt

import (
	"strings"
	"testing"

	"glimpse/internal/media/serve"
)

func TestParseStreamID(t *testing.T) {
	long := strings.Repeat("x", 128)
	for id, want := range map[string]request{
		"publish:k":                          {true, "k"},
		"read:p":                             {false, "p"},
		"my-stream":                          {true, "my-stream"},
		"publish:" + long:                    {true, long},
		"#!::r=k,m=publish":                  {true, "k"},
		"#!::m=publish,r=k":                  {true, "k"},
		"#!::r=p,m=request":                  {false, "p"},
		"#!::r=p":                            {false, "p"},
		"#!::u=me,h=host,t=stream,r=p,s=1,x": {false, "p"},
	} {
		if got, err := parseStreamID(id); err != nil || got != want {
			t.Errorf("%q: %+v, %v", id, got, err)
		}
	}
	for _, id := range []string{
		"", ":", "publish:", "read:", "watch:x", "publish:a:b", "publish:a/b", "publish:" + long + "x", "publish:a b",
		"#!::", "#!::m=publish", "#!::r=,m=publish", "#!::r=k,m=bidirectional", "#!::r=k,r=j", "#!::r=k,t=file", "#!::r", "#!:r=k", "publish:ä",
	} {
		if got, err := parseStreamID(id); err == nil {
			t.Errorf("%q: %+v, want an error", id, got)
		}
	}
}

func FuzzStreamID(f *testing.F) {
	for _, s := range []string{"publish:k", "read:p", "#!::r=k,m=publish", "#!::r=k,m=publish,t=stream", "a", "#!::", ":,="} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := parseStreamID(s)
		if err == nil && (!serve.ValidName(r.name) || !strings.Contains(s, r.name)) {
			t.Errorf("%q gives %+v", s, r)
		}
	})
}
