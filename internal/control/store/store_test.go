package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type entity struct {
	Name string   `json:"name"`
	Keys []string `json:"keys,omitempty"`
}

// backends are run through the same suite; reopen is nil when a backend forgets.
func backends(t *testing.T) map[string]func(t *testing.T) Backend {
	t.Helper()
	return map[string]func(t *testing.T) Backend{
		"memory": func(t *testing.T) Backend {
			m := NewMemory()
			t.Cleanup(m.Close)
			return m
		},
		"nats": func(t *testing.T) Backend { return openNATS(t, t.TempDir()) },
	}
}

func openNATS(t *testing.T, dir string) *NATS {
	t.Helper()
	n, losses, err := OpenNATS(NATSConfig{Dir: dir}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Close)
	if len(losses) > 0 {
		t.Fatalf("losses in a sound store: %+v", losses)
	}
	return n
}

func TestConformance(t *testing.T) {
	suite := map[string]func(t *testing.T, b *Bucket[entity]){
		"get of nothing":       getOfNothing,
		"put replaces":         putReplaces,
		"create once":          createOnce,
		"delete":               deleteOnce,
		"all in order":         allInOrder,
		"strange ids":          strangeIDs,
		"too large":            tooLarge,
		"one winner creates":   oneWinnerCreates,
		"ended context":        endedContext,
		"bytes are not shared": notShared,
	}
	for backendName, open := range backends(t) {
		backend := open(t)
		for name, test := range suite {
			t.Run(backendName+"/"+name, func(t *testing.T) {
				bucketName := strings.ReplaceAll(name, " ", "_")
				b, err := Open[entity](t.Context(), backend, bucketName)
				if err != nil {
					t.Fatal(err)
				}
				test(t, b)
			})
		}
		t.Run(backendName+"/closed", func(t *testing.T) {
			b, err := Open[entity](t.Context(), backend, "closed")
			if err != nil {
				t.Fatal(err)
			}
			backend.Close()
			backend.Close() // idempotent
			if _, err := b.Get(t.Context(), "a"); !errors.Is(err, ErrClosed) {
				t.Errorf("get after close = %v, want ErrClosed", err)
			}
			if err := b.Put(t.Context(), "a", entity{}); !errors.Is(err, ErrClosed) {
				t.Errorf("put after close = %v, want ErrClosed", err)
			}
			if _, err := b.All(t.Context()); !errors.Is(err, ErrClosed) {
				t.Errorf("all after close = %v, want ErrClosed", err)
			}
			if _, err := Open[entity](t.Context(), backend, "later"); !errors.Is(err, ErrClosed) {
				t.Errorf("open after close = %v, want ErrClosed", err)
			}
		})
	}
}

func getOfNothing(t *testing.T, b *Bucket[entity]) {
	if _, err := b.Get(t.Context(), "nobody"); !errors.Is(err, ErrNotFound) {
		t.Errorf("get = %v, want ErrNotFound", err)
	}
	items, err := b.All(t.Context())
	if err != nil || len(items) != 0 {
		t.Errorf("all of an empty bucket = %v, %v", items, err)
	}
}

