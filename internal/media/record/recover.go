package record

import (
	"context"
	"errors"

	"glimpse/internal/media/mp4"
)

// finishAll finishes the recordings that a killed process, or a full disk, left
// without their index.
func (r *Recorder) finishAll(ctx context.Context) {
	for _, info := range r.lib.List() {
		if info.State != Unfinished || ctx.Err() != nil {
			continue
		}
		if !r.lib.claim(info.ID) {
			continue
		}
		r.finish(info)
	}
}

// maxEmpty is how large a file may be that is removed because nothing in it can
// be played: a larger one is damaged rather than just begun.
const maxEmpty = 16 << 20

// finish makes a file plain MP4 by what stands in it. A file without media goes.
func (r *Recorder) finish(info Info) {
	defer r.lib.release(info.ID)
	log := r.cfg.Log.With("recording", info.ID)
	size, tables, err := finishFile(r.disk, info)
	if errors.Is(err, mp4.ErrEmpty) && size < maxEmpty {
		log.Info("a recording without a picture is removed")
		r.lib.release(info.ID)
		if _, err := r.lib.remove(info.ID); err != nil {
			log.Warn("it stays", "error", err)
		}
		return
	}
	if err != nil {
		if problem := problemOf(err); info.Problem != problem { // once: it is tried each second
			log.Warn("a recording cannot be finished", "error", err)
			info.Problem = problem
			r.lib.update(info)
		}
		return
	}
	info.State, info.Problem, info.Bytes, info.Duration = Finished, "", size, length(tables).Seconds()
	for _, t := range tables {
		if t.Video {
			info.Width, info.Height = t.Width, t.Height
		}
	}
	r.lib.update(info)
	if err := r.lib.write(info.ID); err != nil {
		log.Warn("what is known of a recording is not written", "error", err)
	}
	log.Info("a recording that was not finished is whole", "seconds", info.Duration, "bytes", size)
	r.tell(EventRecovered, info, "")
}

func finishFile(d disk, info Info) (size int64, tables []*mp4.Table, err error) {
	f, size, err := d.Open(info.ID + ".mp4")
	if err != nil {
		return 0, nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	found, err := mp4.Scan(f, size)
	if err != nil || found.Sealed {
		if found != nil {
			tables = found.Tables
		}
		return size, tables, err
	}
	size, err = seal(f, found.End, found.Tables, info.Started)
	return size, found.Tables, err
}
