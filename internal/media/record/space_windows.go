package record

import (
	"errors"

	"golang.org/x/sys/windows"
)

// diskSpace is what users may still write at a path, and all that there is.
func diskSpace(path string) (free, total uint64, err error) {
	p, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return 0, 0, err
	}
	err = windows.GetDiskFreeSpaceEx(p, &free, &total, nil)
	return free, total, err
}

// isFull reports whether an error says that there is no room.
func isFull(err error) bool { return errors.Is(err, windows.ERROR_DISK_FULL) }
