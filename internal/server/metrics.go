package server

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/VictoriaMetrics/metrics"

	"glimpse/internal/media/restream"
	"glimpse/internal/media/rtmp"
)

// metrics answers /metrics in the text format of Prometheus: counts and states
// without a name, id or address of anybody. panics counts requests that ended so.
func (s *Server) metrics(panics *atomic.Uint64) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		c := collector{s: s, panics: panics, families: map[string]*family{}}
		c.streams()
		c.sockets()
		c.restreams()
		c.outputs()
		c.frames()
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		if c.write(w) == nil {
			metrics.WriteProcessMetrics(w) // and Go's
			metrics.WriteFDMetrics(w)
		}
	})
}

// collector reads the parts' counters for one answer.
type collector struct {
	s        *Server
	panics   *atomic.Uint64 // of HTTP handlers
	families map[string]*family
}

// family is the samples of one name, which the format wants together.
type family struct {
	kind, help string
	samples    []string // "{label=\"value\"} 1"
}

// The kinds of a family.
const (
	gauge   = "gauge"
	counter = "counter"
)

// send adds a sample. labels are names and values in turn; those of ours need no
// escaping, and help neither.
func (c *collector) send(kind, name, help string, value float64, labels ...string) {
	f := c.families[name]
	if f == nil {
		f = &family{kind: kind, help: help}
		c.families[name] = f
	}
	sample := ""
	for i := 0; i+1 < len(labels); i += 2 {
		sample += fmt.Sprintf(",%s=%q", labels[i], labels[i+1])
	}
	if sample != "" {
		sample = "{" + sample[1:] + "}"
	}
	f.samples = append(f.samples, sample+" "+strconv.FormatFloat(value, 'g', -1, 64))
}

// write writes the families by name, and the samples of each in order.
func (c *collector) write(to io.Writer) error {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(c.families)) {
		f := c.families[name]
		slices.Sort(f.samples)
		fmt.Fprintf(&b, "# HELP glimpse_%s %s\n# TYPE glimpse_%s %s\n", name, f.help, name, f.kind)
		for _, sample := range f.samples {
			fmt.Fprintf(&b, "glimpse_%s%s\n", name, sample)
		}
	}
	_, err := io.WriteString(to, b.String())
	return err
}

func (c *collector) streams() {
	states, viewers := map[string]int{"idle": 0, "live": 0, "interrupted": 0}, map[string]int{"rtmp": 0, "rtmps": 0, "srt": 0, "hls": 0, "dash": 0, "whep": 0}
	var bytes, frames, dropped uint64
	for _, s := range c.s.media.hub.Streams() {
		st := s.Stats()
		states[st.State.String()]++
		for protocol, n := range st.Viewers {
			viewers[protocol] += n
		}
		bytes, frames, dropped = bytes+st.Bytes, frames+st.Frames, dropped+st.Dropped
	}
	for state, n := range states {
		c.send(gauge, "streams", "Open streams by state.", float64(n), "state", state)
	}
	for protocol, n := range viewers {
		c.send(gauge, "viewers", "Viewers by protocol.", float64(n), "protocol", protocol)
	}
	c.send(gauge, "ingest_bytes", "Bytes received by the streams that are open.", float64(bytes))
	c.send(gauge, "ingest_pictures", "Pictures received by the streams that are open.", float64(frames))
	c.send(gauge, "reader_dropped_frames", "Frames that slow readers of the open streams lost.", float64(dropped))
}

func (c *collector) sockets() {
	crowd := c.s.gate.Stats()
	c.send(gauge, "strangers", "Connections that have not said yet who they are.", float64(crowd.Places))
	c.send(gauge, "strangers_bytes", "Memory that they count for.", float64(crowd.Bytes))
	c.send(counter, "strangers_evicted_total", "Strangers who were sent away for want of room.", float64(crowd.Evicted))
	c.send(counter, "http_unread_closed_total", "Connections by HTTP that were closed because their peer read nothing.", float64(c.s.unread.closed.Load()))
	g := c.s.control.gateway.Stats()
	c.send(gauge, "sockets", "Open websockets.", float64(g.Apps), "kind", "app")
	c.send(gauge, "sockets", "Open websockets.", float64(g.Phones), "kind", "glasses")
	c.send(counter, "sockets_refused_total", "Websockets that were refused.", float64(g.Refused))
	c.send(counter, "sockets_overflow_total", "Websockets closed because their reader was too slow.", float64(g.Overflow))
	c.send(counter, "panics_total", "Connections ended by a fault of ours.", float64(g.Panics), "part", "gateway")
	c.send(counter, "panics_total", "Connections ended by a fault of ours.", float64(c.panics.Load()), "part", "http")
	c.send(counter, "display_dropped_total", "Texts for glasses that a crowded socket had no room for.", float64(g.Dropped))
	e := c.s.control.events.Stats()
	c.send(counter, "events_total", "Events of the API.", float64(e.Published))
	c.send(counter, "events_lost_total", "Events that callers were too slow for.", float64(e.Lost))
	c.send(gauge, "event_followers", "Callers that follow the events.", float64(e.Followers))
	for protocol, r := range map[string]*rtmp.Server{"rtmp": c.s.media.rtmp, "rtmps": c.s.tls.rtmp} {
		if r == nil {
			continue
		}
		st := r.Stats()
		c.send(counter, protocol+"_connections_total", "RTMP connections.", float64(st.Accepted))
		c.send(counter, protocol+"_refused_total", "RTMP connections that were refused.", float64(st.Refused))
		c.send(counter, "panics_total", "Connections ended by a fault of ours.", float64(st.Panics), "part", protocol)
	}
	if r := c.s.media.srt; r != nil {
		st := r.Stats()
		c.send(counter, "srt_connections_total", "SRT connections.", float64(st.Accepted))
		c.send(counter, "srt_refused_total", "SRT connections that were refused.", float64(st.Refused))
		links := r.Links()
		c.send(counter, "srt_resent_packets_total", "Packets of SRT publishers that came at a second attempt.", float64(links.Resent))
		c.send(counter, "srt_lost_packets_total", "Packets of SRT publishers that never came.", float64(links.Lost))
		c.send(counter, "srt_sent_again_packets_total", "Packets that SRT readers were sent a second time.", float64(links.Again))
		c.send(counter, "srt_dropped_packets_total", "Packets that SRT readers did not get in time.", float64(links.Dropped))
		c.send(counter, "panics_total", "Connections ended by a fault of ours.", float64(st.Panics), "part", "srt")
	}
}

