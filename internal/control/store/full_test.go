package store

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

// A bucket with a bound takes no more than that, what is there can still become
// smaller, and the other buckets do not notice. The bound holds after a restart.
func TestFullBucket(t *testing.T) {
	dir := t.TempDir()
	cfg := NATSConfig{Dir: dir, MaxBucket: map[string]int64{"bounded": 1 << 20}}
	for again := range 2 {
		n, losses, err := OpenNATS(cfg, slog.New(slog.DiscardHandler))
		if err != nil || len(losses) > 0 {
			t.Fatal(err, losses)
		}
		bounded, err := Open[entity](t.Context(), n, "bounded")
		if err != nil {
			t.Fatal(err)
		}
		free, err := Open[entity](t.Context(), n, "free")
		if err != nil {
			t.Fatal(err)
		}
		big := entity{Name: strings.Repeat("x", 100<<10)}
		stored := 0
		for ; stored < 20 && err == nil; stored++ {
			err = bounded.Put(t.Context(), fmt.Sprintf("%d-%d", again, stored), big)
			if free := free.Put(t.Context(), fmt.Sprint(stored), big); free != nil {
				t.Errorf("another bucket: %v", free)
			}
		}
		if limit := []int{11, 2}[again]; !errors.Is(err, ErrFull) || stored > limit {
			t.Errorf("put %d: %v, want %v after at most %d", stored, err, ErrFull, limit)
		}
		if err := bounded.Delete(t.Context(), "0-0"); err != nil && again == 0 {
			t.Errorf("delete from a full bucket: %v", err)
		}
		n.Close()
	}
}
