package record

import (
	"slices"
	"time"

	"glimpse/internal/media/cmaf"
	"glimpse/internal/media/mp4"
)

// window is what is kept in memory of a live stream.
type window struct {
	store        *cmaf.Store
	video, sound []*cmaf.Segment
	from, to     time.Duration // media time
}

// windowOf returns the window of a store; ok is false while there is nothing in it.
func windowOf(s *cmaf.Store) (w window, ok bool) {
	if s == nil {
		return w, false
	}
	w = window{store: s, video: s.Video().Snapshot().Segments, sound: s.Audio().Snapshot().Segments}
	for len(w.video) > 0 && w.video[0].Lead {
		w.video = w.video[1:]
	}
	if len(w.video) == 0 || len(w.sound) == 0 {
		return w, false
	}
	first, last := w.video[0], w.video[len(w.video)-1]
	clock := mp4.Track{Timescale: first.Init.Timescale}
	w.from, w.to = clock.Time(first.Time), clock.Time(last.Time+last.Ticks)
	return w, true
}

// wall is the wall clock of a media time.
func (w *window) wall(t time.Duration) time.Time { return w.store.Origin().Add(t) }

// media is the inverse.
func (w *window) media(at time.Time) time.Duration { return at.Sub(w.store.Origin()) }

// cut takes a time out of the window, the part of it since the last change of
// parameters. Errors: ErrRange, or what the codec is refused for.
func (w *window) cut(from, to time.Duration) (*cutting, error) {
	c := &cutting{from: max(from, w.from), to: min(to, w.to)}
	pictures := newest(w.video, c.from, c.to)
	sound := newest(w.sound, c.from, c.to)
	if len(pictures) == 0 || len(sound) == 0 {
		return nil, ErrRange
	}
	for i, s := range []*cmaf.Segment{pictures[0], sound[0]} {
		t, err := mp4.NewTrack(uint32(i+1), s.Init.Codec)
		if err != nil {
			return nil, err
		}
		c.tracks[i] = t
	}
	c.video, c.sound = pictures[0].Init.Codec.Name(), sound[0].Init.Codec.Name()
	c.from = max(c.from, c.tracks[video].Time(pictures[0].Time))
	c.wall = w.wall(c.from)
	for i, segments := range [][]*cmaf.Segment{pictures, sound} {
		for _, s := range segments {
			for _, part := range s.Parts {
				b := part.Bytes()
				run, err := mp4.Part(b)
				if err != nil {
					return nil, err
				}
				run.Track = i
				c.pieces = append(c.pieces, piece{run, b[run.At:]})
			}
		}
	}
	// Both tracks in the order of time, so that players need not seek.
	slices.SortStableFunc(c.pieces, func(a, b piece) int {
		return int(c.tracks[a.run.Track].Time(a.run.Time) - c.tracks[b.run.Track].Time(b.run.Time))
	})
	if !c.trim() {
		return nil, ErrRange
	}
	return c, nil
}

// newest are the segments that overlap a time and have the parameters of the last
// of them. One segment more stands at the front when it does: pictures begin with
// a key frame that is shown by then.
func newest(segments []*cmaf.Segment, from, to time.Duration) []*cmaf.Segment {
	var list []*cmaf.Segment
	for i, s := range segments {
		clock := mp4.Track{Timescale: s.Init.Timescale}
		if clock.Time(s.Time) >= to || clock.Time(s.Time+s.Ticks) <= from && (i+1 == len(segments) || clock.Time(segments[i+1].Time) <= from) {
			continue
		}
		if len(list) > 0 && list[len(list)-1].Init != s.Init || s.Lead {
			list = nil
		}
		if len(list) == 0 && i > 0 && segments[i-1].Init == s.Init && !segments[i-1].Lead && !s.Lead {
			list = append(list, segments[i-1])
		}
		if !s.Lead {
			list = append(list, s)
		}
	}
	return list
}
