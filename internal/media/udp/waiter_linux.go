package udp

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// waiter waits for a moment or for a socket's first datagram, by the runtime's poller
// and yet for nothing else: the poller has an epoll of our own, in which there are a
// timer and, while it is waited for, the socket. The runtime's own timers
// would cost twice as much: they wake a second thread to help, and the poller counts
// in whole milliseconds. For one goroutine, but for wake.
type waiter struct {
	epoll *os.File
	raw   syscall.RawConn
	timer int // a timerfd

	socket int
	pause  time.Duration // what turn is to arm; 0: the socket
	armed  bool
	failed error
	turn   func(fd uintptr) bool
	woken  atomic.Bool
}

func newWaiter(socket int) (*waiter, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll: %w", err)
	}
	timer, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_CLOEXEC|unix.TFD_NONBLOCK)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("timer: %w", err), unix.Close(fd))
	}
	w := &waiter{timer: timer, socket: socket}
	err = errors.Join(unix.SetNonblock(fd, true), // else the runtime would not poll it
		unix.EpollCtl(fd, unix.EPOLL_CTL_ADD, timer, &unix.EpollEvent{Events: unix.EPOLLIN}))
	w.epoll = os.NewFile(uintptr(fd), "epoll")
	if err == nil {
		w.raw, err = w.epoll.SyscallConn()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("epoll: %w", err), w.close())
	}
	w.turn = w.arm
	return w, nil
}

// wait waits for the next multiple of pause, or for the first datagram when that is 0,
// or for wake. It may return early.
func (w *waiter) wait(pause time.Duration) error {
	w.pause, w.armed, w.failed = pause, false, nil
	return errors.Join(w.raw.Read(w.turn), w.failed)
}

// arm is called before the poller waits, so that no event is missed, and afterwards.
func (w *waiter) arm(fd uintptr) bool {
	switch {
	case w.armed:
		if w.pause <= 0 {
			w.failed = w.watch(int(fd), unix.EPOLL_CTL_DEL)
		}
		return true
	case w.pause > 0:
		w.failed = w.ring(until(w.pause))
	default:
		w.failed = w.watch(int(fd), unix.EPOLL_CTL_ADD)
	}
	w.armed = true
	return w.failed != nil || w.woken.Swap(false) && w.arm(fd)
}

// watch begins or ends waiting for the socket. It is not left in the epoll for other
// events or none: what was ready there once is not told again.
func (w *waiter) watch(epoll int, what int) error {
	if err := unix.EpollCtl(epoll, what, w.socket, &unix.EpollEvent{Events: unix.EPOLLIN}); err != nil {
		return fmt.Errorf("epoll: %w", err)
	}
	return nil
}

// wake ends wait, or the next one.
func (w *waiter) wake() error {
	w.woken.Store(true)
	return w.ring(0)
}

// ring sets the timer.
func (w *waiter) ring(in time.Duration) error {
	at := unix.ItimerSpec{Value: unix.NsecToTimespec(int64(max(in, 1)))}
	if _, _, err := unix.RawSyscall6(unix.SYS_TIMERFD_SETTIME, uintptr(w.timer), 0, uintptr(unsafe.Pointer(&at)), 0, 0, 0); err != 0 {
		return fmt.Errorf("timer: %w", err)
	}
	return nil
}

// close ends wait.
func (w *waiter) close() error { return errors.Join(w.epoll.Close(), unix.Close(w.timer)) }
