package store

import (
	"bufio"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// fill writes n entries into each bucket of a fresh store in dir and closes it.
func fill(t *testing.T, dir string, n int, buckets ...string) {
	t.Helper()
	store := openNATS(t, dir)
	defer store.Close()
	for _, name := range buckets {
		b, err := Open[entity](t.Context(), store, name)
		if err != nil {
			t.Fatal(err)
		}
		for i := range n {
			if err := b.Put(t.Context(), fmt.Sprintf("id-%d", i), entity{Name: strings.Repeat("n", 100)}); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func count(t *testing.T, backend Backend, name string) int {
	t.Helper()
	b, err := Open[entity](t.Context(), backend, name)
	if err != nil {
		t.Fatal(err)
	}
	items, err := b.All(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return len(items)
}

// What a test cannot provoke: a power cut, a signal, a port scan.
func TestServerOptions(t *testing.T) {
	o := serverOptions(NATSConfig{Dir: "d", MaxStore: 1, MaxMemory: 2})
	if !o.SyncAlways || !o.NoSigs || !o.DontListen || o.JetStreamMaxStore != 1 || o.JetStreamMaxMemory != 2 {
		t.Errorf("options %+v", o)
	}
}

func TestNATSReopens(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "nats")
	fill(t, dir, 30, "apps", "users")
	store := openNATS(t, dir)
	for _, name := range []string{"apps", "users"} {
		if got := count(t, store, name); got != 30 {
			t.Errorf("%s has %d entries after reopening, want 30", name, got)
		}
	}
}

func TestDamageIsMovedAsideAndNamed(t *testing.T) {
	apps := func(dir string, path ...string) string {
		return filepath.Join(append([]string{streamsDir(dir), "KV_apps"}, path...)...)
	}
	cut := func(path string, to int64) func(string) error {
		return func(dir string) error { return os.Truncate(apps(dir, path), to) }
	}
	cases := map[string]struct {
		damage func(dir string) error
		lost   string // what is named
		users  int    // entries of the other bucket that stay
	}{
		"description cut":     {cut("meta.inf", 20), "bucket apps", 30},
		"description empty":   {cut("meta.inf", 0), "bucket apps", 30},
		"checksum missing":    {func(dir string) error { return os.Remove(apps(dir, "meta.sum")) }, "bucket apps", 30},
		"block halved":        {cut("msgs/1.blk", 2000), "bucket apps", 30},
		"block emptied":       {cut("msgs/1.blk", 0), "bucket apps", 30},
		"bucket gone":         {func(dir string) error { return os.RemoveAll(apps(dir)) }, "bucket apps", 30},
		"a file for a folder": {func(dir string) error { return fileForFolder(filepath.Join(dir, "jetstream")) }, "the whole store", 0},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "nats")
			fill(t, dir, 30, "apps", "users")
			if err := c.damage(dir); err != nil {
				t.Fatal(err)
			}
			store, losses, err := OpenNATS(NATSConfig{Dir: dir}, slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			defer store.Close()
			if len(losses) != 1 || losses[0].What != c.lost || losses[0].Why == "" {
				t.Fatalf("losses = %+v, want one of %s with a reason", losses, c.lost)
			}
			if to := losses[0].MovedTo; to != "" {
				if _, err := os.Stat(to); err != nil {
					t.Errorf("what was lost is not where the loss says: %v", err)
				}
			}
			if got := count(t, store, "users"); got != c.users {
				t.Errorf("users has %d entries, want %d", got, c.users)
			}
			if got := count(t, store, "apps"); got != 0 {
				t.Errorf("apps has %d entries, want none", got)
			}
			store.Close()
			openNATS(t, dir).Close() // sound from now on
		})
	}
}

func fileForFolder(path string) error {
	if err := os.RemoveAll(path); err != nil {
		return err
	}
	return os.WriteFile(path, []byte("x"), 0o600)
}

// killedEnv makes the test binary a writer that is killed in the middle.
const killedEnv = "GLIMPSE_STORE_TEST_DIR"

// TestKilledWriter is the child of TestWritesSurviveKill.
func TestKilledWriter(t *testing.T) {
	dir := os.Getenv(killedEnv)
	if dir == "" {
		return // nothing to do outside the child
	}
	store := openNATS(t, dir)
	b, err := Open[entity](t.Context(), store, "apps")
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; ; i++ {
		if err := b.Put(t.Context(), fmt.Sprintf("id-%d", i), entity{Name: "n"}); err != nil {
			t.Fatal(err)
		}
		// Replaced and deleted entries change what the files hold too.
		err := b.Put(t.Context(), "same", entity{Name: strings.Repeat("n", i%50)})
		if i%2 == 0 {
			err = errors.Join(err, b.Put(t.Context(), "flip", entity{}))
		} else {
			err = errors.Join(err, b.Delete(t.Context(), "flip"))
		}
		if err != nil {
			t.Fatal(err)
		}
		fmt.Printf("acknowledged %d\n", i+1) // read by the parent
	}
}

func TestWritesSurviveKill(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "nats")
	for round := range 3 {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKilledWriter$")
		cmd.Env = append(os.Environ(), killedEnv+"="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		acknowledged, enough := 0, 50+round*37
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if _, err := fmt.Sscanf(lines.Text(), "acknowledged %d", &acknowledged); err != nil {
				continue
			}
			if acknowledged == enough {
				_ = cmd.Process.Kill()
			}
		}
		_ = cmd.Wait() // killed: the error says nothing
		if acknowledged < enough {
			t.Fatalf("the writer ended after %d writes", acknowledged)
		}
		store := openNATS(t, dir)
		if got := count(t, store, "apps"); got < acknowledged {
			t.Errorf("round %d: %d entries after kill, %d were acknowledged", round, got, acknowledged)
		}
		store.Close()
	}
}

func TestOpenNATSFailsWithoutAFolder(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	store, losses, err := OpenNATS(NATSConfig{Dir: filepath.Join(file, "nats")}, slog.New(slog.DiscardHandler))
	if err == nil {
		store.Close()
		t.Fatal("opened a store below a file")
	}
	if len(losses) != 0 {
		t.Errorf("losses = %v, want none", losses)
	}
}
