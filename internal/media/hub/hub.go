package hub

import (
	"context"
	"crypto/sha256"
	"log/slog"
	"sync"
)

// Output follows one run of a stream, in a goroutine of its own that the stream
// owns: it must return when ctx ends, and ctx ends when the run is over.
type Output func(ctx context.Context, run *Run)

// Hub holds the streams. All methods may be called concurrently.
type Hub struct {
	cfg     Config
	log     *slog.Logger
	outputs []Output

	mu         sync.RWMutex
	closed     bool
	byID       map[string]*Stream
	byKey      map[[32]byte]*Stream // by SHA-256: a look-up tells nothing by its time
	byPlayback map[string]*Stream
}

// New returns an empty hub that starts the outputs for each run of each stream.
func New(cfg Config, log *slog.Logger, outputs ...Output) *Hub {
	return &Hub{
		cfg: cfg.withDefaults(), log: log, outputs: outputs,
		byID: map[string]*Stream{}, byKey: map[[32]byte]*Stream{}, byPlayback: map[string]*Stream{},
	}
}

// Open makes a stream that may be published and read from now on. It fails with
// ErrDuplicate when an id, key or playback id is taken, ErrClosed after Close.
func (h *Hub) Open(spec Spec) (*Stream, error) {
	key := sha256.Sum256([]byte(spec.IngestKey))
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, ErrClosed
	}
	if h.byID[spec.ID] != nil || h.byKey[key] != nil || h.byPlayback[spec.PlaybackID] != nil {
		return nil, ErrDuplicate
	}
	s := newStream(h, spec)
	h.byID[spec.ID], h.byKey[key], h.byPlayback[spec.PlaybackID] = s, s, s
	return s, nil
}

// forget takes an ended stream out of the tables.
func (h *Hub) forget(s *Stream) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.byID, s.spec.ID)
	delete(h.byKey, sha256.Sum256([]byte(s.spec.IngestKey)))
	delete(h.byPlayback, s.spec.PlaybackID)
}

// Stream returns the stream with this id, or nil.
func (h *Hub) Stream(id string) *Stream {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.byID[id]
}

// ByPlayback returns the stream with this playback id, or nil.
func (h *Hub) ByPlayback(playbackID string) *Stream {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.byPlayback[playbackID]
}

// Passphrase is what publishers of the stream with this key encrypt with; empty
// when there is none, and for unknown keys.
func (h *Hub) Passphrase(key string) string {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if s := h.byKey[sha256.Sum256([]byte(key))]; s != nil {
		return s.spec.Passphrase
	}
	return ""
}

// Streams returns all streams in no order.
func (h *Hub) Streams() []*Stream {
	h.mu.RLock()
	defer h.mu.RUnlock()
	list := make([]*Stream, 0, len(h.byID))
	for _, s := range h.byID {
		list = append(list, s)
	}
	return list
}

// Publish connects a publisher to the stream with this key. It becomes the
// stream's source with its first key frame; an older publisher is superseded
// then. Errors: ErrUnknownKey, ErrRefused, ErrBusy, ErrEnded.
func (h *Hub) Publish(key string, info PublisherInfo) (*Publisher, error) {
	h.mu.RLock()
	s := h.byKey[sha256.Sum256([]byte(key))]
	h.mu.RUnlock()
	if s == nil {
		return nil, ErrUnknownKey
	}
	return s.connect(info)
}

// Close ends all streams and waits for their goroutines.
func (h *Hub) Close() {
	h.mu.Lock()
	h.closed = true
	h.mu.Unlock()
	for _, s := range h.Streams() {
		s.Close("server shutting down")
	}
}
