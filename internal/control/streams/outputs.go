package streams

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// MaxOutputs bounds the restream destinations of one stream.
const MaxOutputs = 10

// The refusals that concern outputs; test with errors.Is.
var (
	ErrOutputs       = errors.New("too many restream destinations: at most 10")
	ErrOutputExists  = errors.New("the stream is sent to this URL already")
	ErrOutputUnknown = errors.New("the stream has no such output")
	ErrOutputURL     = errors.New("invalid URL")
)

// Output is a restream destination of a standing stream.
type Output struct {
	URL    string `json:"url"` // secret
	Name   string `json:"name,omitempty"`
	Paused bool   `json:"paused,omitempty"`
}

// maxLabel bounds an output's name in bytes.
const maxLabel = 128

// checkOutputs says what is wrong with a whole list.
func (r *Registry) checkOutputs(list []Output) error {
	if len(list) > MaxOutputs {
		return ErrOutputs
	}
	for i, o := range list {
		if err := r.media.CheckOutput(o.URL); err != nil {
			return fmt.Errorf("%w: %w", ErrOutputURL, err)
		}
		if len(o.Name) > maxLabel {
			return fmt.Errorf("%w: the name of an output is longer than %d bytes", ErrInvalid, maxLabel)
		}
		if has(list[:i], o.URL) {
			return ErrOutputExists
		}
	}
	return nil
}

func has(list []Output, url string) bool {
	return slices.ContainsFunc(list, func(o Output) bool { return o.URL == url })
}

// AddOutput sends a stream on to one more destination, now and after a restart.
// Errors: ErrUnknown, ErrConfig, ErrOutputs, ErrOutputExists, ErrOutputURL,
// ErrInvalid, or the store's.
func (r *Registry) AddOutput(ctx context.Context, id string, o Output) error {
	return r.edit(ctx, id, func(s *Stream) error {
		if s.FromConfig {
			return ErrConfig
		}
		if has(s.Restream, o.URL) {
			return ErrOutputExists
		}
		s.Restream = append(slices.Clone(s.Restream), o)
		return r.checkOutputs(s.Restream)
	})
}

// RemoveOutput ends it. Errors: ErrUnknown, ErrConfig, ErrOutputUnknown, or the
// store's.
func (r *Registry) RemoveOutput(ctx context.Context, id, url string) error {
	return r.edit(ctx, id, func(s *Stream) error {
		switch {
		case !has(s.Restream, url):
			return ErrOutputUnknown
		case s.FromConfig:
			return ErrConfig
		}
		s.Restream = slices.DeleteFunc(slices.Clone(s.Restream), func(o Output) bool { return o.URL == url })
		return nil
	})
}

// PauseOutput stops sending to a destination, or begins again. That of a stream of
// the configuration file is forgotten at a restart. Errors: ErrUnknown,
// ErrOutputUnknown, or the store's.
func (r *Registry) PauseOutput(ctx context.Context, id, url string, paused bool) error {
	return r.edit(ctx, id, func(s *Stream) error {
		list := slices.Clone(s.Restream)
		i := slices.IndexFunc(list, func(o Output) bool { return o.URL == url })
		if i < 0 {
			return ErrOutputUnknown
		}
		list[i].Paused = paused
		s.Restream = list
		return nil
	})
}

// edit changes a stream's outputs: in the store first, then in the media plane.
func (r *Registry) edit(ctx context.Context, id string, change func(*Stream) error) error {
	r.streams.Writes.Lock()
	defer r.streams.Writes.Unlock()
	s, ok := r.Get(id)
	if !ok {
		return ErrUnknown
	}
	if err := change(&s); err != nil {
		return err
	}
	if !s.FromConfig {
		if err := r.bucket.Put(ctx, id, stored(s)); err != nil {
			return fmt.Errorf("change outputs: %w", err)
		}
	}
	r.media.SetOutputs(s)
	r.streams.Set(id, s)
	return nil
}
