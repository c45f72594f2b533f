// Package storage keeps the small key-value storage that apps have for each of
// their wearers (WIRE b.1, session.simpleStorage and session.storage in SDKs).
//
// All pairs of one app and wearer are one value of one bucket, so that a batch
// is stored whole or not at all, and reading everything, which is what SDKs do
// first, is one read. A write is on disk before it returns.
//
// Locks: one per group of owners, held while the store is read and written;
// they never nest.
package storage

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"sync"
	"unicode/utf8"

	"glimpse/internal/control/store"
)

// The bounds of what an app may store. SDKs check MaxValue themselves and know
// MaxTotal as "1MB".
const (
	MaxKey   = 512     // bytes of a key; the shortest has one
	MaxValue = 100_000 // UTF-16 code units of a value, as JavaScript counts
	MaxKeys  = 10_000  // of one app and wearer
	MaxTotal = 1 << 20 // bytes of all pairs of one app and wearer as JSON
)

// Bucket is the name of the bucket in the store. It should be bounded there: apps
// fill it.
const Bucket = "app_storage"

// The refusals of Merge; test with errors.Is.
var (
	// ErrInvalid says that a key or value is not acceptable.
	ErrInvalid = errors.New("invalid entry")
	// ErrFull says that the app's storage for the wearer would get too big, or
	// that of all apps together.
	ErrFull = errors.New("storage is full")
)

// Storage is the storage of all apps. It is safe for concurrent use; calls for
// one app and wearer run one after the other. Packages and users are ids as
// auth.ValidName has them, users in the spelling of auth.UserID.
type Storage struct {
	bucket *store.Bucket[record]
	locks  [64]sync.Mutex // by owner
}

// record is the value in the store. Data is a JSON object of strings; as bytes
// it does not grow by the store's escaping.
type record struct {
	Data []byte `json:"data"`
}

// New opens the storage in backend.
func New(ctx context.Context, backend store.Backend) (*Storage, error) {
	bucket, err := store.Open[record](ctx, backend, Bucket)
	if err != nil {
		return nil, err
	}
	return &Storage{bucket: bucket}, nil
}

// All returns every pair of an app and wearer; without any, an empty map. The
// map is the caller's.
func (s *Storage) All(ctx context.Context, pkg, user string) (map[string]string, error) {
	owner := ownerOf(pkg, user)
	defer s.lock(owner)()
	return s.read(ctx, owner)
}

// Merge adds pairs to those that are there and replaces values of the same key;
// either all of them or none. Errors: ErrInvalid, ErrFull, or the store's.
func (s *Storage) Merge(ctx context.Context, pkg, user string, pairs map[string]string) error {
	for key, value := range pairs {
		if err := check(key, value); err != nil {
			return err
		}
	}
	return s.change(ctx, ownerOf(pkg, user), func(data map[string]string) { maps.Copy(data, pairs) })
}

// Delete removes a key; one that is not there is no error.
func (s *Storage) Delete(ctx context.Context, pkg, user, key string) error {
	return s.change(ctx, ownerOf(pkg, user), func(data map[string]string) { delete(data, key) })
}

// Clear removes everything of an app and wearer; nothing there is no error.
func (s *Storage) Clear(ctx context.Context, pkg, user string) error {
	owner := ownerOf(pkg, user)
	defer s.lock(owner)()
	return s.remove(ctx, owner)
}

// change reads the pairs of an owner, lets f change them and stores what came
// of it, unless nothing did.
func (s *Storage) change(ctx context.Context, owner string, f func(map[string]string)) error {
	defer s.lock(owner)()
	data, err := s.read(ctx, owner)
	if err != nil {
		return err
	}
	before := maps.Clone(data)
	f(data)
	switch {
	case maps.Equal(before, data):
		return nil
	case len(data) == 0:
		return s.remove(ctx, owner)
	case len(data) > MaxKeys:
		return fmt.Errorf("%w: more than %d keys", ErrFull, MaxKeys)
	}
	encoded, err := encode(data)
	if err != nil {
		return fmt.Errorf("write app storage: %w", err)
	}
	if len(encoded) > MaxTotal {
		return fmt.Errorf("%w: all pairs together exceed 1 MB", ErrFull)
	}
	err = s.bucket.Put(ctx, owner, record{Data: encoded})
	if errors.Is(err, store.ErrFull) {
		return fmt.Errorf("%w: the server has no room for more", ErrFull)
	}
	return err
}

func (s *Storage) read(ctx context.Context, owner string) (map[string]string, error) {
	data := map[string]string{}
	found, err := s.bucket.Get(ctx, owner)
	if errors.Is(err, store.ErrNotFound) {
		return data, nil
	}
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(found.Data, &data); err != nil {
		return nil, fmt.Errorf("read app storage of %q: %w", owner, err)
	}
	return data, nil
}

func (s *Storage) remove(ctx context.Context, owner string) error {
	if err := s.bucket.Delete(ctx, owner); err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	return nil
}

// lock holds the lock of an owner until what it returns is called.
func (s *Storage) lock(owner string) (unlock func()) {
	hash := fnv.New32a()
	_, _ = hash.Write([]byte(owner)) // never fails
	mu := &s.locks[hash.Sum32()%uint32(len(s.locks))]
	mu.Lock()
	return mu.Unlock
}

// ownerOf is the key in the bucket; neither id holds a space.
func ownerOf(pkg, user string) string { return pkg + " " + user }

// check returns the first fault of a pair. Keys and values are an app's own and
// stay out of errors.
func check(key, value string) error {
	switch {
	case key == "" || len(key) > MaxKey:
		return fmt.Errorf("%w: a key has 1 to %d bytes", ErrInvalid, MaxKey)
	case units(value) > MaxValue:
		return fmt.Errorf("%w: a value exceeds 100 KB", ErrInvalid)
	}
	return nil
}

// units is the length of a text in UTF-16 code units.
func units(text string) int {
	n := utf8.RuneCountInString(text)
	for _, r := range text {
		if r > 0xFFFF { // a surrogate pair
			n++
		}
	}
	return n
}

// encode writes pairs as JSON without the escapes that only HTML needs.
func encode(data map[string]string) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(data); err != nil {
		return nil, err
	}
	return bytes.TrimRight(b.Bytes(), "\n"), nil
}
