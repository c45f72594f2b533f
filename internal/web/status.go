package web

import (
	"encoding/json"
	"net/http"
	"time"
)

// Status of a stream as its page shows it. It holds nothing that a viewer may
// not know.
type Status struct {
	// State is idle (nothing yet, or a standing stream that rests), live,
	// interrupted (the source is away, the stream waits for it) or ended.
	State string `json:"state"`
	// Name for people; may be empty.
	Name string `json:"name,omitempty"`
	// Viewers now, by all protocols.
	Viewers int `json:"viewers"`
	// StartedAt is when the run began; nil without one. A new value means a new run.
	StartedAt *time.Time `json:"startedAt,omitempty"`
	// Video is the name of the pictures' codec ("H.264"), empty when unknown.
	Video string `json:"video,omitempty"`
	// Width and Height of the picture in pixels, 0 when unknown.
	Width  int `json:"width,omitempty"`
	Height int `json:"height,omitempty"`
	// Sound is the source's codec in lower case, "none" when it has no sound,
	// empty when that is not known.
	Sound string `json:"sound,omitempty"`
	// SoundProblem says why WebRTC carries no sound although there is some.
	SoundProblem string `json:"soundProblem,omitempty"`
}

// Streams knows the streams that may be watched.
type Streams interface {
	// WatchStatus returns the status of the stream with this playback id, false
	// when there is none. It is called every 2 s for each open page.
	WatchStatus(playbackID string) (Status, bool)
}

// status is WatchStatus for an id from a stranger.
func (h *Handler) status(playbackID string) (Status, bool) {
	if !validID.MatchString(playbackID) {
		return Status{}, false
	}
	return h.streams.WatchStatus(playbackID)
}

// ServeStatus answers GET /live/{playback}/status.json: 200 with Status and
// now, the server's clock (RFC 3339, milliseconds), by which the page measures
// latency; 404 when the id is unknown. Any origin may read it; nobody may store it.
func (h *Handler) ServeStatus(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Access-Control-Allow-Origin", "*")
	header.Set("Cache-Control", "no-store")
	header.Set("Content-Type", "application/json")
	header.Set("X-Content-Type-Options", "nosniff")
	s, ok := h.status(r.PathValue("playback"))
	if !ok {
		w.WriteHeader(http.StatusNotFound)
		_, _ = w.Write([]byte(`{"state":"missing"}` + "\n"))
		return
	}
	_ = json.NewEncoder(w).Encode(struct {
		Status
		Now string `json:"now"`
	}{s, time.Now().UTC().Format("2006-01-02T15:04:05.000Z07:00")}) // a viewer that left
}
