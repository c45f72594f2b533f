package record

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"glimpse/internal/media/cmaf"
	"glimpse/internal/media/hub"
	"glimpse/internal/media/mp4"
)

// MaxClip bounds clips.
const MaxClip = 10 * time.Minute

// maxClips bounds the clips that are made at the same time.
const maxClips = 4

// windowSlack is how much later than asked a clip may begin before it is looked
// for in a recording.
const windowSlack = 500 * time.Millisecond

// Stores finds the media that is kept of a run: *cmaf.Packager.
type Stores interface {
	Store(run *hub.Run) *cmaf.Store
}

// Span is the time of a clip: the newest Last, or between two wall clocks.
type Span struct {
	Last     time.Duration // 0: From and To count
	From, To time.Time
}

// Clip makes a clip of a live stream: out of what is in memory, and of its
// recordings where that is not enough. The app by, or the operator (""), asked.
// A clip holds no change of parameters: it begins after the last one. Errors:
// ErrTooLong, ErrRange, ErrMany, ErrQuota, ErrDiskFull, ErrNotLive, or the disk's.
func (r *Recorder) Clip(ctx context.Context, stores Stores, s *hub.Stream, span Span, by string) (Info, error) {
	w, live := windowOf(stores.Store(s.Run()))
	if span.Last > 0 && !live {
		return Info{}, ErrNotLive
	}
	asked := span
	if span.Last > 0 {
		span = w.last(span.Last)
	}
	if err := checkSpan(span); err != nil {
		return Info{}, err
	}
	info := Info{Stream: s.ID(), Wearer: wearerOf(s), By: by}
	if s.Standing() {
		info.Name = s.Name()
	}
	if !live || w.media(span.From) < w.from-windowSlack {
		if id, ok := r.recorded(s.ID(), span); ok {
			return r.ClipRecording(ctx, id, span, by)
		}
	}
	if !live {
		return Info{}, ErrRange
	}
	return r.clip(ctx, info, nil, func() (*cutting, error) {
		w, silent := w.heard(ctx, w.media(span.From)-soundSlack)
		if asked.Last > 0 {
			span = w.last(asked.Last)
		}
		c, err := w.cut(w.media(span.From), w.media(span.To))
		if err == nil && silent != nil {
			r.cfg.Log.Warn("a clip is silent", "stream", info.Stream, "error", silent)
			c.problem = "Its sound could not be converted to AAC: it is silent where nobody had listened."
		}
		return c, err
	})
}

func checkSpan(span Span) error {
	switch d := span.To.Sub(span.From); {
	case d <= 0:
		return ErrRange
	case d > MaxClip:
		return ErrTooLong
	}
	return nil
}

// recorded is the recording that shows most of a time.
func (r *Recorder) recorded(stream string, span Span) (id string, ok bool) {
	most := time.Duration(0)
	for _, in := range r.lib.List() {
		if in.Stream != stream || in.Kind != Recording {
			continue
		}
		from, to := span.From, span.To
		if in.Started.After(from) {
			from = in.Started
		}
		if in.End().Before(to) {
			to = in.End()
		}
		if d := to.Sub(from); d > most {
			most, id = d, in.ID
		}
	}
	return id, most > 0
}

// ClipRecording makes a clip of a recording, also of one in progress. Errors:
// ErrUnknown, and those of Clip.
func (r *Recorder) ClipRecording(ctx context.Context, id string, span Span, by string) (Info, error) {
	rec, ok := r.lib.Get(id)
	if !ok {
		return Info{}, ErrUnknown
	}
	if err := checkSpan(span); err != nil {
		return Info{}, err
	}
	f, size, err := r.disk.Open(id + ".mp4")
	if err != nil {
		return Info{}, ErrUnknown
	}
	defer func() { _ = f.Close() }() // only read
	info := Info{Stream: rec.Stream, Wearer: rec.Wearer, Name: rec.Name, By: by}
	return r.clip(ctx, info, f, func() (*cutting, error) {
		return cutFile(f, size, rec, span.From.Sub(rec.Started), span.To.Sub(rec.Started))
	})
}

