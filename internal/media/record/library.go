package record

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"strings"
	"sync"
)

// maxSidecar bounds what is read of a file beside a recording, in bytes.
const maxSidecar = 1 << 20

// Library knows every recording and clip. Its methods may be called concurrently.
type Library struct {
	disk disk
	log  *slog.Logger

	mu    sync.Mutex
	items map[string]*item // by id
	byKey map[string]*item
}

// item is a recording. Guarded by Library.mu, except write.
type item struct {
	info    Info
	open    bool       // a take, or whoever finishes it, writes the file
	deleted bool       // its files are going away
	write   sync.Mutex // orders the writes of its sidecar
}

func newLibrary(d disk, log *slog.Logger) *Library {
	return &Library{disk: d, log: log, items: map[string]*item{}, byKey: map[string]*item{}}
}

// add makes a recording known; open means that its file is being written.
func (l *Library) add(info Info, open bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	it := &item{info: info, open: open}
	l.items[info.ID], l.byKey[info.Key] = it, it
}

// update replaces what is known.
func (l *Library) update(info Info) {
	info.Gaps = slices.Clone(info.Gaps)
	l.mu.Lock()
	defer l.mu.Unlock()
	if it := l.items[info.ID]; it != nil {
		it.info = info
		it.open = info.State.open()
	}
}

// write brings what is known to the disk.
func (l *Library) write(id string) error {
	l.mu.Lock()
	it := l.items[id]
	l.mu.Unlock()
	if it == nil {
		return ErrUnknown
	}
	it.write.Lock()
	defer it.write.Unlock()
	l.mu.Lock()
	info, deleted := it.info, it.deleted
	l.mu.Unlock()
	if deleted {
		return ErrUnknown
	}
	data, err := json.MarshalIndent(info, "", " ")
	if err != nil {
		return err
	}
	return replace(l.disk, id+".json", data)
}

// forget takes a recording that has no file off the list.
func (l *Library) forget(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if it := l.items[id]; it != nil {
		delete(l.items, id)
		delete(l.byKey, it.info.Key)
	}
}

// List returns all recordings and clips, the newest first.
func (l *Library) List() []Info {
	l.mu.Lock()
	defer l.mu.Unlock()
	list := make([]Info, 0, len(l.items))
	for _, it := range l.items {
		if it.info.State != starting {
			list = append(list, it.info)
		}
	}
	slices.SortFunc(list, func(a, b Info) int {
		if c := b.Started.Compare(a.Started); c != 0 {
			return c
		}
		return strings.Compare(b.ID, a.ID)
	})
	return list
}

// Get returns one by its id.
func (l *Library) Get(id string) (Info, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if it := l.items[id]; it != nil && it.info.State != starting {
		return it.info, true
	}
	return Info{}, false
}

// ByKey returns one by its secret.
func (l *Library) ByKey(key string) (Info, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if it := l.byKey[key]; it != nil && it.info.State != starting {
		return it.info, true
	}
	return Info{}, false
}

// used is what an owner's files take.
func (l *Library) used(owner string) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := int64(0)
	for _, it := range l.items {
		if it.info.owner() == owner {
			n += it.info.Bytes
		}
	}
	return n
}

// remove deletes a recording and its files. Errors: ErrUnknown, ErrBusy, or the
// disk's, after which it is still known.
func (l *Library) remove(id string) (Info, error) {
	l.mu.Lock()
	it := l.items[id]
	switch {
	case it == nil:
		l.mu.Unlock()
		return Info{}, ErrUnknown
	case it.open:
		defer l.mu.Unlock()
		return it.info, ErrBusy
	}
	it.deleted = true
	info := it.info
	l.mu.Unlock()
	it.write.Lock() // a write in progress would leave its file behind
	defer it.write.Unlock()
	// The media first: what is left without it is swept away at the next start.
	if err := errors.Join(l.disk.Remove(id+".mp4"), l.disk.Remove(id+".json")); err != nil {
		l.mu.Lock()
		defer l.mu.Unlock()
		it.deleted = false
		return info, fmt.Errorf("delete recording: %w", err)
	}
	l.forget(id)
	return info, nil
}

// load reads what is on the disk. Recordings that were not finished are marked
// so; files that belong to nothing of ours, or hold nothing, are removed.
func (l *Library) load() error {
	names, err := l.disk.List()
	if err != nil {
		return fmt.Errorf("recordings: %w", err)
	}
	for _, name := range names {
		id, isMedia := strings.CutSuffix(name, ".mp4")
		switch {
		case isMedia && validID(id):
			info := l.read(id)
			if info.State != Finished {
				info.State = Unfinished
			}
			l.add(info, false)
		case strings.HasSuffix(name, ".new"):
			err = errors.Join(err, l.disk.Remove(name))
		}
	}
	for _, name := range names {
		if id, ok := strings.CutSuffix(name, ".json"); ok && validID(id) && l.items[id] == nil {
			err = errors.Join(err, l.disk.Remove(name))
		}
	}
	if err != nil {
		l.log.Warn("old files of recordings stay", "error", err)
	}
	return nil
}

// read returns what stands beside a file; without it, what its name tells.
func (l *Library) read(id string) Info {
	info := Info{ID: id, Key: newKey(), Kind: Recording, Started: timeOf(id)}
	var there Info
	err := readJSON(l.disk, id+".json", &there)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err == nil && there.ID == id && len(there.Key) >= 20:
		return there
	default:
		l.log.Warn("what is known of a recording cannot be read", "recording", id, "error", err)
	}
	return info
}

// claim takes an unfinished recording to finish it; false: somebody else has it,
// or it is gone.
func (l *Library) claim(id string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	it := l.items[id]
	if it == nil || it.open || it.deleted {
		return false
	}
	it.open = true
	return true
}

// release ends a claim.
func (l *Library) release(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if it := l.items[id]; it != nil {
		it.open = false
	}
}