func (c *collector) frames() {
	f := c.s.media.frames.Stats()
	c.send(gauge, "frame_subscribers", "Apps that are given decoded pictures.", float64(f.Subscribers))
	c.send(gauge, "frame_decoders", "Decoders, one per stream and size.", float64(f.Decoders))
	c.send(gauge, "frame_decoders_limited", "Decoders that decode key frames only.", float64(f.Limited))
	c.send(counter, "frame_pictures_total", "Pictures decoded.", float64(f.Pictures))
	c.send(counter, "frame_sent_total", "Pictures sent to apps.", float64(f.Sent))
	c.send(counter, "frame_dropped_total", "Pictures that slow apps lost.", float64(f.Dropped))
	c.send(counter, "frame_refused_total", "Requests for pictures and results that were refused.", float64(f.Refused))
	c.send(counter, "detections_total", "Results posted by apps.", float64(f.Results))
	c.send(gauge, "detection_readers", "Readers of results.", float64(f.Readers))
	c.send(counter, "detections_lost_total", "Results that slow readers lost.", float64(f.ResultsLost))
}

// restreams counts the destinations of all streams.
func (c *collector) restreams() {
	states := map[restream.State]int{
		restream.Idle: 0, restream.Connecting: 0, restream.Active: 0, restream.Retrying: 0, restream.Failed: 0, restream.Stopped: 0,
	}
	var sent, dropped uint64
	for _, s := range c.s.media.hub.Streams() {
		if o := c.s.control.managed.restreams.find(s.ID()); o != nil {
			for _, status := range o.supervisor.Status() {
				states[status.State]++
				sent, dropped = sent+status.Bytes, dropped+status.Dropped
			}
		}
	}
	for state, n := range states {
		c.send(gauge, "restreams", "Restream destinations by state.", float64(n), "state", string(state))
	}
	c.send(gauge, "restream_bytes", "Bytes sent to the restream destinations that there are.", float64(sent))
	c.send(gauge, "restream_dropped_frames", "Frames that slow restream destinations lost.", float64(dropped))
}

func (c *collector) outputs() {
	p := c.s.media.packs.Stats()
	c.send(gauge, "cmaf_bytes", "Bytes of media kept for HLS.", float64(p.Bytes))
	c.send(counter, "cmaf_shrunk_total", "Segments dropped early for lack of room.", float64(p.Shrunk))
	r := c.s.media.recorder.Stats()
	c.send(gauge, "recordings_active", "Recordings in progress.", float64(r.Active))
	c.send(gauge, "recordings_paused", "Recordings in progress whose disk takes nothing.", float64(r.Paused))
	c.send(gauge, "recordings", "Recordings and clips on the disk.", float64(r.Files))
	c.send(gauge, "recordings_bytes", "Bytes of recordings and clips.", float64(r.Bytes))
	c.send(counter, "recording_failures_total", "Times that the disk of a recording took nothing.", float64(r.Failures))
	t := c.s.media.transcode.Stats()
	c.send(gauge, "ffmpeg_children", "ffmpeg processes at work.", float64(t.Children))
	c.send(gauge, "ffmpeg_ready", "ffmpeg processes that wait for the first who needs them.", float64(t.Ready))
	c.send(counter, "ffmpeg_started_total", "ffmpeg processes put to work.", float64(t.Started))
	c.send(counter, "ffmpeg_failed_total", "ffmpeg processes that died, hung, or wrote nonsense.", float64(t.Failed))
	if w := c.s.media.webrtc; w != nil {
		st := w.Stats()
		c.send(counter, "whep_sessions_total", "WebRTC viewers that connected or tried to.", float64(st.Sessions))
		c.send(counter, "whep_failed_total", "WebRTC viewers that never connected.", float64(st.Failed))
		c.send(counter, "whep_packets_total", "RTP packets sent.", float64(st.Packets))
		c.send(counter, "whep_bytes_total", "RTP bytes sent.", float64(st.Bytes))
		c.send(counter, "whep_retransmitted_total", "RTP packets sent again.", float64(st.Retransmitted))
		c.send(counter, "whep_degraded_total", "Times that a WebRTC viewer's quality was lowered for its network.", float64(st.Degraded))
		c.send(gauge, "whip_publishers", "WebRTC publishers connected.", float64(st.Publishers))
		c.send(counter, "whip_refused_total", "WebRTC publishers that were refused.", float64(st.PublishersRefused))
		c.send(counter, "whep_restarts_total", "WebRTC viewers sent back to a key frame.", float64(st.Restarts))
	}
}
