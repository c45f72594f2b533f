package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Loss is a part of the store that could not be read at start.
type Loss struct {
	What    string // "bucket apps" or "the whole store"
	Why     string
	MovedTo string // where its files are now; empty when there are none
}

// bucketPrefix is what JetStream puts before the name of a KV bucket.
const bucketPrefix = "KV_"

// streamsDir is where the embedded server keeps the streams of its one account.
func streamsDir(dir string) string {
	return filepath.Join(dir, "jetstream", "$G", "streams")
}

// A mark says how far a bucket had come when the store was last opened or
// closed. The server recovers a shortened file without a word, so this is how a
// loss is noticed: writes are synced, so a bucket never honestly goes back.
type mark struct {
	LastSeq  uint64 `json:"last_seq"`
	Messages uint64 `json:"messages"`
}

func marksFile(dir string) string { return filepath.Join(dir, "marks.json") }

// readMarks returns what is known; an absent or broken file knows nothing.
func readMarks(dir string) map[string]mark {
	marks := map[string]mark{}
	data, err := os.ReadFile(marksFile(dir))
	if err != nil {
		return marks
	}
	if json.Unmarshal(data, &marks) != nil {
		return map[string]mark{}
	}
	return marks
}

// writeMarks notes the present state of every bucket, in place of what was noted.
func (n *NATS) writeMarks(ctx context.Context) error {
	marks := map[string]mark{}
	streams := n.js.ListStreams(ctx)
	for info := range streams.Info() {
		marks[info.Config.Name] = mark{LastSeq: info.State.LastSeq, Messages: info.State.Msgs}
	}
	if err := streams.Err(); err != nil {
		return fmt.Errorf("list buckets: %w", err)
	}
	return saveMarks(n.cfg.Dir, marks)
}

// saveMarks replaces the file of marks.
func saveMarks(dir string, marks map[string]mark) error {
	data, err := json.Marshal(marks)
	if err != nil {
		return fmt.Errorf("encode marks: %w", err)
	}
	tmp := marksFile(dir) + ".new"
	if err := os.WriteFile(tmp, data, 0o600); err != nil {
		return fmt.Errorf("write marks: %w", err)
	}
	if err := os.Rename(tmp, marksFile(dir)); err != nil {
		return fmt.Errorf("write marks: %w", err)
	}
	return nil
}

// damaged names the buckets that the server skipped or could read only in
// part, with the reason. The server goes on without them and writes at most a
// log line; an operator whose apps are gone needs more than that.
func (n *NATS) damaged(ctx context.Context) (map[string]string, error) {
	marks := readMarks(n.cfg.Dir)
	found := map[string]bool{}
	damaged := map[string]string{}
	entries, err := os.ReadDir(streamsDir(n.cfg.Dir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list buckets: %w", err)
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), bucketPrefix) {
			continue
		}
		found[e.Name()] = true
		why, err := n.damage(ctx, e.Name(), marks[e.Name()])
		if err != nil {
			return nil, err
		}
		if why != "" {
			damaged[e.Name()] = why
		}
	}
	for name := range marks {
		if !found[name] {
			damaged[name] = "its files are gone"
		}
	}
	return damaged, nil
}

// damage says what is wrong with one stream, or "".
func (n *NATS) damage(ctx context.Context, stream string, m mark) (string, error) {
	s, err := n.js.Stream(ctx, stream)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return "the server cannot read its description", nil
	}
	if err != nil {
		return "", fmt.Errorf("ask for the state of %s: %w", stream, err)
	}
	state := s.CachedInfo().State
	if state.LastSeq < m.LastSeq {
		return fmt.Sprintf("its newest %d changes are missing", m.LastSeq-state.LastSeq), nil
	}
	if state.LastSeq == m.LastSeq && state.Msgs != m.Messages {
		return fmt.Sprintf("it has %d entries instead of %d", state.Msgs, m.Messages), nil
	}
	return "", nil
}

// setAside moves the damaged buckets, or the whole store when none is named,
// into a new folder beside dir. The server must not run.
func setAside(dir string, damaged map[string]string, why error) ([]Loss, error) {
	parent, prefix := filepath.Dir(dir), filepath.Base(dir)+"-unreadable-"+time.Now().UTC().Format("20060102T150405Z-")
	aside, err := os.MkdirTemp(parent, prefix)
	if err != nil {
		return nil, fmt.Errorf("move unreadable store aside: %w", err)
	}
	if len(damaged) == 0 {
		to := filepath.Join(aside, filepath.Base(dir))
		if err := os.Rename(dir, to); err != nil {
			return nil, fmt.Errorf("move unreadable store aside: %w", err)
		}
		return []Loss{{What: "the whole store", Why: why.Error(), MovedTo: to}}, nil
	}
	var losses []Loss
	for name, why := range damaged {
		loss := Loss{What: "bucket " + strings.TrimPrefix(name, bucketPrefix), Why: why, MovedTo: filepath.Join(aside, name)}
		err := os.Rename(filepath.Join(streamsDir(dir), name), loss.MovedTo)
		if errors.Is(err, fs.ErrNotExist) {
			loss.MovedTo = ""
		} else if err != nil {
			return losses, fmt.Errorf("move unreadable bucket aside: %w", err)
		}
		losses = append(losses, loss)
	}
	// The marks would name the same losses again.
	marks := readMarks(dir)
	for name := range damaged {
		delete(marks, name)
	}
	return losses, saveMarks(dir, marks)
}
