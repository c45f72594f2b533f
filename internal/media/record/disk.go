package record

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// file is an open file of a recording.
type file interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Sync() error
	Truncate(size int64) error
}

// disk is the folder of the recordings. Names are ours. Tests put faults here.
type disk interface {
	// Create makes a new file; it fails when there is one.
	Create(name string) (file, error)
	// Open opens a file to read and write, and tells its size.
	Open(name string) (file, int64, error)
	Remove(name string) error
	// Rename replaces what has the new name.
	Rename(from, to string) error
	// List returns the names of all files.
	List() ([]string, error)
}

// space tells how much room a file system has.
type space interface {
	Space() (free, total uint64, err error)
}

// folder is the real disk.
type folder struct {
	root *os.Root
	path string
}

func openFolder(path string) (*folder, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("recordings: %w", err)
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, fmt.Errorf("recordings: %w", err)
	}
	return &folder{root: root, path: path}, nil
}

func (d *folder) Create(name string) (file, error) {
	f, err := d.root.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	return f, nil
}

func (d *folder) Open(name string) (file, int64, error) {
	f, err := d.root.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return nil, 0, err
	}
	st, err := f.Stat()
	if err == nil && !st.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a file", name)
	}
	if err != nil {
		_ = f.Close()
		return nil, 0, err
	}
	return f, st.Size(), nil
}

func (d *folder) Remove(name string) error {
	if err := d.root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (d *folder) Rename(from, to string) error { return d.root.Rename(from, to) }

func (d *folder) List() ([]string, error) {
	entries, err := fs.ReadDir(d.root.FS(), ".")
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if e.Type().IsRegular() {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

func (d *folder) Space() (free, total uint64, err error) { return diskSpace(filepath.Clean(d.path)) }

// replace writes a small file whole or not at all.
func replace(d disk, name string, data []byte) error {
	temporary := name + ".new"
	if err := d.Remove(temporary); err != nil { // of a process that was killed
		return err
	}
	f, err := d.Create(temporary)
	if err != nil {
		return err
	}
	err = errors.Join(writeAt(f, data, 0), f.Sync(), f.Close())
	if err == nil {
		err = d.Rename(temporary, name)
	}
	if err != nil {
		return errors.Join(err, d.Remove(temporary))
	}
	return nil
}
