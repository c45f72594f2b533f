package storage

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"glimpse/internal/control/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	pkg  = "com.x.app"
	user = "user-a@example.com"
)

func open(t *testing.T) *Storage {
	t.Helper()
	backend := store.NewMemory()
	t.Cleanup(backend.Close)
	s, err := New(t.Context(), backend)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func want(t *testing.T, s *Storage, pkg, user string, pairs map[string]string) {
	t.Helper()
	got, err := s.All(t.Context(), pkg, user)
	if err != nil || got == nil || !maps.Equal(got, pairs) {
		t.Errorf("%s of %s: %v, %v; want %v", pkg, user, got, err, pairs)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestMergeDeleteClear(t *testing.T) {
	s, ctx := open(t), t.Context()
	want(t, s, pkg, user, map[string]string{})
	must(t, s.Merge(ctx, pkg, user, map[string]string{"a": "1", "b": "<b>&\u2028"}))
	must(t, s.Merge(ctx, pkg, user, map[string]string{"a": "2", "c": ""}))
	want(t, s, pkg, user, map[string]string{"a": "2", "b": "<b>&\u2028", "c": ""})
	must(t, s.Merge(ctx, pkg, user, nil))
	want(t, s, pkg, "another@example.com", map[string]string{})
	want(t, s, "com.x.other", user, map[string]string{})

	must(t, s.Delete(ctx, pkg, user, "b"))
	must(t, s.Delete(ctx, pkg, user, "never there"))
	want(t, s, pkg, user, map[string]string{"a": "2", "c": ""})

	must(t, s.Merge(ctx, "com.x.other", user, map[string]string{"k": "v"}))
	must(t, s.Clear(ctx, pkg, user))
	must(t, s.Clear(ctx, pkg, user))
	want(t, s, pkg, user, map[string]string{})
	want(t, s, "com.x.other", user, map[string]string{"k": "v"})
	must(t, s.Delete(ctx, "com.x.other", user, "k"))
	want(t, s, "com.x.other", user, map[string]string{})
}

func TestLimits(t *testing.T) {
	s, ctx := open(t), t.Context()
	long := strings.Repeat("v", MaxValue)
	for _, c := range []struct {
		name  string
		pairs map[string]string
		want  error
	}{
		{"longest value", map[string]string{"k": long}, nil},
		{"too long", map[string]string{"k": long + "v"}, ErrInvalid},
		{"longest as JavaScript counts", map[string]string{"k": strings.Repeat("€", MaxValue)}, nil},
		{"too long as JavaScript counts", map[string]string{"k": strings.Repeat("😀", MaxValue/2+1)}, ErrInvalid},
		{"longest key", map[string]string{strings.Repeat("k", MaxKey): ""}, nil},
		{"key too long", map[string]string{strings.Repeat("k", MaxKey+1): ""}, ErrInvalid},
		{"no key", map[string]string{"": "v"}, ErrInvalid},
		{"one bad spoils all", map[string]string{"good": "v", "": "v"}, ErrInvalid},
	} {
		if err := s.Merge(ctx, pkg, user, c.pairs); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
		if all, _ := s.All(ctx, pkg, user); all["good"] != "" {
			t.Errorf("%s: half of a batch was stored", c.name)
		}
	}
	must(t, s.Clear(ctx, pkg, user))
	var err error
	stored := 0
	for ; stored < 20 && err == nil; stored++ {
		err = s.Merge(ctx, pkg, user, map[string]string{fmt.Sprint(stored): long})
	}
	if !errors.Is(err, ErrFull) || stored != 11 { // ten of 100 KB fit in 1 MB
		t.Errorf("%d values: %v, want the 11th refused: %v", stored, err, ErrFull)
	}
	must(t, s.Merge(ctx, pkg, user, map[string]string{"0": "short now"}))
	must(t, s.Merge(ctx, pkg, user, map[string]string{"again": long}))
	must(t, s.Merge(ctx, pkg, "another@example.com", map[string]string{"k": long}))

	many := map[string]string{}
	for i := range MaxKeys + 1 {
		many[fmt.Sprint(i)] = ""
	}
	if err := s.Merge(ctx, "com.x.many", user, many); !errors.Is(err, ErrFull) {
		t.Errorf("%d keys: %v, want %v", len(many), err, ErrFull)
	}
}

// Batches that arrive at the same time lose nothing of one another.
func TestConcurrentMerges(t *testing.T) {
	s := open(t)
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			if err := s.Merge(context.Background(), pkg, user, map[string]string{fmt.Sprint(i): "v"}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if data, err := s.All(t.Context(), pkg, user); err != nil || len(data) != 20 {
		t.Errorf("%d of 20 pairs are there (%v)", len(data), err)
	}
}

// The fullest storage fits into the store on disk and is there after it was
// opened again.
func TestOnDisk(t *testing.T) {
	dir, log := t.TempDir(), slog.New(slog.DiscardHandler)
	full := map[string]string{}
	for i := range 10 {
		full[fmt.Sprint(i)] = strings.Repeat("v", MaxValue)
	}
	full["rest"] = strings.Repeat("v", MaxTotal-len(full)*(MaxValue+7)-len(`{"rest":""}`))
	for _, again := range []bool{false, true} {
		backend, losses, err := store.OpenNATS(store.NATSConfig{Dir: dir}, log)
		if err != nil || len(losses) > 0 {
			t.Fatal(err, losses)
		}
		s, err := New(t.Context(), backend)
		must(t, err)
		if !again {
			must(t, s.Merge(t.Context(), pkg, user, full))
			if err := s.Merge(t.Context(), pkg, user, map[string]string{"x": ""}); !errors.Is(err, ErrFull) {
				t.Errorf("one pair more: %v, want %v", err, ErrFull)
			}
		}
		want(t, s, pkg, user, full)
		backend.Close()
	}
}

// When all apps together have filled their share of the disk, they are told so,
// and can make room.
func TestFullDisk(t *testing.T) {
	cfg := store.NATSConfig{Dir: t.TempDir(), MaxBucket: map[string]int64{Bucket: 1 << 20}}
	backend, _, err := store.OpenNATS(cfg, slog.New(slog.DiscardHandler))
	must(t, err)
	defer backend.Close()
	s, err := New(t.Context(), backend)
	must(t, err)
	stored := 0
	for ; stored < 20 && err == nil; stored++ {
		err = s.Merge(t.Context(), pkg, fmt.Sprint(stored), map[string]string{"k": strings.Repeat("v", MaxValue)})
	}
	if !errors.Is(err, ErrFull) || stored > 10 {
		t.Fatalf("wearer %d: %v, want %v", stored, err, ErrFull)
	}
	must(t, s.Merge(t.Context(), pkg, "0", map[string]string{"k": "short now"}))
	must(t, s.Clear(t.Context(), pkg, "1"))
	must(t, s.Merge(t.Context(), pkg, "new", map[string]string{"k": strings.Repeat("v", MaxValue)}))
}
