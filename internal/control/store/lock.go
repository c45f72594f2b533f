package store

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
)

// ErrRunning says that another process holds the data folder.
var ErrRunning = errors.New("already running")

// Lock is the hold on a data folder. The system frees it when the process dies,
// however it dies.
type Lock struct {
	file *os.File
	once sync.Once
}

// LockDataDir makes dir (0700) when it is missing and takes its lock file, so
// that two servers never write the same store. If another process has it, the
// error is ErrRunning and names its pid. Take it before anything else in dir
// and Close it last.
func LockDataDir(dir string) (*Lock, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make data folder: %w", err)
	}
	path := filepath.Join(dir, "lock")
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lock file: %w", err)
	}
	if err := lockFile(file); err != nil {
		pid := readPID(file)
		_ = file.Close()
		if !errors.Is(err, errLocked) {
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		return nil, fmt.Errorf("%w (pid %s) on data folder %s", ErrRunning, pid, dir)
	}
	l := &Lock{file: file}
	if err := l.writePID(); err != nil {
		l.Close()
		return nil, fmt.Errorf("write lock file: %w", err)
	}
	return l, nil
}

// Close frees the folder. It is idempotent. The file stays: removing it would
// let a third process lock a new one beside a second that waits on the old.
func (l *Lock) Close() {
	l.once.Do(func() { _ = l.file.Close() }) // closing frees the lock
}

func (l *Lock) writePID() error {
	if err := l.file.Truncate(0); err != nil {
		return err
	}
	_, err := l.file.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return err
}

// readPID tells who holds the lock; "unknown" when the holder has not written
// it yet.
func readPID(file *os.File) string {
	data, err := io.ReadAll(io.LimitReader(file, 32))
	if err != nil {
		return "unknown"
	}
	pid := strings.TrimSpace(string(data))
	if _, err := strconv.Atoi(pid); err != nil {
		return "unknown"
	}
	return pid
}
