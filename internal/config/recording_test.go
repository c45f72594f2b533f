package config

import "testing"

func TestAmounts(t *testing.T) {
	for text, want := range map[string]int64{
		"": 0, "1000": 1000, "500GB": 500e9, "1.5tb": 1.5e12, "64MiB": 64 << 20, " 2 k ": 2000, "7B": 7, "1TiB": 1 << 40,
		"GB": -1, "0": -1, "-1GB": -1, "5GBB": -1, "1e300": -1, "NaN": -1, "ten": -1, "1M1": -1,
	} {
		got, err := Bytes(text)
		if (err != nil) != (want < 0) || err == nil && got != want {
			t.Errorf("%q: %d, %v, want %d", text, got, err, want)
		}
	}
	for text, want := range map[string]float64{"5%": .05, "0%": 0, "99.5%": .995, "100%": -1, "5": -1, "": -1, "-1%": -1, "NaN%": -1} {
		got, err := Percent(text)
		if (err != nil) != (want < 0) || err == nil && got != want {
			t.Errorf("%q: %v, %v, want %v", text, got, err, want)
		}
	}
}
