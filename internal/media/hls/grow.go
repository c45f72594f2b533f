package hls

import (
	"context"
	"net/http"

	"glimpse/internal/media/cmaf"
)

// growTime bounds an answer that grows with its segment: three segments of the
// greatest length (FAULTS part 1).
const growTime = 3 * cmaf.TargetDuration

// grow answers with a segment that is open, or comes next: its parts as they
// come, held until the first is there. No list names such a segment, but DASH
// players that count ask for it (MEDIA C4). One that is not finished in time, or
// never, is cut off, so that nobody takes it for whole.
func (v *viewer) grow(w http.ResponseWriter, r *http.Request, f cmaf.File) {
	s, late := v.await(w, r, f.Rendition, f.Number, 0)
	if s == nil {
		return
	}
	if late {
		unavailable(w)
		return
	}
	release, ok := v.h.viewers.Block(v.stream, v.session)
	if !ok {
		tooMany(w)
		return
	}
	defer release()
	ctx, cancel := context.WithTimeout(r.Context(), growTime)
	defer cancel()
	out := newPatience(w, r)
	defer out.over()
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead {
		return
	}
	for sent := 0; ; s = f.Rendition.Snapshot() {
		seg := s.Segment(f.Number)
		if seg == nil { // trimmed: the viewer is too slow
			panic(http.ErrAbortHandler)
		}
		for ; sent < len(seg.Parts); sent++ {
			if out.write(seg.Parts[sent].Bytes()) != nil {
				return // the viewer has gone
			}
		}
		if seg.Closed {
			return
		}
		if out.control.Flush() != nil {
			return
		}
		select {
		case <-s.Changed():
		case <-v.store.Done():
			panic(http.ErrAbortHandler)
		case <-ctx.Done():
			panic(http.ErrAbortHandler)
		}
	}
}
