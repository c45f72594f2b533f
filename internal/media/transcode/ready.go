package transcode

import (
	"bufio"
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"glimpse/internal/media/frame"
	"glimpse/internal/media/hub"
)

// restock is how long after a ready child was taken the next one is started: the
// one that works now needs the processor more.
const restock = time.Second

// readyLinger is how long a ready child outlives the last run that may need it: a
// publisher that comes and goes does not start one each time.
const readyLinger = 10 * time.Second

// Output implements hub.Output: while the run lasts, a child is ready for the
// conversion that its first listeners will need. Of a process that has to start
// first, the linker alone takes 80 ms of a processor, and several times as long while
// a browser opens a page on the same machine (docs/performance.md). All runs share one
// child for each conversion; it waits for input, and takes no time but that of its
// start. What sound the run has is looked at once: when that changes, the child is of
// no use, and no harm is done.
func (t *Transcoder) Output(ctx context.Context, run *hub.Run) {
	track := firstSound(ctx, run)
	if track == nil {
		return
	}
	args, ok := readyArgs(track)
	if !ok {
		return
	}
	defer t.shelf.need(args)()
	<-ctx.Done()
}

// firstSound waits for a run's sound; nil when ctx or the run ended without.
func firstSound(ctx context.Context, run *hub.Run) *frame.Track {
	rd := run.Subscribe(hub.ReaderOptions{SoundOnly: true, Passive: true})
	defer rd.Close()
	var frames []*frame.Frame
	for {
		var err error
		if frames, err = rd.Next(ctx, frames); err != nil {
			return nil
		}
		if i := slices.IndexFunc(frames, func(f *frame.Frame) bool { return !f.IsVideo() }); i >= 0 {
			return frames[i].Track
		}
	}
}

// readyArgs are the arguments of the child that a track's first listeners need: WebRTC's
// for AAC, all others' for Opus. It says false for sound that is not converted.
func readyArgs(track *frame.Track) ([]string, bool) {
	from, ok := inputs()[hub.Sound(track.Codec.Name())]
	if !ok {
		return nil, false
	}
	form := hub.SoundOpus
	if form.Is(track) {
		form = hub.SoundStandard
	}
	return soundArgs(from.format, outputs()[form], track), true
}

// shelf holds children that have started and were given nothing yet: one for each
// line of arguments that somebody may need. It may be used concurrently.
type shelf struct {
	t     *Transcoder
	mu    sync.Mutex
	kinds map[string]*readyKind // by their arguments
}

// readyKind is a line of arguments. shelf.mu guards it.
type readyKind struct {
	args  []string
	users int         // who may need it
	idle  *time.Timer // takes it off the shelf; nil: it has users
	gone  bool        // it was taken off
	child *child      // the one that waits; nil: it was taken, or has not started
	next  *time.Timer // starts one
}

func key(args []string) string { return strings.Join(args, "\x00") }

// need keeps a child with these arguments ready until release is called.
func (s *shelf) need(args []string) (release func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.kinds[key(args)]
	if k == nil {
		k = &readyKind{args: args}
		s.kinds[key(args)] = k
		k.next = time.AfterFunc(0, func() { s.stock(k) })
	}
	k.users++
	if k.idle != nil {
		k.idle.Stop()
		k.idle = nil
	}
	return func() { s.release(k) }
}

func (s *shelf) release(k *readyKind) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if k.users--; k.users == 0 {
		k.idle = time.AfterFunc(readyLinger, func() { s.drop(k) })
	}
}

// drop takes a kind off the shelf if still nobody needs it.
func (s *shelf) drop(k *readyKind) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if k.users > 0 || k.gone {
		return
	}
	k.gone = true
	delete(s.kinds, key(k.args))
	k.next.Stop()
	if k.child != nil {
		k.child.kill() // stock collects it
	}
}

// take returns the child that waits with these arguments, nil when there is none. The
// caller owns it, and has to count it.
func (s *shelf) take(args []string) *child {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.kinds[key(args)]
	if k == nil || k.child == nil {
		return nil
	}
	c := k.child
	k.child = nil
	k.next.Reset(restock)
	return c
}

// count is how many wait.
func (s *shelf) count() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range s.kinds {
		if k.child != nil {
			n++
		}
	}
	return n
}

// stock starts a child and keeps it until it is taken, nobody needs it, or it dies;
// then another one is tried after the longest pause.
func (s *shelf) stock(k *readyKind) {
	if s.t.begin() != nil {
		return
	}
	defer s.t.work.Done()
	c, err := s.t.spawn(s.t.ctx, job{args: k.args})
	if err != nil {
		s.t.log.Debug("no ffmpeg is kept ready", "err", err)
		s.again(k)
		return
	}
	// It says nothing before it is given something: a first byte is of the one who
	// took it, and an end is its own.
	out := &awaited{out: bufio.NewReader(c.stdout), spoke: make(chan struct{})}
	c.stdout = out
	s.mu.Lock()
	needed := !k.gone
	if needed {
		k.child = c
	} else {
		c.kill()
	}
	s.mu.Unlock()
	_, _ = out.out.Peek(1)
	close(out.spoke)
	s.mu.Lock()
	taken := needed && k.child != c
	if !taken {
		k.child = nil
	}
	s.mu.Unlock()
	if taken {
		return
	}
	c.kill()
	_ = c.collect()
	s.again(k)
}

// again tries another child later, if one is needed.
func (s *shelf) again(k *readyKind) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !k.gone {
		k.next.Reset(longestPause)
	}
}

// awaited is the output of a child that was ready: the goroutine that waited for its
// first byte or its end reads first.
type awaited struct {
	out   *bufio.Reader
	spoke chan struct{}
}

// Read implements io.Reader.
func (a *awaited) Read(b []byte) (int, error) {
	<-a.spoke
	return a.out.Read(b)
}
