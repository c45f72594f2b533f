package codec

import "testing"

// The same sound by FLV and by MPEG-TS is the same.
func TestAACEqual(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want bool
	}{
		{"1210", "1210", true}, {"121056e500", "1210", true}, {"1210", "1190", false}, {"1208", "1210", false},
		{"121056e580", "1210", false}, // SBR is present
	} {
		a, b := &AAC{Config: unhex(t, test.a)}, &AAC{Config: unhex(t, test.b)}
		if a.Equal(b) != test.want || b.Equal(a) != test.want {
			t.Errorf("%s and %s: %t", test.a, test.b, !test.want)
		}
	}
}
