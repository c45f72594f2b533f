package strangers

import (
	"errors"
	"net"
	"slices"
	"sync"
	"time"
)

const (
	// porchSize bounds those who wait on a porch; one costs a descriptor and about 1 KiB.
	porchSize = 1024
	// porchCome are taken from the system at once, so that who comes after a crowd is
	// looked at before all of that has come in.
	porchCome = 128
	// porchLook is how long a newcomer waits at most until it is looked at again.
	porchLook = 5 * time.Millisecond
)

// Spoken says what a newcomer has said so far, without waiting for more: whether that
// needs no place, and whether it is known at all, so that nobody need ask again.
type Spoken func(c net.Conn) (past, known bool)

// Porch puts who connects to l through the door, as Listener does, but those for whom
// there is no room wait on a porch, and not in the way of others: who has spoken for
// itself comes in past the crowd (see IsPast), at most 5 ms later, the others when
// somebody has gone, in the order in which they came. A full porch holds up all. While
// there is room everybody has a place, however many come at once.
//
// The listener has one goroutine, which ends with Close. Accept is for one goroutine,
// which must call it until it fails; spoken is called by that one.
func (d *Door) Porch(l net.Listener, spoken Spoken) net.Listener {
	if d == nil {
		return l
	}
	p := &porch{Listener: l, door: d, spoken: spoken, came: make(chan net.Conn, porchCome), failed: make(chan error), closing: make(chan struct{})}
	p.wg.Go(p.accept)
	return p
}

type porch struct {
	net.Listener
	door    *Door
	spoken  Spoken
	came    chan net.Conn
	failed  chan error
	closing chan struct{}
	once    sync.Once
	wg      sync.WaitGroup

	// Accept's:
	waiting []*newcomer // in the order in which they came
	past    []*conn     // who need not wait any more
	looked  time.Time   // at those who wait, last
}

// newcomer is a connection on the porch.
type newcomer struct {
	conn   *conn
	looked bool // it was asked what it said,
	known  bool // and that is known
}

// accept takes connections until the listener is closed.
func (l *porch) accept() {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			select {
			case l.failed <- err:
			case <-l.closing:
				return
			}
			if passes(err) {
				continue
			}
			return
		}
		select {
		case l.came <- c:
		case <-l.closing:
			_ = c.Close()
			return
		}
	}
}

// Accept waits for the next connection that comes in.
func (l *porch) Accept() (net.Conn, error) {
	for {
		for more := true; more && len(l.waiting) < porchSize; {
			select {
			case c := <-l.came:
				l.wait(c)
			default:
				more = false
			}
		}
		c, full := l.next()
		if c != nil {
			return c, nil
		}
		came, again := l.came, (<-chan time.Time)(nil)
		if len(l.waiting) > 0 {
			again = time.After(min(full, porchLook))
		}
		if len(l.waiting) >= porchSize {
			came = nil
		}
		select {
		case c := <-came:
			l.wait(c)
		case <-again:
		case err := <-l.failed:
			return nil, l.fail(err)
		case <-l.closing:
			return nil, l.fail(net.ErrClosed)
		}
	}
}

func (l *porch) wait(c net.Conn) { l.waiting = append(l.waiting, &newcomer{conn: &conn{Conn: c}}) }

// next is who comes in now; nil when nobody does before full is over, unless one of
// those who wait speaks. Nobody is asked what it said while there is room.
func (l *porch) next() (c *conn, full time.Duration) {
	if len(l.past) == 0 && len(l.waiting) > 0 && !l.door.hasRoom(l.waiting[0].conn.peer()) {
		l.look()
	}
	if len(l.past) > 0 {
		c, l.past = l.past[0], l.past[1:]
		return c, 0
	}
	if len(l.waiting) == 0 {
		return nil, 0
	}
	first := l.waiting[0].conn
	if first.place, full = l.door.try(first.peer(), first.leave, true); first.place == nil {
		return nil, full
	}
	l.waiting = l.waiting[1:]
	return first, 0
}

// fail sends away those who wait when no more are accepted.
func (l *porch) fail(err error) error {
	if passes(err) {
		return err
	}
	for _, n := range l.waiting {
		_ = n.conn.Conn.Close()
	}
	for _, c := range l.past {
		_ = c.Conn.Close()
	}
	l.waiting, l.past = nil, nil
	return err
}

// passes reports whether a listener may go on after an error.
func passes(err error) bool {
	var passing interface{ Temporary() bool }
	return errors.As(err, &passing) && passing.Temporary()
}

// look asks those who wait what they have said: all when it is time, else who has
// only come.
func (l *porch) look() {
	all := time.Since(l.looked) >= porchLook
	if all {
		l.looked = time.Now()
	}
	l.waiting = slices.DeleteFunc(l.waiting, func(n *newcomer) bool {
		if n.known || n.looked && !all {
			return false
		}
		past, known := l.spoken(n.conn)
		if n.looked, n.known, n.conn.past = true, known, past; past {
			l.past = append(l.past, n.conn)
		}
		return past
	})
}

// Close ends accepting.
func (l *porch) Close() error {
	err := net.ErrClosed
	l.once.Do(func() {
		err = l.Listener.Close()
		close(l.closing)
		l.wg.Wait()
		for len(l.came) > 0 {
			select {
			case c := <-l.came:
				_ = c.Close()
			default: // Accept was faster
			}
		}
	})
	return err
}
