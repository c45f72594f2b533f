package store

import (
	"bytes"
	"log/slog"
	"slices"
	"strings"
	"testing"
)

func TestTable(t *testing.T) {
	var table Table[int]
	if _, ok := table.Get("a"); ok || table.Len() != 0 || len(table.List()) != 0 {
		t.Error("a table of nothing has something")
	}
	table.Remove("a")
	for i, id := range []string{"b", "c", "a", "b"} {
		table.Set(id, i)
	}
	table.Remove("c")
	if v, ok := table.Get("b"); !ok || v != 3 {
		t.Errorf("b is %d, %v", v, ok)
	}
	if list := table.List(); !slices.Equal(list, []int{2, 3}) || table.Len() != 2 {
		t.Errorf("%v, by id", list)
	}
}

// An entry that cannot be read hides no other, and is named in the log.
func TestLoad(t *testing.T) {
	backend, ctx := NewMemory(), t.Context()
	bucket, err := Open[int](ctx, backend, "numbers")
	if err != nil {
		t.Fatal(err)
	}
	if err := bucket.Put(ctx, "one", 1); err != nil {
		t.Fatal(err)
	}
	words, _ := Open[string](ctx, backend, "numbers")
	if err := words.Put(ctx, "two", "two"); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	_, items, err := Load[int](ctx, backend, "numbers", slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil || len(items) != 1 || items[0] != (Item[int]{"one", 1}) {
		t.Errorf("%v, %v", items, err)
	}
	if !strings.Contains(log.String(), "bucket=numbers") || !strings.Contains(log.String(), "two") {
		t.Errorf("log: %s", log.String())
	}
	backend.Close()
	if _, _, err := Load[int](ctx, backend, "numbers", slog.New(slog.DiscardHandler)); err == nil {
		t.Error("a closed store loads")
	}
}
