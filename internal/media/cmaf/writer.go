package cmaf

import (
	"slices"
	"time"

	"glimpse/internal/media/frame"
	"glimpse/internal/media/mp4"
)

// boundary is where a segment begins in a rendition.
type boundary struct {
	init          *Init
	wall          time.Time
	key           bool
	lead          bool
	discontinuity bool
	// broken says that the times on both sides do not follow from each other:
	// the last sample before gets its nominal length.
	broken bool
}

// writer builds one rendition. A sample waits until the next one tells its
// length. Owned by the muxer's goroutine.
type writer struct {
	r      *Rendition
	budget *budget
	number uint64 // of the segment that is open, or comes next

	segments []*Segment // closed
	open     *Segment   // nil before the first
	part     *Part      // nil when the next sample begins one
	sequence uint32     // of parts, for mfhd
	breaks   uint64     // discontinuities so far
	since    uint64     // where the latest of them is
	limit    uint64     // PartTarget in ticks of the open segment

	pending sample
	time    uint64        // of pending
	waiting bool          // there is a pending sample
	nominal uint64        // length of a sample when nothing follows
	bytes   int64         // of closed segments and the open one
	length  time.Duration // of closed segments
	dirty   bool          // parts were closed since the last publish
}

// put adds a sample at a decoding time (ticks). at is not nil when it opens a
// segment.
func (w *writer) put(s sample, time uint64, at *boundary) {
	if w.waiting {
		switch {
		case at != nil && at.broken:
			w.commit(w.nominal)
		case time <= w.time: // ill-timed sources: keep the order
			time = w.time + 1
			w.commit(1)
		default:
			w.commit(time - w.time)
		}
	}
	if at != nil {
		w.closeSegment()
		w.openSegment(time, at)
	}
	w.pending, w.time, w.waiting = s, time, true
}

// commit appends the pending sample, now that its length is known.
func (w *writer) commit(length uint64) {
	w.pending.duration = uint32(min(length, 1<<31))
	if w.part != nil && w.part.Ticks+length > w.limit {
		w.closePart()
	}
	if w.part == nil {
		w.sequence++
		video := w.r.kind == frame.Video
		w.part = &Part{
			Time: w.time, Independent: !video || w.pending.key,
			video: video, sequence: w.sequence, samples: make([]sample, 0, 12),
		}
	}
	w.part.samples = append(w.part.samples, w.pending)
	w.part.Ticks += length
	w.part.Frames++
	w.part.Size += len(w.pending.payload)
	w.part.void = w.part.void || w.pending.void
	w.pending, w.waiting = sample{}, false
	if w.part.Ticks+length > w.limit {
		w.closePart()
	}
}

func (w *writer) closePart() {
	p := w.part
	if p == nil {
		return
	}
	w.part = nil
	p.Size += mp4.FragmentSize(p.video, len(p.samples))
	p.Duration = duration(p.Ticks, w.open.Init.Timescale)
	w.open.Parts = append(w.open.Parts, p)
	w.open.Ticks += p.Ticks
	w.open.Duration = duration(w.open.Ticks, w.open.Init.Timescale)
	w.open.Size += p.Size
	w.open.void = w.open.void || p.void
	w.bytes += int64(p.Size)
	w.budget.add(int64(p.Size))
	w.dirty = true
}

func (w *writer) closeSegment() {
	w.closePart()
	if w.open == nil {
		return
	}
	w.open.Closed = true
	w.segments = append(w.segments, w.open)
	w.length += w.open.Duration
	w.open = nil
	w.number++
	w.dirty = true
}

func (w *writer) openSegment(time uint64, at *boundary) {
	if at.discontinuity {
		w.breaks++
	}
	if at.discontinuity || at.lead {
		w.since = time
	}
	w.limit = ticks(PartTarget, at.init.Timescale)
	w.open = &Segment{
		Number: w.number, Init: at.init, Time: time, Wall: at.wall, Key: at.key, Lead: at.lead,
		Discontinuity: at.discontinuity, Discontinuities: w.breaks, Since: w.since,
	}
}

// growing is the bytes of the open segment.
func (w *writer) growing() int64 {
	n := int64(0)
	if w.open != nil {
		n = int64(w.open.Size)
	}
	if w.part != nil {
		n += int64(w.part.Size)
	}
	return n
}

// drop forgets the oldest segment.
func (w *writer) drop() {
	size := int64(w.segments[0].Size)
	w.length -= w.segments[0].Duration
	w.segments = slices.Delete(w.segments, 0, 1)
	w.bytes -= size
	w.budget.add(-size)
	w.dirty = true
}

// publish makes a snapshot of what is new, if anything is.
func (w *writer) publish() {
	if !w.dirty {
		return
	}
	w.dirty = false
	s := &Snapshot{NextNumber: w.number}
	s.Segments = append(make([]*Segment, 0, len(w.segments)+1), w.segments...)
	if w.open != nil && len(w.open.Parts) > 0 {
		seg := *w.open // the parts behind its slice's end are not seen through it
		s.Segments = append(s.Segments, &seg)
		s.NextPart = len(seg.Parts)
	}
	w.r.publish(s)
}
