package record

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"glimpse/internal/media/codec"
	"glimpse/internal/media/frame"
	"glimpse/internal/media/hub"
	"glimpse/internal/media/mp4"
)

const (
	// readEvery is how often a take reads: fewer wake-ups than pictures.
	readEvery = 100 * time.Millisecond
	// retryEvery is how often a disk that failed is tried again.
	retryEvery = 500 * time.Millisecond
	// lookEvery is how often room and quota are looked at.
	lookEvery = time.Second
	// saveEvery is how often what is known is written beside the file.
	saveEvery = 10 * time.Second
	// syncEvery is how much a loss of power can cost.
	syncEvery = 2 * time.Second
	// maxBacklog is what waits in memory while the disk takes nothing, in bytes.
	maxBacklog = 8 << 20
	// maxPause is how long a recording waits for its disk; another one begins
	// when it comes back later.
	maxPause = 10 * time.Minute
	// finalTries is how often the rest is tried at the end.
	finalTries = 3
	// gapLeast is the shortest hole that is listed.
	gapLeast = 500 * time.Millisecond
)

// take is one recording in progress. It belongs to the goroutine of record; only
// the Library's copy of info is for others.
type take struct {
	rec  *Recorder
	log  *slog.Logger
	run  *hub.Run
	info Info
	mux  muxer
	file *growing // nil before the first fragment
	sync *syncer

	backlog []*fragment
	waiting int // bytes in it

	failed  error // why the disk takes nothing; nil while it does
	since   time.Time
	retry   time.Time
	looked  time.Time
	saved   time.Time
	dropped uint64
	away    time.Duration // of the file: since when the hub shows a still; -1: it does not
	shown   time.Duration // of the file: the newest picture
	hole    time.Duration // of the file: from where nothing is written; -1: no hole
}

func newTake(rec *Recorder, run *hub.Run, info Info) *take {
	return &take{rec: rec, log: rec.cfg.Log.With("stream", info.Stream, "recording", info.ID), run: run, info: info, away: -1, hole: -1}
}

// record follows the run until ctx or the run ends, or the file cannot go on
// (errOther, errPaused, ErrQuota), and finishes the file.
func (t *take) record(ctx context.Context) error {
	defer t.finish()
	rd := t.run.Subscribe(hub.ReaderOptions{Sound: t.run.Steady(), Fill: true})
	defer rd.Close()
	var buf []*frame.Frame
	for {
		var err error
		if buf, err = rd.Next(ctx, buf); err != nil {
			select {
			case <-t.run.Done():
			default:
				return nil // it is not wished any more
			}
			if buf, err = rd.Next(context.Background(), buf); err != nil {
				return nil // the run is over, and all of it was read
			}
		}
		lost := rd.Dropped() != t.dropped
		t.dropped = rd.Dropped()
		sound := soundOf(rd.Tracks())
		for _, f := range buf {
			if err := t.frame(f, sound, lost); err != nil {
				return err
			}
		}
		clear(buf)
		if err := t.tend(); err != nil {
			return err
		}
		select {
		case <-time.After(readEvery):
		case <-ctx.Done():
		case <-t.run.Done():
		}
	}
}

// soundOf is how the sound is coded; a stream without any has silence.
func soundOf(tracks []*frame.Track) frame.Codec {
	for _, tr := range tracks {
		if tr.Kind() == frame.Audio {
			return tr.Codec
		}
	}
	return codec.StandardAAC()
}

// frame takes one frame of the run.
func (t *take) frame(f *frame.Frame, sound frame.Codec, lost bool) error {
	if f.IsVideo() && t.mux.started {
		at := f.PTS - t.mux.base
		switch {
		case f.Hold && t.away < 0:
			t.away = t.shown
		case !f.Hold && t.away >= 0:
			t.gap(t.away, at, gapAway)
			t.away = -1
		case lost && f.Key && at-t.shown >= gapLeast:
			t.gap(t.shown, at, gapSlow)
		}
		t.shown = max(t.shown, at)
	}
	ready, err := t.mux.frame(f, sound)
	for _, fr := range ready {
		t.push(fr)
	}
	return err
}

// gap lists a time that shows nothing of the source.
func (t *take) gap(from, to time.Duration, reason string) {
	const most = 1000 // of a stream that comes and goes all day
	if len(t.info.Gaps) < most {
		t.info.Gaps = append(t.info.Gaps, Gap{From: from.Seconds(), To: to.Seconds(), Reason: reason})
	}
	t.saved = time.Time{}
	t.publish()
	t.rec.tell(EventGap, t.info, reason)
}

// push queues a fragment and writes what can be written.
func (t *take) push(fr *fragment) {
	t.backlog = append(t.backlog, fr)
	t.waiting += fr.size
	t.drain()
	if t.waiting <= maxBacklog {
		return
	}
	if t.hole < 0 {
		t.hole = t.backlog[0].from
	}
	t.backlog, t.waiting = nil, 0
	t.mux.lost()
}

// drain writes the backlog, unless the disk failed a moment ago.
func (t *take) drain() {
	now := t.rec.cfg.now()
	if t.failed != nil && now.Before(t.retry) {
		return
	}
	wrote := false
	for ; len(t.backlog) > 0; wrote = true {
		if err := t.write(t.backlog[0]); err != nil {
			t.fail(err, now)
			return
		}
		t.waiting -= t.backlog[0].size
		t.backlog[0] = nil
		t.backlog = t.backlog[1:]
	}
	if t.failed != nil && wrote {
		t.resumed()
	}
}

