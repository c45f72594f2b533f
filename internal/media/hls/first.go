package hls

import (
	"context"
	"net/http"
	"strings"
	"time"
)

// firstClosed bounds the wait for a stream's first closed segment.
const firstClosed = time.Second

// closed waits until a segment of each track is closed: ffmpeg 5 dies of a playlist
// without one. Streams of a picture now and then are not waited for: what is there
// will do. GStreamer (1.22) is held until two are, at most as long as any request:
// its m3u8.c looks for its place in all of the list it had but the first segment,
// loses it when there was no other, and then aborts.
func (v *viewer) closed(r *http.Request) {
	wait, least := firstClosed, uint64(1)
	if strings.HasPrefix(r.UserAgent(), "GStreamer ") {
		wait, least = v.h.wait, 2
	}
	ctx, cancel := context.WithTimeout(r.Context(), wait)
	defer cancel()
	_ = v.store.Closed(ctx, least)
}
