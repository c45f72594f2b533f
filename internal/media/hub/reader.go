package hub

import (
	"context"
	"io"
	"slices"
	"sync/atomic"

	"glimpse/internal/media/frame"
)

// maxBatch bounds what one Next hands out, so that a reader which catches up
// does not hold the ring's lock for long.
const maxBatch = 512

// ReaderOptions say where and how a reader follows.
type ReaderOptions struct {
	// Live starts at the next key frame; otherwise at the newest one in the
	// ring, so that the picture is there at once.
	Live bool
	// PictureWake lets sound wait in the ring for the next picture: Next
	// returns when a picture came, with the sound before it, or when sound is
	// more than 40 ms ahead of the pictures.
	PictureWake bool
}

// Reader is a cursor in a run's ring, for one goroutine. It costs the publisher
// one channel operation a frame and never makes it wait.
type Reader struct {
	run         *Run
	pictureWake bool
	wake        chan struct{}
	dropped     atomic.Uint64

	next    uint64 // index of the next frame
	waitKey bool   // skip to a key frame
}

// Subscribe returns a reader; Close it.
func (r *Run) Subscribe(o ReaderOptions) *Reader {
	rd := &Reader{run: r, pictureWake: o.PictureWake, wake: make(chan struct{}, 1)}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.hasKey && !o.Live {
		rd.next = r.key
	} else {
		rd.next, rd.waitKey = r.base+uint64(len(r.frames)), true
	}
	r.readers = append(r.readers, rd)
	rd.signal()
	return rd
}

// signal wakes Next. Never blocks.
func (rd *Reader) signal() {
	select {
	case rd.wake <- struct{}{}:
	default:
	}
}

// Next waits until there is a frame and returns all that are there (at most
// 512), appended to buf[:0]. The first frame of a reader, and the first after a
// loss, is a key frame. Frames are shared and read-only. Errors: io.EOF when
// the run is over and everything was read, ctx.Err().
func (rd *Reader) Next(ctx context.Context, buf []*frame.Frame) ([]*frame.Frame, error) {
	for {
		buf, ended := rd.take(buf[:0])
		if len(buf) > 0 {
			return buf, nil
		}
		if ended {
			return nil, io.EOF
		}
		select {
		case <-rd.wake:
		case <-rd.run.done:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// take copies what is there.
func (rd *Reader) take(buf []*frame.Frame) (_ []*frame.Frame, ended bool) {
	r := rd.run
	r.mu.RLock()
	defer r.mu.RUnlock()
	end := r.base + uint64(len(r.frames))
	rd.skip(end)
	for rd.next < end && len(buf) < maxBatch {
		f := r.frames[rd.next-r.base]
		rd.next++
		if rd.waitKey && !f.Key {
			rd.dropped.Add(1)
			continue
		}
		rd.waitKey = false
		buf = append(buf, f)
	}
	if rd.next < end {
		rd.signal() // the rest of a large batch
	}
	return buf, r.ended && rd.next >= end
}

// skip moves a cursor that fell out of the ring, or too far behind, to the
// newest key frame.
func (rd *Reader) skip(end uint64) {
	r := rd.run
	lost := rd.next < r.base
	if !lost && r.hasKey && rd.next < r.key {
		last, at := r.frames[len(r.frames)-1], r.frames[rd.next-r.base]
		lost = last.DTS-at.DTS > r.stream.hub.cfg.MaxLag
	}
	if !lost {
		return
	}
	to := end
	if r.hasKey && r.key >= rd.next {
		to = r.key
	}
	rd.dropped.Add(to - rd.next)
	rd.next, rd.waitKey = to, true
}

// Dropped counts the frames this reader lost by being slow.
func (rd *Reader) Dropped() uint64 { return rd.dropped.Load() }

// Close ends the reader. It is idempotent and may be called from anywhere, but
// does not wake a Next in progress: end its context for that.
func (rd *Reader) Close() {
	r := rd.run
	r.mu.Lock()
	defer r.mu.Unlock()
	if i := slices.Index(r.readers, rd); i >= 0 {
		r.readers = slices.Delete(r.readers, i, i+1)
		r.stream.lost.Add(rd.Dropped())
	}
}
