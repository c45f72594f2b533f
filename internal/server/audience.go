package server

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"time"

	"glimpse/internal/control/api"
	"glimpse/internal/control/events"
	"glimpse/internal/control/reports"
	"glimpse/internal/media/codec"
	"glimpse/internal/media/frame"
	"glimpse/internal/media/hub"
	"glimpse/internal/media/poster"
)

// Viewers tells who watches a stream.
func (m *liveMedia) Viewers(id string) (api.Viewers, bool) {
	s := m.hub.Stream(id)
	if s == nil {
		return api.Viewers{}, false
	}
	st := s.Stats()
	v := api.Viewers{Active: total(st.Viewers), Peak: st.PeakViewers, Protocols: map[string]api.Watching{}, Viewers: []api.Viewer{}}
	for protocol, w := range st.Audience {
		v.Protocols[protocol] = api.Watching{Active: w.Now, Peak: w.Peak, Total: w.Joined, Watched: w.Watched.Seconds()}
	}
	for _, w := range s.Viewers() {
		v.Viewers = append(v.Viewers, api.Viewer{
			ID: w.ID, Protocol: w.Protocol, Address: network(w.Remote), Since: w.Since.UTC().Truncate(time.Millisecond),
			Bytes: w.Bytes, Dropped: w.Dropped, Lost: w.Lost, RTT: w.RTT.Seconds(),
		})
	}
	return v, true
}

// network is an address without what tells one person from the neighbours.
func network(remote string) string {
	if host, _, err := net.SplitHostPort(remote); err == nil {
		remote = host
	}
	addr, err := netip.ParseAddr(remote)
	if err != nil {
		return ""
	}
	addr = addr.Unmap().WithZone("")
	bits := 48
	if addr.Is4() {
		bits = 24
	}
	p, _ := addr.Prefix(bits) // the length fits
	return p.String()
}

// audienceEvery is how often a change of a stream's viewers is an event.
const audienceEvery = 5 * time.Second

// tellAudiences publishes how many watch, when that has changed, until ctx ends.
func tellAudiences(ctx context.Context, h *hub.Hub, news *events.Log) {
	tick := time.NewTicker(audienceEvery)
	defer tick.Stop()
	told := map[*hub.Stream]int{}
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		now := map[*hub.Stream]int{}
		for _, s := range h.Streams() {
			n := total(s.Stats().Viewers)
			if now[s] = n; n == told[s] {
				continue
			}
			e := about(s)
			e.Type, e.Viewers = events.StreamViewers, &n
			news.Publish(e)
		}
		told = now
	}
}

// about is an event that concerns a stream.
func about(s *hub.Stream) events.Event {
	e := events.Event{Stream: s.ID(), Kind: "standing"}
	if !s.Standing() {
		e.Kind, e.Wearer = "managed", s.Name()
	}
	return e
}

// report makes the report of a run; it is an output of the hub.
func (s *Server) report(ctx context.Context, run *hub.Run) {
	stream := run.Stream()
	of := reports.Subject{Stream: stream.ID(), Name: stream.Name(), Started: run.Start()}
	if !stream.Standing() {
		of.Name, of.Wearer = "", stream.Name()
	}
	s.control.reports.Follow(ctx, of, func() reports.Sample { return s.sample(stream) }, func(r reports.Report) {
		e := about(stream)
		e.Type, e.Report = events.StreamReport, r.ID
		e.Message = fmt.Sprintf("Live for %v, %d viewers in all and %d at most, %d reconnects.",
			(time.Duration(r.Duration * float64(time.Second))).Round(time.Second), r.Viewers.Total, r.Viewers.Peak, r.Reconnects)
		s.control.events.Publish(e)
	})
}

// sample is how a run stands.
func (s *Server) sample(stream *hub.Stream) reports.Sample {
	st := stream.Stats()
	x := reports.Sample{
		Away: st.State != hub.StateLive, Protocol: st.Protocol, Frames: st.Frames, Bytes: st.Bytes, Bitrate: st.Bitrate,
		KeyInterval: st.KeyInterval, Publishers: st.Publishers, Dropped: st.Dropped, Now: total(st.Viewers), Sound: "none",
		Audience: map[string]reports.Audience{},
	}
	if st.Link != nil {
		x.Lost = st.Link.Lost
	}
	for protocol, w := range st.Audience {
		x.Audience[protocol] = reports.Audience{Peak: w.Peak, Total: w.Joined, Watched: w.Watched.Seconds()}
	}
	for _, t := range st.Tracks {
		if t.Kind() == frame.Audio {
			x.Sound = t.Codec.Name()
		} else if v, ok := t.Codec.(codec.Video); ok {
			w, h := v.Size()
			x.Video = fmt.Sprintf("%s %dx%d", t.Codec.Name(), w, h)
		}
	}
	if o := s.control.managed.restreams.find(stream.ID()); o != nil {
		x.Outputs = []reports.Delivery{}
		for _, d := range o.supervisor.Status() {
			x.Outputs = append(x.Outputs, reports.Delivery{
				ID: d.ID, Name: d.Name, URL: d.URL, Status: string(d.State), Error: d.Error,
				Connects: d.Connects, Sent: d.Sent, Bytes: d.Bytes, Dropped: d.Dropped,
			})
		}
	}
	return x
}

// openPosters opens the folder of the pictures of streams that are over.
func (s *Server) openPosters() (err error) {
	s.media.posters, err = poster.New(poster.Config{
		Dir: filepath.Join(s.cfg.DataDir, "posters"), Picture: s.media.transcode.Thumbnail, Log: s.log,
	})
	return err
}

// thumbnail answers with a stream's newest picture, or the last one that it had.
func (s *Server) thumbnail(w http.ResponseWriter, r *http.Request, stream *hub.Stream) {
	s.media.transcode.ServeThumbnail(w, r, stream, func() ([]byte, time.Time, bool) { return s.media.posters.Get(r.PathValue("playback")) })
}