// cutFile takes a time out of a recording's file.
func cutFile(f io.ReaderAt, size int64, rec Info, from, to time.Duration) (*cutting, error) {
	found, err := mp4.Scan(f, size)
	if err != nil {
		return nil, err
	}
	c := &cutting{from: max(from, 0), to: min(to, found.Fragments[len(found.Fragments)-1].To), video: rec.Video, sound: rec.Sound}
	first, last := -1, -1
	for i, fr := range found.Fragments {
		if fr.From >= c.to {
			break
		}
		last = i
		if fr.Key && (first < 0 || fr.From <= c.from) || first >= 0 && fr.Init != found.Fragments[first].Init {
			first = i
		}
	}
	if first < 0 {
		return nil, ErrRange
	}
	if first > 0 && found.Fragments[first-1].Init == found.Fragments[first].Init { // pictures shown later than they are decoded
		for first--; first > 0 && !found.Fragments[first].Key && found.Fragments[first-1].Init == found.Fragments[first].Init; {
			first--
		}
	}
	tracks, err := found.Tracks(f, found.Fragments[first].Init)
	if err != nil || len(tracks) != len(c.tracks) {
		return nil, errors.Join(err, ErrRange)
	}
	copy(c.tracks[:], tracks)
	for i := first; i <= last; i++ {
		runs, err := found.Runs(f, i)
		if err != nil {
			return nil, err
		}
		for _, run := range runs {
			c.pieces = append(c.pieces, piece{run: run})
		}
	}
	c.wall = rec.Started.Add(c.from)
	if !c.trim() {
		return nil, ErrRange
	}
	return c, nil
}

// clip writes a cutting as a clip of its own.
func (r *Recorder) clip(ctx context.Context, info Info, src io.ReaderAt, cut func() (*cutting, error)) (Info, error) {
	select {
	case r.clips <- struct{}{}:
		defer func() { <-r.clips }()
	default:
		return Info{}, ErrMany
	}
	if err := r.room(); err != nil {
		return Info{}, err
	}
	if r.overQuota(&info) {
		return Info{}, ErrQuota
	}
	began := time.Now()
	c, err := cut()
	if err != nil {
		return Info{}, err
	}
	info.ID, info.Key, info.Kind, info.State = newID(r.cfg.now()), newKey(), Clip, Finished
	info.Problem = c.problem
	info.Started, info.Duration = c.wall.UTC(), (c.to - c.from).Seconds()
	info.Video, info.Sound, info.Width, info.Height = c.video, c.sound, c.tracks[video].Width, c.tracks[video].Height
	if info.Bytes, err = r.store(ctx, info.ID, c, src); err != nil {
		if isFull(err) {
			return Info{}, ErrDiskFull
		}
		return Info{}, fmt.Errorf("write clip: %w", err)
	}
	r.lib.add(info, false)
	if err := r.lib.write(info.ID); err != nil {
		return Info{}, errors.Join(fmt.Errorf("write clip: %w", err), r.Delete(info.ID))
	}
	r.cfg.Log.Info("clip made", "stream", info.Stream, "clip", info.ID, "seconds", info.Duration, "bytes", info.Bytes,
		"took", time.Since(began).Round(time.Millisecond))
	r.tell(EventClipped, info, "")
	return info, nil
}

// store writes the file under its name only when it is whole.
func (r *Recorder) store(ctx context.Context, id string, c *cutting, src io.ReaderAt) (size int64, err error) {
	name := id + ".mp4"
	f, err := r.disk.Create(name + ".new")
	if err != nil {
		return 0, err
	}
	size, err = c.write(f, src)
	err = errors.Join(err, f.Close(), ctx.Err())
	if err == nil {
		err = r.disk.Rename(name+".new", name)
	}
	if err != nil {
		return 0, errors.Join(err, r.disk.Remove(name+".new"))
	}
	return size, nil
}
