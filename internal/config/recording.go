package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"glimpse/internal/control/streams"
)

// maxAge bounds recording.max_age.
const maxAge = 100 * 365 * 24 * time.Hour

func (r Recording) validate(f *faults) {
	if err := streams.CheckRecord(r.Policy); err != nil || r.Policy == "" {
		f.add("recording.policy", "must be always, on-demand or never")
	}
	if r.MaxAge < 0 || r.MaxAge > maxAge {
		f.add("recording.max_age", "must be a time like 720h, or 0 for no limit")
	}
	for key, text := range map[string]string{"max_size": r.MaxSize, "user_quota": r.UserQuota} {
		_, err := Bytes(text)
		f.check("recording."+key, err)
	}
	_, err := Percent(r.MinFree)
	f.check("recording.min_free", err)
}

// Bytes reads an amount of bytes like 500GB, 1.5TB, 64MiB or 1000; empty is 0.
func Bytes(text string) (int64, error) {
	text = strings.ToUpper(strings.TrimSpace(text))
	if text == "" {
		return 0, nil
	}
	unit := float64(1)
	number := strings.TrimSuffix(text, "B")
	factor := float64(1000)
	if rest, binary := strings.CutSuffix(number, "I"); binary {
		number, factor = rest, 1024
	}
	if i := strings.IndexAny(number, "KMGT"); i >= 0 && i == len(number)-1 {
		unit = math.Pow(factor, float64(strings.IndexByte("KMGT", number[i])+1))
		number = number[:i]
	}
	n, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if err != nil || n <= 0 || n*unit >= 1<<62 || math.IsNaN(n) {
		return 0, fmt.Errorf("must be an amount like 500GB, or empty for no limit")
	}
	return int64(n * unit), nil
}

// Percent reads a part like 5%, as 0.05; it is less than all.
func Percent(text string) (float64, error) {
	number, ok := strings.CutSuffix(strings.TrimSpace(text), "%")
	n, err := strconv.ParseFloat(number, 64)
	if !ok || err != nil || !(n >= 0 && n < 100) {
		return 0, fmt.Errorf("must be a part like 5%%")
	}
	return n / 100, nil
}
