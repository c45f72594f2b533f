package serve

import (
	"errors"
	"log/slog"

	"glimpse/internal/media/flv"
	"glimpse/internal/media/hub"
)

// Publisher is a connection that wants to publish, as its protocol sees it.
type Publisher interface {
	// Accept tells the peer to go ahead.
	Accept() error
	// Refuse tells the peer why it is let go, before Accept or after. The error is
	// one of the hub's, ErrTooLarge or *flv.UnsupportedError: it may be shown to anyone.
	Refuse(why error) error
	// Ingest reads media into the hub until the peer stops, falls silent or Wake
	// was called.
	Ingest(p *hub.Publisher) error
	// Wake ends a read in progress, and all later ones.
	Wake()
	// Reason is an error of the protocol in words that may be logged.
	Reason(err error) string
}

// Publish takes a connection's media into the stream with this key. The key is
// checked before the peer is told to go ahead. It returns when the peer is gone or
// was let go; the reason is logged.
func (s *Server) Publish(h *hub.Hub, key string, info hub.PublisherInfo, log *slog.Logger, c Publisher) error {
	pub, err := h.Publish(key, info)
	if err != nil {
		s.Refused()
		log.Info(s.protocol+" publisher refused", "reason", err)
		return c.Refuse(err)
	}
	defer pub.Close()
	log = log.With("stream", pub.Stream().ID())
	if err := c.Accept(); err != nil {
		log.Info(s.protocol+" publisher not accepted", "reason", c.Reason(err))
		return err
	}
	log.Info(s.protocol + " publisher connected")
	left := make(chan struct{})
	wait := s.Aside(func() {
		select {
		case <-pub.Done():
			c.Wake()
		case <-left:
		}
	})
	defer wait()
	defer close(left)
	err = c.Ingest(pub)
	if why := pub.Err(); why != nil {
		err = why
	}
	if why := public(err); why != nil {
		log.Info(s.protocol+" publisher let go", "reason", why)
		return c.Refuse(why)
	}
	log.Info(s.protocol+" publisher left", "reason", c.Reason(err))
	return err
}

// public is what a publisher may be told, or nil when it is gone.
func public(err error) error {
	var unsupported *flv.UnsupportedError
	if errors.As(err, &unsupported) {
		return unsupported
	}
	for _, known := range []error{hub.ErrSuperseded, hub.ErrEnded, hub.ErrRefused, hub.ErrNoKeyFrame, ErrTooLarge} {
		if errors.Is(err, known) {
			return known
		}
	}
	return nil
}
