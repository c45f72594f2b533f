package record

import (
	"context"
	"slices"
	"time"

	"glimpse/internal/media/cmaf"
	"glimpse/internal/media/mp4"
)

// soundTime is how long a clip waits for sound that has to be converted first.
const soundTime = 10 * time.Second

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
	w.from, w.to = mediaTime(w.video[0], 0), endOf(w.video)
	return w, true
}

// mediaTime is the media time of a segment's beginning, and so many ticks.
func mediaTime(s *cmaf.Segment, ticks uint64) time.Duration {
	return mp4.Duration(s.Time+ticks, s.Init.Timescale)
}

func endOf(segments []*cmaf.Segment) time.Duration {
	last := segments[len(segments)-1]
	return mediaTime(last, last.Ticks)
}

// soundSlack is how far behind the pictures the sound may be for a clip to end with it.
const soundSlack = time.Second

// heard returns the window with the sound since a media time, which ends where the
// sound does. An error says why there is silence instead.
func (w window) heard(ctx context.Context, from time.Duration) (window, error) {
	ctx, cancel := context.WithTimeout(ctx, soundTime)
	defer cancel()
	err := w.store.Recall(ctx, from)
	now, _ := windowOf(w.store)
	if end := endOf(now.sound); end > w.to-soundSlack {
		now.to = min(now.to, end)
	}
	return now, err
}

// last is the newest time.
func (w *window) last(d time.Duration) Span {
	to := w.wall(w.to)
	return Span{From: to.Add(-d), To: to}
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
		if mediaTime(s, 0) >= to || mediaTime(s, s.Ticks) <= from && (i+1 == len(segments) || mediaTime(segments[i+1], 0) <= from) {
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
