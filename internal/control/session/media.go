package session

import (
	"sync"
	"time"

	"glimpse/internal/control/camera"
	"glimpse/protocol"
)

// Streams is the media plane as a session uses it. No method may wait.
type Streams interface {
	// Open makes the ingest and the playback of a managed stream; they answer
	// when it returns.
	Open(spec IngestSpec) (Ingest, error)
	// PushURL is where glasses publish with an ingest key, by the first of the
	// ways ("webrtc", "srt", "rtmps", "rtmp") that there is, else by any. base is the address
	// under which the wearer's phone reaches us, "http://host:port" or https.
	PushURL(base, ingestKey string, ways []string) string
	// WatchURLs are the complete URLs of a playback id under base.
	WatchURLs(base, playbackID string) protocol.URLs
}

// IngestSpec describes a managed stream. The three ids are independent random
// values: knowing one gives none of the others.
type IngestSpec struct {
	User         string
	StreamID     string
	IngestKey    string // a secret: not for logs
	PlaybackID   string
	ResumeWindow time.Duration // the stream must outlive a lost publisher by this
	// Notify takes what happens to the media. It never waits and may be called
	// from any goroutine; of states that come faster than the session works, the
	// newest counts.
	Notify func(MediaEvent)
	// NotifyViewers takes the number of players, under the same rules.
	NotifyViewers func(n int)
	// NotifyOutput takes how a destination of SetOutputs does, under the same
	// rules; per destination the newest counts.
	NotifyOutput func(OutputEvent)
}

// OutputEvent is how a restream destination does.
type OutputEvent struct {
	URL    string // as in SetOutputs: a secret
	Status string // protocol.StatusActive, StatusError or StatusStopped
	Error  string // of StatusError: a sentence without secrets
}

// Ingest is an open managed stream.
type Ingest interface {
	// Close ends ingest and playback for good; it must not wait.
	Close(reason string)
	// SetOutputs sends the stream on to exactly these destinations from now on; it
	// must not wait.
	SetOutputs(outlets []camera.Outlet)
}

// MediaState is what has happened to a managed stream's media.
type MediaState int

// The states of media.
const (
	// MediaLive: pictures arrive and the playback URLs answer. Also after MediaLost.
	MediaLive MediaState = iota + 1
	// MediaLost: the publisher went away or fell silent.
	MediaLost
	// MediaFailed: the ingest is gone for good.
	MediaFailed
)

// MediaEvent is a change of state.
type MediaEvent struct {
	State  MediaState
	Silent time.Duration // MediaLost: how long no byte has come
	Reason string        // MediaFailed: a sentence without secrets
}

// mediaBox holds the newest news of each stream until the loop takes it, so
// that media never waits for a busy session.
type mediaBox struct {
	mu      sync.Mutex
	states  map[string]MediaEvent // by streamId
	viewers map[string]int
	outputs map[outputOf]OutputEvent
	wake    chan struct{} // capacity 1
}

// outputOf is one destination of one stream.
type outputOf struct{ streamID, url string }

func newMediaBox() *mediaBox {
	b := &mediaBox{wake: make(chan struct{}, 1)}
	b.take()
	return b
}

func (b *mediaBox) put(change func()) {
	b.mu.Lock()
	change()
	b.mu.Unlock()
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// take empties the box.
func (b *mediaBox) take() (states map[string]MediaEvent, viewers map[string]int, outputs map[outputOf]OutputEvent) {
	b.mu.Lock()
	defer b.mu.Unlock()
	states, viewers, outputs = b.states, b.viewers, b.outputs
	b.states, b.viewers, b.outputs = make(map[string]MediaEvent), make(map[string]int), make(map[outputOf]OutputEvent)
	return states, viewers, outputs
}

// mediaNews tells the camera what is in the box.
func (s *Session) mediaNews() {
	states, viewers, outputs := s.media.take()
	for id, n := range viewers {
		if s.ingests[id] != nil {
			s.step(camera.Viewers{StreamID: id, N: n})
		}
	}
	for of, event := range outputs {
		if s.ingests[of.streamID] != nil {
			s.step(camera.OutputSaid{StreamID: of.streamID, URL: of.url, Status: event.Status, Error: event.Error})
		}
	}
	for id, event := range states {
		if s.ingests[id] == nil { // closed by us meanwhile
			continue
		}
		switch event.State {
		case MediaLive:
			s.step(camera.MediaLive{StreamID: id})
		case MediaLost:
			s.step(camera.MediaLost{StreamID: id, Silent: event.Silent})
		case MediaFailed:
			s.step(camera.IngestFailed{StreamID: id, Reason: event.Reason})
		}
	}
}

// openIngest opens a managed stream; a failure comes back to the camera.
func (s *Session) openIngest(ids camera.IDs) error {
	id := ids.StreamID
	in, err := s.reg.deps.Streams.Open(IngestSpec{
		User: s.user, StreamID: id, IngestKey: ids.IngestKey, PlaybackID: ids.PlaybackID,
		ResumeWindow: s.camera.Times.ResumeWindow + s.camera.Times.PhoneGrace,
		Notify: func(e MediaEvent) {
			s.media.put(func() { s.media.states[id] = e })
		},
		NotifyViewers: func(n int) {
			s.media.put(func() { s.media.viewers[id] = n })
		},
		NotifyOutput: func(e OutputEvent) {
			s.media.put(func() { s.media.outputs[outputOf{id, e.URL}] = e })
		},
	})
	if err != nil {
		return err
	}
	s.ingests[id] = in
	return nil
}

// closeIngest ends a managed stream.
func (s *Session) closeIngest(id, reason string) {
	if in := s.ingests[id]; in != nil {
		delete(s.ingests, id)
		in.Close(reason)
	}
}