func putReplaces(t *testing.T, b *Bucket[entity]) {
	for _, want := range []entity{{Name: "one", Keys: []string{"k"}}, {Name: "two"}} {
		if err := b.Put(t.Context(), "a", want); err != nil {
			t.Fatal(err)
		}
		got, err := b.Get(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
}

func createOnce(t *testing.T, b *Bucket[entity]) {
	if err := b.Create(t.Context(), "a", entity{Name: "first"}); err != nil {
		t.Fatal(err)
	}
	if err := b.Create(t.Context(), "a", entity{Name: "second"}); !errors.Is(err, ErrExists) {
		t.Errorf("second create = %v, want ErrExists", err)
	}
	if got, err := b.Get(t.Context(), "a"); err != nil || got.Name != "first" {
		t.Errorf("get = %v, %v; want the first", got, err)
	}
}

func deleteOnce(t *testing.T, b *Bucket[entity]) {
	if err := b.Put(t.Context(), "a", entity{Name: "x"}); err != nil {
		t.Fatal(err)
	}
	if err := b.Delete(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	if err := b.Delete(t.Context(), "a"); !errors.Is(err, ErrNotFound) {
		t.Errorf("second delete = %v, want ErrNotFound", err)
	}
	if _, err := b.Get(t.Context(), "a"); !errors.Is(err, ErrNotFound) {
		t.Errorf("get after delete = %v, want ErrNotFound", err)
	}
	if items, err := b.All(t.Context()); err != nil || len(items) != 0 {
		t.Errorf("all after delete = %v, %v", items, err)
	}
	if err := b.Create(t.Context(), "a", entity{Name: "again"}); err != nil {
		t.Errorf("create after delete = %v", err)
	}
}

func allInOrder(t *testing.T, b *Bucket[entity]) {
	want := []Item[entity]{}
	for i := range 20 {
		id := fmt.Sprintf("id-%02d", i)
		want = append(want, Item[entity]{ID: id, Value: entity{Name: id}})
	}
	for i := len(want) - 1; i >= 0; i-- {
		if err := b.Put(t.Context(), want[i].ID, want[i].Value); err != nil {
			t.Fatal(err)
		}
	}
	got, err := b.All(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func strangeIDs(t *testing.T, b *Bucket[entity]) {
	for _, id := range []string{"me+tag@example-site.com", "", ".", "*", ">", "a b", "ü", strings.Repeat("x", 128)} {
		if err := b.Put(t.Context(), id, entity{Name: id}); err != nil {
			t.Errorf("put %q: %v", id, err)
			continue
		}
		if got, err := b.Get(t.Context(), id); err != nil || got.Name != id {
			t.Errorf("get %q = %q, %v", id, got.Name, err)
		}
	}
}

func tooLarge(t *testing.T, b *Bucket[entity]) {
	err := b.Put(t.Context(), "big", entity{Name: strings.Repeat("x", MaxValue)})
	if !errors.Is(err, ErrTooLarge) {
		t.Errorf("put = %v, want ErrTooLarge", err)
	}
}

func oneWinnerCreates(t *testing.T, b *Bucket[entity]) {
	var wg sync.WaitGroup
	results := make(chan error, 8)
	for i := range cap(results) {
		wg.Go(func() {
			results <- b.Create(t.Context(), "prize", entity{Name: fmt.Sprint(i)})
		})
	}
	wg.Wait()
	close(results)
	won := 0
	for err := range results {
		switch {
		case err == nil:
			won++
		case !errors.Is(err, ErrExists):
			t.Errorf("create = %v, want nil or ErrExists", err)
		}
	}
	if won != 1 {
		t.Errorf("%d creates won, want 1", won)
	}
}

func endedContext(t *testing.T, b *Bucket[entity]) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.Put(ctx, "a", entity{}); !errors.Is(err, context.Canceled) {
		t.Errorf("put = %v, want context.Canceled", err)
	}
	if _, err := b.All(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("all = %v, want context.Canceled", err)
	}
}

func notShared(t *testing.T, b *Bucket[entity]) {
	value := []byte(`{"name":"abc"}`)
	if err := b.raw.Put(t.Context(), "kx", value); err != nil {
		t.Fatal(err)
	}
	clear(value)
	got, err := b.raw.Get(t.Context(), "kx")
	if err != nil {
		t.Fatal(err)
	}
	clear(got)
	if again, err := b.raw.Get(t.Context(), "kx"); err != nil || string(again) != `{"name":"abc"}` {
		t.Errorf("get = %q, %v; the caller's changes came through", again, err)
	}
}

func TestAllNamesBadEntries(t *testing.T) {
	m := NewMemory()
	b, err := Open[entity](t.Context(), m, "x")
	if err != nil {
		t.Fatal(err)
	}
	for key, value := range map[string]string{
		encodeKey("good"): `{"name":"good"}`, encodeKey("bad"): `{"name":7}`, "foreign": `{}`, "k!": `{}`,
	} {
		if err := b.raw.Put(t.Context(), key, []byte(value)); err != nil {
			t.Fatal(err)
		}
	}
	items, err := b.All(t.Context())
	if len(items) != 1 || items[0].ID != "good" {
		t.Errorf("items = %v, want the good one", items)
	}
	for _, want := range []string{`"bad"`, `"foreign"`, `"k!"`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v does not name %s", err, want)
		}
	}
	if _, err := b.Get(t.Context(), "bad"); err == nil || errors.Is(err, ErrNotFound) {
		t.Errorf("get of a bad entry = %v, want a read error", err)
	}
}

func TestLockDataDir(t *testing.T) {
	dir := t.TempDir() + "/data"
	lock, err := LockDataDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	_, err = LockDataDir(dir)
	if !errors.Is(err, ErrRunning) {
		t.Fatalf("second lock = %v, want ErrRunning", err)
	}
	want := fmt.Sprintf("already running (pid %d)", os.Getpid())
	if !strings.Contains(err.Error(), want) {
		t.Errorf("error %q does not say %q", err, want)
	}
	lock.Close()
	lock.Close()
	again, err := LockDataDir(dir)
	if err != nil {
		t.Fatalf("lock after close: %v", err)
	}
	again.Close()
}
