// Package poster keeps the last picture of streams that are over, as a JPEG on
// disk, so that a card of the stream still shows something. Files are named by a
// hash of the playback id, which is what a viewer must know to see the stream at
// all; os.Root keeps them in one folder.
//
// What is kept is bounded by number, bytes and age. One goroutine makes the
// pictures, so that a stream that ends waits for none.
package poster

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"glimpse/internal/media/hub"
)

// maxWaiting runs wait for their picture; more go without.
const maxWaiting = 16

// makeTime bounds the making of one.
const makeTime = 10 * time.Second

// Config of a Store. Dir and Picture are needed; other zero fields take the
// defaults.
type Config struct {
	Dir string // made when missing
	// Picture makes the newest picture of a run, and tells when it was taken.
	Picture  func(ctx context.Context, run *hub.Run) (jpeg []byte, at time.Time, err error)
	MaxFiles int           // default 500
	MaxBytes int64         // default 64 MiB
	MaxAge   time.Duration // default 30 days
	Log      *slog.Logger  // nil: none
}

// Store keeps posters. Safe for concurrent use.
type Store struct {
	cfg  Config
	root *os.Root
	ctx  context.Context // ends with Close
	quit context.CancelFunc
	jobs chan *hub.Run
	wg   sync.WaitGroup

	mu sync.Mutex // while the folder changes
}

// New opens the folder. Close the store.
func New(cfg Config) (*Store, error) {
	if cfg.MaxFiles == 0 {
		cfg.MaxFiles = 500
	}
	if cfg.MaxBytes == 0 {
		cfg.MaxBytes = 64 << 20
	}
	if cfg.MaxAge == 0 {
		cfg.MaxAge = 30 * 24 * time.Hour
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("posters: %w", err)
	}
	root, err := os.OpenRoot(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("posters: %w", err)
	}
	s := &Store{cfg: cfg, root: root, jobs: make(chan *hub.Run, maxWaiting)}
	s.ctx, s.quit = context.WithCancel(context.Background())
	s.trim()
	s.wg.Go(s.work)
	return s, nil
}

// Close ends the making of pictures. Idempotent.
func (s *Store) Close() {
	s.quit()
	s.wg.Wait()
	_ = s.root.Close()
}

// Output is for the hub: it asks for a picture when a run is over. Runs that end
// after Close, with the server, get none, nor does a standing stream that was
// deleted.
func (s *Store) Output(ctx context.Context, run *hub.Run) {
	select {
	case <-run.Done():
	case <-ctx.Done():
	}
	of := run.Stream()
	if deleted := of.Standing() && of.State() == hub.StateEnded; deleted || s.ctx.Err() != nil {
		return
	}
	select {
	case s.jobs <- run:
	default:
		s.cfg.Log.Warn("no poster: too many streams end at once", "stream", of.ID())
	}
}

func (s *Store) work() {
	for {
		select {
		case run := <-s.jobs:
			s.make(run)
		case <-s.ctx.Done():
			return
		}
	}
}

func (s *Store) make(run *hub.Run) {
	ctx, cancel := context.WithTimeout(s.ctx, makeTime)
	defer cancel()
	jpeg, at, err := s.cfg.Picture(ctx, run)
	if err == nil {
		err = s.put(run.Stream().PlaybackID(), jpeg, at)
	}
	if err != nil && s.ctx.Err() == nil {
		s.cfg.Log.Warn("no poster", "stream", run.Stream().ID(), "err", err)
	}
}

const suffix = ".jpg"

// fileOf is the name of a playback id's file.
func fileOf(playbackID string) string {
	sum := sha256.Sum256([]byte(playbackID))
	return hex.EncodeToString(sum[:16]) + suffix
}

// put writes a poster: whole, or not at all.
func (s *Store) put(playbackID string, jpeg []byte, at time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := fileOf(playbackID)
	if err := s.root.WriteFile(name+".new", jpeg, 0o600); err != nil {
		_ = s.root.Remove(name + ".new")
		return fmt.Errorf("write poster: %w", err)
	}
	_ = s.root.Chtimes(name+".new", at, at) // else it is as old as its file
	if err := s.root.Rename(name+".new", name); err != nil {
		return fmt.Errorf("write poster: %w", err)
	}
	s.trimLocked()
	return nil
}

// Get returns the poster of a playback id and when it was taken; ok is false when
// there is none.
func (s *Store) Get(playbackID string) (jpeg []byte, at time.Time, ok bool) {
	name := fileOf(playbackID)
	info, err := s.root.Lstat(name)
	if err != nil || !info.Mode().IsRegular() || info.Size() > s.cfg.MaxBytes {
		return nil, time.Time{}, false
	}
	if jpeg, err = s.root.ReadFile(name); err != nil {
		return nil, time.Time{}, false
	}
	return jpeg, info.ModTime(), true
}

// Delete forgets a playback id's poster; one that is not there is no error.
func (s *Store) Delete(playbackID string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.root.Remove(fileOf(playbackID)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("delete poster: %w", err)
	}
	return nil
}

func (s *Store) trim() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.trimLocked()
}

// trimLocked deletes what is too old or too much, and what a killed server left
// unfinished.
func (s *Store) trimLocked() {
	entries, err := fs.ReadDir(s.root.FS(), ".")
	if err != nil {
		s.cfg.Log.Error("posters cannot be listed", "err", err)
		return
	}
	var files []fs.FileInfo
	for _, e := range entries {
		info, err := e.Info()
		switch {
		case err != nil || !info.Mode().IsRegular():
		case strings.HasSuffix(e.Name(), suffix):
			files = append(files, info)
		case strings.HasSuffix(e.Name(), suffix+".new"):
			_ = s.root.Remove(e.Name())
		}
	}
	slices.SortFunc(files, func(a, b fs.FileInfo) int { return b.ModTime().Compare(a.ModTime()) })
	bytes := int64(0)
	for i, f := range files {
		bytes += f.Size()
		if i >= s.cfg.MaxFiles || bytes > s.cfg.MaxBytes || time.Since(f.ModTime()) > s.cfg.MaxAge {
			_ = s.root.Remove(f.Name()) // the next one tries again
		}
	}
}
