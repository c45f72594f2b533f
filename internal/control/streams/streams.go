// Package streams keeps the standing streams: those that an operator makes by
// the API or the configuration file, for any encoder to feed. It is the desired
// state; the media plane, behind the Media interface, does the streaming.
//
// Registry is safe for concurrent use. Media is called with the table's Writes held,
// and must not call back.
package streams

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"glimpse/internal/control/auth"
	"glimpse/internal/control/store"
)

// Bounds of a standing stream's resume window.
const (
	DefaultResumeWindow = 30 * time.Second
	MaxResumeWindow     = 1800 * time.Second
)

// MaxStreams bounds the standing streams of one server.
const MaxStreams = 1000

// The refusals of a registry; test with errors.Is.
var (
	ErrUnknown = errors.New("stream is not known")
	ErrConfig  = errors.New("stream is in the configuration file and can be changed only there")
	ErrInvalid = errors.New("invalid stream")
	ErrFull    = errors.New("too many standing streams")
)

// Stream is one standing stream. Its three ids are independent: knowing one
// never gives another, unless the configuration file says so.
type Stream struct {
	ID           string
	Name         string
	IngestKey    string // secret: whoever has it may publish
	PlaybackID   string // whoever has it may watch
	Passphrase   string // secret: what SRT is encrypted with, both ways; empty: plain
	ResumeWindow time.Duration
	Record       string    // when it is recorded: RecordAlways and its like, empty for the server's default
	Restream     []Output  // to whom it is sent on; shared, read-only
	Created      time.Time // zero for streams of the configuration file
	FromConfig   bool      // read-only
}

// Media opens and ends streams in the media plane.
type Media interface {
	// OpenStanding makes the stream publishable and playable.
	OpenStanding(s Stream) error
	// CloseStanding ends it for publishers and viewers; unknown ids are no error.
	CloseStanding(id string)
	// SetOutputs sends an open stream on to exactly its Restream from now on.
	SetOutputs(s Stream)
	// CheckOutput says what is wrong with a destination's URL, without it.
	CheckOutput(url string) error
}

type storedStream struct {
	Name          string    `json:"name"`
	IngestKey     string    `json:"ingest_key"` // readable: encoders need it again
	PlaybackID    string    `json:"playback_id"`
	Passphrase    string    `json:"srt_passphrase,omitempty"` // readable: SRT needs the text itself
	ResumeSeconds int       `json:"resume_window"`
	Record        string    `json:"record,omitempty"`
	Restream      []Output  `json:"restream,omitempty"` // readable: it is dialled
	Created       time.Time `json:"created"`
}

func stored(s Stream) storedStream {
	return storedStream{
		Name: s.Name, IngestKey: s.IngestKey, PlaybackID: s.PlaybackID, Passphrase: s.Passphrase,
		ResumeSeconds: int(s.ResumeWindow / time.Second), Record: s.Record, Restream: s.Restream, Created: s.Created,
	}
}

// Registry knows every standing stream.
type Registry struct {
	media   Media
	bucket  *store.Bucket[storedStream]
	now     func() time.Time
	streams store.Table[Stream]
}

// Configured is a standing stream of the configuration file.
type Configured struct {
	Name, IngestKey, PlaybackID, Passphrase, Record string
	Restream                                        []Output
}

// New reads the stored streams, lays the configured ones over them and opens
// them all, so that keys are valid before a listener is. A stored stream that
// does not open (a configured one has its key) is reported and left closed; a
// configured one is an error.
func New(ctx context.Context, backend store.Backend, configured []Configured, media Media,
	now func() time.Time, log *slog.Logger) (*Registry, error) {
	bucket, items, err := store.Load[storedStream](ctx, backend, "streams", log)
	if err != nil {
		return nil, err
	}
	r := &Registry{media: media, bucket: bucket, now: now}
	for _, c := range configured {
		s := Stream{
			ID: configID(c.Name), Name: c.Name, IngestKey: c.IngestKey, PlaybackID: c.PlaybackID, Passphrase: c.Passphrase,
			ResumeWindow: DefaultResumeWindow, Record: c.Record, Restream: c.Restream, FromConfig: true,
		}
		if err := r.checkOutputs(s.Restream); err != nil {
			return nil, fmt.Errorf("configured stream %q: %w", c.Name, err)
		}
		if err := media.OpenStanding(s); err != nil {
			return nil, fmt.Errorf("open configured stream %q: %w", c.Name, err)
		}
		r.streams.Set(s.ID, s)
	}
	for _, item := range items {
		s := Stream{
			ID: item.ID, Name: item.Value.Name, IngestKey: item.Value.IngestKey, PlaybackID: item.Value.PlaybackID,
			Passphrase: item.Value.Passphrase, Record: item.Value.Record, Restream: item.Value.Restream,
			ResumeWindow: time.Duration(item.Value.ResumeSeconds) * time.Second, Created: item.Value.Created,
		}
		if err := media.OpenStanding(s); err != nil {
			log.Warn("a stored stream cannot be opened; if it shares a key with the configuration file, the file wins",
				"stream", s.ID, "err", err)
			continue
		}
		r.streams.Set(s.ID, s)
	}
	for _, s := range r.List() {
		media.SetOutputs(s)
	}
	return r, nil
}