// write puts one fragment into the file, which begins with the first.
func (t *take) write(fr *fragment) error {
	if err := t.rec.room(); err != nil {
		return err
	}
	if t.file == nil {
		g, err := begin(t.rec.disk, t.info.ID+".mp4", fr)
		if err != nil {
			return err
		}
		t.file, t.sync = g, newSyncer(g.f, t.log)
		t.describe(fr)
		t.save()
		t.log.Info("recording")
		t.rec.tell(EventStarted, t.info, "")
		return nil
	}
	if err := t.sync.failure(); err != nil {
		return err
	}
	if err := t.file.Write(fr); err != nil {
		return err
	}
	if t.hole >= 0 && fr.key {
		t.gap(t.hole, fr.from, gapDisk)
		t.hole = -1
	}
	t.sync.dirty.Store(true)
	t.info.Duration = max(t.info.Duration, fr.to.Seconds())
	t.info.Bytes = t.file.end
	return nil
}

// describe takes over what the first fragment tells.
func (t *take) describe(fr *fragment) {
	t.info.State, t.info.Started = Active, t.mux.wall.UTC()
	t.info.Duration, t.info.Bytes = fr.to.Seconds(), t.file.end
	t.info.Video, t.info.Sound = t.mux.codecs[video].Name(), t.mux.codecs[audio].Name()
	t.info.Width, t.info.Height = t.mux.tracks[video].Width, t.mux.tracks[video].Height
}

// fail notes that the disk takes nothing, and tells so once.
func (t *take) fail(err error, now time.Time) {
	t.retry = now.Add(retryEvery)
	if t.failed != nil {
		return
	}
	t.failed, t.since = err, now
	t.info.State, t.info.Problem = Paused, problemOf(err)
	t.log.Error("the recording is not written", "error", err)
	t.publish()
	t.rec.failures.Add(1)
	t.rec.tell(EventFailed, t.info, t.info.Problem)
}

func (t *take) resumed() {
	t.failed = nil
	t.info.State, t.info.Problem = Active, ""
	t.log.Info("the recording is written again", "after", t.rec.cfg.now().Sub(t.since).Round(time.Millisecond))
	t.save()
	t.rec.tell(EventResumed, t.info, "")
}

// problemOf is an error of the disk as a sentence for people, without paths.
func problemOf(err error) string {
	switch {
	case errors.Is(err, ErrDiskFull), isFull(err):
		return "The disk is full: the recording waits for room."
	default:
		return "The disk fails: the recording waits until it takes data again."
	}
}

// errPaused says that the disk took nothing for so long that the file ends.
var errPaused = errors.New("the disk took nothing for long")

// tend does what is due, about ten times a second.
func (t *take) tend() error {
	now := t.rec.cfg.now()
	if t.failed != nil {
		t.drain()
		if t.failed != nil && t.file != nil && now.Sub(t.since) > maxPause {
			return errPaused
		}
	}
	if now.Sub(t.looked).Abs() < lookEvery { // also when the clock steps
		return nil
	}
	t.looked = now
	t.publish()
	if now.Sub(t.saved).Abs() >= saveEvery && t.file != nil && t.failed == nil {
		t.save()
	}
	if t.rec.overQuota(&t.info) {
		return ErrQuota
	}
	return nil
}

// publish tells the Library how it stands.
func (t *take) publish() { t.rec.lib.update(t.info) }

// save also writes it beside the file. What fails is tried again.
func (t *take) save() {
	t.publish()
	if err := t.rec.lib.write(t.info.ID); err != nil {
		t.log.Warn("what is known of a recording is not written", "error", err)
		t.saved = time.Time{}
		return
	}
	t.saved = t.rec.cfg.now()
}

// finish writes what is left and makes the file plain MP4.
func (t *take) finish() {
	t.backlog = append(t.backlog, t.mux.flush()...)
	if t.away >= 0 && t.mux.started {
		t.gap(t.away, t.shown, gapAway)
	}
	for range finalTries {
		t.retry = time.Time{}
		t.drain()
	}
	if t.file == nil {
		t.rec.lib.forget(t.info.ID)
		return
	}
	t.sync.stop()
	size, err := seal(t.file.f, t.file.end, t.file.tables, t.info.Started)
	t.info.State, t.info.Problem = Finished, ""
	if err = errors.Join(err, t.file.f.Close()); err != nil {
		t.log.Error("the recording is not finished", "error", err)
		t.info.State, t.info.Problem = Unfinished, problemOf(err)
		size = t.file.end
	}
	t.info.Bytes, t.info.Duration = size, length(t.file.tables).Seconds()
	t.save()
	t.log.Info("recording ended", "seconds", t.info.Duration, "bytes", t.info.Bytes)
	t.rec.tell(EventStopped, t.info, t.info.Problem)
}

// length is how long a file's tracks last.
func length(tables []*mp4.Table) time.Duration {
	d := time.Duration(0)
	for _, t := range tables {
		d = max(d, t.Time(t.End()))
	}
	return d
}

// syncer brings a file to the disk now and then, in a goroutine of its own: that
// may take long, and must keep nobody.
type syncer struct {
	dirty atomic.Bool
	err   atomic.Pointer[error]
	quit  chan struct{}
	done  sync.WaitGroup
}

func newSyncer(f file, log *slog.Logger) *syncer {
	s := &syncer{quit: make(chan struct{})}
	s.dirty.Store(true)
	s.done.Go(func() {
		tick := time.NewTicker(syncEvery)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
			case <-s.quit:
				return
			}
			if !s.dirty.Swap(false) {
				continue
			}
			if err := f.Sync(); err != nil {
				log.Warn("a recording is not synced", "error", err)
				s.err.Store(&err)
			}
		}
	})
	return s
}

// failure returns the newest error, once.
func (s *syncer) failure() error {
	if err := s.err.Swap(nil); err != nil {
		return *err
	}
	return nil
}

func (s *syncer) stop() {
	close(s.quit)
	s.done.Wait()
}
