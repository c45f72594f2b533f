package server

import (
	"context"
	"strings"
	"time"

	"glimpse/internal/control/api"
	"glimpse/internal/control/events"
	"glimpse/internal/control/streams"
	"glimpse/internal/media/codec"
	"glimpse/internal/media/frame"
	"glimpse/internal/media/frames"
	"glimpse/internal/media/hub"
	"glimpse/internal/media/poster"
	"glimpse/internal/media/record"
	"glimpse/internal/media/restream"
)

// standingMedia opens and ends standing streams in the hub.
type standingMedia struct {
	hub       *hub.Hub
	recorder  *record.Recorder
	events    *events.Log
	restreams *restreams
	posters   *poster.Store
}

var _ streams.Media = standingMedia{}

// OpenStanding makes the stream publishable and playable.
func (m standingMedia) OpenStanding(s streams.Stream) error {
	if s.Record != "" {
		m.recorder.SetPolicy(s.ID, record.Policy(s.Record))
	}
	stream, err := m.hub.Open(hub.Spec{
		ID: s.ID, IngestKey: s.IngestKey, PlaybackID: s.PlaybackID, Name: s.Name,
		Passphrase: s.Passphrase, ResumeWindow: s.ResumeWindow, Standing: true, Notify: m.tell,
	})
	if err == nil {
		m.restreams.supervise(stream, nil)
	}
	return err
}

// SetOutputs sends it on. The configuration file's addresses are trusted.
func (m standingMedia) SetOutputs(s streams.Stream) {
	if o := m.restreams.find(s.ID); o != nil {
		o.set(outlets(s.Restream), s.FromConfig)
	}
}

// CheckOutput says what is wrong with a destination's URL.
func (m standingMedia) CheckOutput(url string) error {
	return restream.CheckAddress(restream.Normal(url))
}

// tell passes on what happens to a standing stream.
func (m standingMedia) tell(e hub.Event) {
	m.events.Publish(events.Event{
		Type: events.Type("stream." + e.Kind.String()), Stream: e.Stream.ID(), Kind: "standing", Message: e.Reason,
	})
}

// CloseStanding ends it.
func (m standingMedia) CloseStanding(id string) {
	s := m.hub.Stream(id)
	if s == nil {
		return
	}
	s.Close("the operator deleted it")
	if err := m.posters.Delete(s.PlaybackID()); err != nil {
		m.restreams.log.Warn("the poster of a deleted stream stays", "stream", id, "err", err)
	}
	m.recorder.Forget(id)
}

// liveMedia shows the hub to the API.
type liveMedia struct {
	hub       *hub.Hub
	wearers   *wearers
	restreams *restreams
	frames    *frames.Service
}

var _ api.Media = (*liveMedia)(nil)

// Streams returns every open stream.
func (m *liveMedia) Streams() []api.Live {
	var list []api.Live
	for _, s := range m.hub.Streams() {
		list = append(list, m.describe(s))
	}
	return list
}

// Stream returns one of them.
func (m *liveMedia) Stream(id string) (api.Live, bool) {
	s := m.hub.Stream(id)
	if s == nil {
		return api.Live{}, false
	}
	return m.describe(s), true
}

// EndStream ends a wearer's stream through its session, so that apps are told.
func (m *liveMedia) EndStream(ctx context.Context, id string) error {
	s := m.hub.Stream(id)
	if s == nil || s.Standing() {
		return nil
	}
	return m.wearers.sessions.EndStream(ctx, s.Name(), id)
}

// describe is a stream in the API's words.
func (m *liveMedia) describe(s *hub.Stream) api.Live {
	st := s.Stats()
	live := api.Live{
		ID: s.ID(), Name: s.Name(), Status: st.State.String(), IngestKey: s.IngestKey(), PlaybackID: s.PlaybackID(),
		Passphrase: s.Passphrase(), Outputs: m.restreams.find(s.ID()).describe(st),
		Stats: api.Stats{
			Protocol: st.Protocol, Duration: st.Duration.Seconds(), Bitrate: st.Bitrate, FPS: st.FPS,
			KeyInterval: st.KeyInterval.Seconds(), Bytes: st.Bytes, Frames: st.Frames, Publishers: st.Publishers,
			Dropped: st.Dropped, Viewers: present(st.Viewers), PeakViewers: st.PeakViewers, Notice: st.Notice, Tracks: []api.Track{},
		},
	}
	if l := st.Link; l != nil {
		live.Stats.Link = &api.Link{Lost: l.Lost, Resent: l.Resent, RTT: l.RTT.Seconds(), Latency: l.Latency.Seconds()}
	}
	if !s.Standing() {
		live.Wearer, live.Name = s.Name(), ""
	}
	if !st.Since.IsZero() {
		since := st.Since.UTC().Truncate(time.Millisecond)
		live.Stats.Since = &since
	}
	live.Stats.Looking = looking(m.frames.Subscribers(s))
	live.Stats.Sound, live.Stats.SoundProblem = "none", soundProblem(s.Run(), hub.SoundOpus, hub.SoundStandard)
	for _, t := range st.Tracks {
		if t.Kind() == frame.Audio {
			live.Stats.Sound = strings.ToLower(t.Codec.Name())
		}
		track := api.Track{Codec: t.Codec.Name()}
		switch c := t.Codec.(type) {
		case codec.Video:
			live.Stats.Unplayable = codec.Unplayable(c)
			track.Width, track.Height = c.Size()
		case codec.Audio:
			track.SampleRate, track.Channels = c.Layout()
		}
		live.Stats.Tracks = append(live.Stats.Tracks, track)
	}
	return live
}

// present leaves out protocols without viewers.
func present(viewers map[string]int) map[string]int {
	m := map[string]int{}
	for protocol, n := range viewers {
		if n > 0 {
			m[protocol] = n
		}
	}
	return m
}
