package server

import (
	"context"
	"slices"
	"sync"
	"time"

	"glimpse/internal/control/api"
	"glimpse/internal/control/camera"
	"glimpse/internal/control/events"
	"glimpse/internal/control/session"
	"glimpse/internal/media/cmaf"
	"glimpse/internal/media/hub"
	"glimpse/protocol"
)

// managedStreams gives sessions the media plane: a managed stream is a hub
// stream whose events are told to the session.
type managedStreams struct {
	hub       *hub.Hub
	packs     *cmaf.Packager
	endpoints func(base string) api.Endpoints
	restreams *restreams
	events    *events.Log
	ctx       context.Context // ends when the server drains
	cancel    context.CancelFunc
	wg        sync.WaitGroup // of everything that waits for media
}

var _ session.Streams = (*managedStreams)(nil)

// PushURL is where glasses publish: what they want, else the best that there is.
func (m *managedStreams) PushURL(base, key string, ways []string) string {
	urls := m.endpoints(base).Ingest(key, "")
	by := map[string]string{"srt": urls.SRT, "webrtc": urls.WHIP, "rtmps": urls.RTMPS, "rtmp": urls.RTMP}
	for _, way := range slices.Concat(ways, []string{"srt", "webrtc", "rtmp", "rtmps"}) {
		if u := by[way]; u != "" {
			return u
		}
	}
	return ""
}

// WatchURLs are what apps hand to viewers, in the words of the SDKs, which
// resolve a start only when both HLS and DASH are there.
func (m *managedStreams) WatchURLs(base, playbackID string) protocol.URLs {
	u := m.endpoints(base).Playback(playbackID, "")
	return protocol.URLs{HLS: u.HLS, DASH: u.DASH, WebRTC: u.WHEP, Preview: u.Page, Thumbnail: u.Thumbnail}
}

// Open opens a stream for a wearer.
func (m *managedStreams) Open(spec session.IngestSpec) (session.Ingest, error) {
	in := &ingest{m: m, spec: spec}
	s, err := m.hub.Open(hub.Spec{
		ID: spec.StreamID, IngestKey: spec.IngestKey, PlaybackID: spec.PlaybackID, Name: spec.User,
		ResumeWindow: spec.ResumeWindow, Notify: in.event,
	})
	if err != nil {
		return nil, err
	}
	in.stream = s
	in.outputs = m.restreams.supervise(s, in.outputNews)
	m.wg.Go(in.countViewers)
	return in, nil
}

// ingest is one open managed stream.
type ingest struct {
	m      *managedStreams
	spec   session.IngestSpec
	stream *hub.Stream
	closed sync.Once

	outputs *outputs

	mu   sync.Mutex // orders what the session is told
	news int        // changes so far: an announcement that another overtook is void
}

// Close ends the stream, without waiting for it.
func (i *ingest) Close(reason string) {
	i.closed.Do(func() { i.m.wg.Go(func() { i.stream.Close(reason) }) })
}

// outputNews tells the session how a destination does, under the rules of event.
func (i *ingest) outputNews(e session.OutputEvent) {
	if i.m.ctx.Err() == nil {
		i.spec.NotifyOutput(e)
	}
}

// SetOutputs sends the stream on to these destinations.
func (i *ingest) SetOutputs(list []camera.Outlet) { i.outputs.set(list, false) }

// event translates the hub's events, which come in order. While the server goes
// down nothing is told: for the session and its app the stream has not ended,
// it goes on in the next process.
func (i *ingest) event(e hub.Event) {
	if i.m.ctx.Err() != nil {
		return
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	switch e.Kind {
	case hub.EventTakeover, hub.EventRefused, hub.EventStarving: // the media goes on
		i.m.events.Publish(events.Event{
			Type: events.Type("stream." + e.Kind.String()), Wearer: i.spec.User, Stream: i.spec.StreamID, Kind: "managed", Message: e.Reason,
		})
		return
	}
	i.news++
	switch e.Kind {
	case hub.EventLive, hub.EventResumed:
		news := i.news
		i.m.wg.Go(func() { i.announce(e.Run, news) })
	case hub.EventInterrupted:
		i.spec.Notify(session.MediaEvent{State: session.MediaLost, Silent: time.Since(e.Stream.Stats().LastByte)})
	case hub.EventEnded:
		i.spec.Notify(session.MediaEvent{State: session.MediaFailed, Reason: e.Reason})
	}
}

// announce says live once the playback URLs really answer (DESIGN §2.3), unless
// something else has happened since. The store of a run that resumes has been
// ready for long.
func (i *ingest) announce(run *hub.Run, news int) {
	store := i.m.packs.Store(run)
	if store == nil {
		return // the run is over already
	}
	select {
	case <-store.Ready():
	case <-run.Done():
		return
	case <-i.m.ctx.Done():
		return
	}
	i.tellLive(news)
}

// tellLive tells the session that its media is live, unless there is newer news.
func (i *ingest) tellLive(news int) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.news == news {
		i.spec.Notify(session.MediaEvent{State: session.MediaLive})
	}
}

// viewersEvery is how often a session hears of a change in its viewers.
const viewersEvery = 2 * time.Second

// countViewers tells the session how many players there are, when that changes.
func (i *ingest) countViewers() {
	tick := time.NewTicker(viewersEvery)
	defer tick.Stop()
	last := 0
	for {
		select {
		case <-tick.C:
		case <-i.stream.Done():
			return
		case <-i.m.ctx.Done():
			return
		}
		if n := total(i.stream.Stats().Viewers); n != last {
			last = n
			i.spec.NotifyViewers(n)
		}
	}
}

func total(viewers map[string]int) int {
	n := 0
	for _, count := range viewers {
		n += count
	}
	return n
}
