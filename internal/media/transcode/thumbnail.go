package transcode

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"glimpse/internal/media/frame"
	"glimpse/internal/media/hub"
)

const (
	thumbWall  = 5 * time.Second // for one picture, and as much processor time twice
	thumbCPU   = 10
	thumbBytes = 1 << 20
	// thumbEvery bounds how often a stream's picture is made anew, however
	// often its key frames come.
	thumbEvery = time.Second
)

// thumb is a run's newest picture. Guarded by Transcoder.thumbMu.
type thumb struct {
	key  *frame.Frame // that was tried last
	at   time.Time    // when
	jpeg []byte       // its picture,
	err  error        // or why there is none
	busy chan struct{}
}

// Thumbnail returns the newest key frame of a run as a JPEG, at most 640 pixels
// wide and 1 MiB long, and its wall clock. The bytes are shared and read-only.
// One picture is made per key frame and at most one a second; concurrent callers
// share it, and ctx ends only the caller's waiting. Errors: ErrNotLive (also for
// a nil run), ErrMissing, ErrBusy, ErrClosed, or what ffmpeg said.
func (t *Transcoder) Thumbnail(ctx context.Context, run *hub.Run) ([]byte, time.Time, error) {
	if run == nil {
		return nil, time.Time{}, ErrNotLive
	}
	key := run.KeyFrame()
	if key == nil {
		return nil, time.Time{}, ErrNotLive
	}
	th := t.thumbOf(run)
	busy, err := t.makeThumb(th, key, t.log.With("stream", run.Stream().ID()))
	if err != nil {
		return nil, time.Time{}, err
	}
	select {
	case <-busy:
	case <-ctx.Done():
		return nil, time.Time{}, ctx.Err()
	}
	t.thumbMu.Lock()
	defer t.thumbMu.Unlock()
	return th.jpeg, th.key.Wall, th.err
}

// thumbOf returns the run's entry, and forgets the runs that are over.
func (t *Transcoder) thumbOf(run *hub.Run) *thumb {
	t.thumbMu.Lock()
	defer t.thumbMu.Unlock()
	if th := t.thumbs[run]; th != nil {
		return th
	}
	for r := range t.thumbs {
		select {
		case <-r.Done():
			delete(t.thumbs, r)
		default:
		}
	}
	th := &thumb{busy: make(chan struct{})}
	close(th.busy)
	t.thumbs[run] = th
	return th
}

// makeThumb starts making the picture of key unless one is in the making or
// fresh, and returns what closes when it is there.
func (t *Transcoder) makeThumb(th *thumb, key *frame.Frame, log *slog.Logger) (<-chan struct{}, error) {
	t.thumbMu.Lock()
	defer t.thumbMu.Unlock()
	select {
	case <-th.busy:
	default:
		return th.busy, nil
	}
	if th.key == key || th.key != nil && time.Since(th.at) < thumbEvery {
		return th.busy, nil
	}
	if err := t.begin(); err != nil {
		return nil, err
	}
	busy := make(chan struct{})
	th.busy = busy
	go func() {
		defer t.work.Done()
		jpeg, err := t.picture(key, log)
		t.thumbMu.Lock()
		defer t.thumbMu.Unlock()
		th.key, th.at, th.jpeg, th.err = key, time.Now(), jpeg, err
		close(busy)
	}()
	return busy, nil
}

// still is a codec whose key frames a decoder can read alone.
type still interface {
	Elementary(key []byte) (format string, stream []byte)
}

// picture runs the one-shot child.
func (t *Transcoder) picture(key *frame.Frame, log *slog.Logger) ([]byte, error) {
	c, ok := key.Track.Codec.(still)
	if !ok {
		return nil, fmt.Errorf("no thumbnails of %s", key.Track.Codec.Name())
	}
	format, stream := c.Elementary(key.Payload)
	ctx, cancel := context.WithTimeout(t.ctx, thumbWall)
	defer cancel()
	child, err := t.start(ctx, job{args: thumbArgs(format), input: bytes.NewReader(stream), cpu: thumbCPU})
	if err != nil {
		return nil, err
	}
	jpeg, err := io.ReadAll(io.LimitReader(child.stdout, thumbBytes+1))
	if len(jpeg) > thumbBytes {
		child.kill()
		err = errors.New("the picture is larger than 1 MiB")
	}
	died := child.wait()
	switch {
	case t.ctx.Err() != nil:
		return nil, ErrClosed
	case ctx.Err() != nil:
		err = errors.New("ffmpeg took too long")
	case err == nil && died != nil:
		err = died
	case err == nil && !bytes.HasPrefix(jpeg, []byte{0xff, 0xd8}):
		err = errors.New("ffmpeg gave no picture")
	}
	if err != nil {
		t.failed.Add(1)
		log.Warn("thumbnail failed", "err", err)
		return nil, fmt.Errorf("make thumbnail: %w", err)
	}
	return jpeg, nil
}

func thumbArgs(format string) []string {
	return []string{
		"-nostdin", "-hide_banner", "-loglevel", "error", "-threads", "1",
		"-protocol_whitelist", "pipe", "-f", format, "-i", "pipe:0",
		"-map", "0:v:0", "-frames:v", "1", "-vf", "scale=w='min(640,iw)':h=-2", "-threads", "1",
		"-q:v", "4", "-f", "mjpeg", "pipe:1",
	}
}

// Poster is the picture of a stream that is not live, if there is one.
type Poster func() (jpeg []byte, at time.Time, ok bool)

// ServeThumbnail answers GET and HEAD of /live/<playback id>/thumbnail.jpg for a
// stream (nil when the id is unknown): 200 with a picture that caches may keep for
// 2 s, or the poster of a stream that is over for a minute; 304 for who has it; 404
// without a stream or picture, 503 with the reason when none can be made.
func (t *Transcoder) ServeThumbnail(w http.ResponseWriter, r *http.Request, s *hub.Stream, poster Poster) {
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Access-Control-Expose-Headers", "ETag, Age")
	h.Set("X-Content-Type-Options", "nosniff")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		h.Set("Allow", "GET, HEAD")
		http.Error(w, "Only GET and HEAD are possible here.", http.StatusMethodNotAllowed)
		return
	}
	var run *hub.Run
	if s != nil {
		run = s.Run()
	}
	age := 2
	jpeg, at, err := t.Thumbnail(r.Context(), run)
	if errors.Is(err, ErrNotLive) && poster != nil {
		if last, when, ok := poster(); ok {
			jpeg, at, err, age = last, when, nil, 60
		}
	}
	if err != nil {
		h.Set("Cache-Control", "no-store")
		status, text := http.StatusServiceUnavailable, "the picture could not be made"
		for _, known := range []error{ErrNotLive, ErrMissing, ErrBusy, ErrClosed} {
			if errors.Is(err, known) {
				text = known.Error()
			}
		}
		if errors.Is(err, ErrNotLive) {
			status = http.StatusNotFound
		} else {
			h.Set("Retry-After", "2")
		}
		http.Error(w, text, status)
		return
	}
	h.Set("Content-Type", "image/jpeg")
	h.Set("Cache-Control", "public, max-age="+strconv.Itoa(age))
	h.Set("ETag", fmt.Sprintf(`"%x-%x"`, at.UnixNano(), len(jpeg))) // seconds would not tell two pictures apart
	http.ServeContent(w, r, "", at, bytes.NewReader(jpeg))
}