// configID gives a configured stream the same id at every start. It hashes the
// name alone: the id is public and must not be a hash of a weak chosen key.
func configID(name string) string {
	sum := sha256.Sum256([]byte(name))
	return "c" + hex.EncodeToString(sum[:5])
}

// Spec is what may be wished for a new stream.
type Spec struct {
	Name         string        // a label, may be empty
	ResumeWindow time.Duration // 0 to MaxResumeWindow
	Passphrase   string        // see CheckPassphrase
	Record       string        // see CheckRecord
	Restream     []Output      // at most MaxOutputs
}

// When a stream is recorded.
const (
	RecordAlways   = "always"    // whenever it is live
	RecordOnDemand = "on-demand" // when somebody asks
	RecordNever    = "never"     // whoever asks is refused
)

// CheckRecord says what is wrong with a policy of recording. Empty is right: the
// server's default.
func CheckRecord(s string) error {
	switch s {
	case "", RecordAlways, RecordOnDemand, RecordNever:
		return nil
	}
	return errors.New("must be always, on-demand or never")
}

// CheckPassphrase says what is wrong with a passphrase of SRT. It stands in URLs,
// and encoders undo no escapes; the lengths are SRT's. Empty is right: plain.
func CheckPassphrase(s string) error {
	if s != "" && (len(s) < 10 || len(s) > 79 || !auth.ValidKey(s)) {
		return errors.New("must be 10 to 79 characters of A-Z a-z 0-9 _ -")
	}
	return nil
}

// Create makes a stream with random keys, stores it and opens it. Errors:
// ErrInvalid, ErrFull, or the store's or the media plane's.
func (r *Registry) Create(ctx context.Context, spec Spec) (Stream, error) {
	if spec.Name != "" && !auth.ValidName(spec.Name) {
		return Stream{}, fmt.Errorf("%w: name %s", ErrInvalid, auth.NameRule)
	}
	if spec.ResumeWindow < 0 || spec.ResumeWindow > MaxResumeWindow {
		return Stream{}, fmt.Errorf("%w: resume_window must be 0 to %d seconds", ErrInvalid, MaxResumeWindow/time.Second)
	}
	if err := CheckPassphrase(spec.Passphrase); err != nil {
		return Stream{}, fmt.Errorf("%w: srt_passphrase %w", ErrInvalid, err)
	}
	if err := CheckRecord(spec.Record); err != nil {
		return Stream{}, fmt.Errorf("%w: record %w", ErrInvalid, err)
	}
	if err := r.checkOutputs(spec.Restream); err != nil {
		return Stream{}, err
	}
	r.streams.Writes.Lock()
	defer r.streams.Writes.Unlock()
	if r.streams.Len() >= MaxStreams {
		return Stream{}, ErrFull
	}
	s := Stream{
		ID: auth.NewStreamID(), Name: spec.Name, IngestKey: auth.NewKey(), PlaybackID: auth.NewKey(),
		Passphrase: spec.Passphrase, ResumeWindow: spec.ResumeWindow, Record: spec.Record, Restream: spec.Restream, Created: r.now().UTC(),
	}
	err := r.bucket.Create(ctx, s.ID, stored(s))
	if err != nil {
		return Stream{}, fmt.Errorf("create stream: %w", err)
	}
	if err := r.media.OpenStanding(s); err != nil {
		// The request's context may be what ended; the entry must go anyway.
		undo := r.bucket.Delete(context.WithoutCancel(ctx), s.ID)
		return Stream{}, errors.Join(fmt.Errorf("open stream: %w", err), undo)
	}
	r.media.SetOutputs(s)
	r.streams.Set(s.ID, s)
	return s, nil
}

// Get returns the stream with this id.
func (r *Registry) Get(id string) (Stream, bool) { return r.streams.Get(id) }

// List returns all standing streams, ordered by id.
func (r *Registry) List() []Stream { return r.streams.List() }

// Delete ends a stream for good. Errors: ErrUnknown, ErrConfig, or the store's.
func (r *Registry) Delete(ctx context.Context, id string) error {
	r.streams.Writes.Lock()
	defer r.streams.Writes.Unlock()
	s, ok := r.Get(id)
	switch {
	case !ok:
		return ErrUnknown
	case s.FromConfig:
		return ErrConfig
	}
	if err := r.bucket.Delete(ctx, id); err != nil && !errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("delete stream: %w", err)
	}
	r.media.CloseStanding(id)
	r.streams.Remove(id)
	return nil
}
