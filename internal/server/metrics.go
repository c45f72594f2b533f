package server

import (
	"net/http"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"glimpse/internal/media/restream"
	"glimpse/internal/media/rtmp"
)

// metrics answers /metrics: counts and states without a name, id or address of
// anybody. panics counts requests that ended so.
func (s *Server) metrics(panics *atomic.Uint64) http.Handler {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), &collector{s, panics})
	return promhttp.HandlerFor(r, promhttp.HandlerOpts{})
}

// collector reads the parts' counters when it is asked.
type collector struct {
	s      *Server
	panics *atomic.Uint64 // of HTTP handlers
}

// Describe sends nothing: the set of metrics depends on the listeners.
func (c *collector) Describe(chan<- *prometheus.Desc) {}

// Collect sends all metrics.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	c.streams(ch)
	c.sockets(ch)
	c.restreams(ch)
	c.outputs(ch)
	c.frames(ch)
}

func send(ch chan<- prometheus.Metric, kind prometheus.ValueType, name, help string, value float64, labels ...string) {
	var names, values []string
	for i := 0; i+1 < len(labels); i += 2 {
		names, values = append(names, labels[i]), append(values, labels[i+1])
	}
	desc := prometheus.NewDesc("glimpse_"+name, help, names, nil)
	ch <- prometheus.MustNewConstMetric(desc, kind, value, values...)
}

const (
	gauge   = prometheus.GaugeValue
	counter = prometheus.CounterValue
)

func (c *collector) streams(ch chan<- prometheus.Metric) {
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
		send(ch, gauge, "streams", "Open streams by state.", float64(n), "state", state)
	}
	for protocol, n := range viewers {
		send(ch, gauge, "viewers", "Viewers by protocol.", float64(n), "protocol", protocol)
	}
	send(ch, gauge, "ingest_bytes", "Bytes received by the streams that are open.", float64(bytes))
	send(ch, gauge, "ingest_pictures", "Pictures received by the streams that are open.", float64(frames))
	send(ch, gauge, "reader_dropped_frames", "Frames that slow readers of the open streams lost.", float64(dropped))
}

func (c *collector) sockets(ch chan<- prometheus.Metric) {
	crowd := c.s.gate.Stats()
	send(ch, gauge, "strangers", "Connections that have not said yet who they are.", float64(crowd.Places))
	send(ch, gauge, "strangers_bytes", "Memory that they count for.", float64(crowd.Bytes))
	send(ch, counter, "strangers_evicted_total", "Strangers who were sent away for want of room.", float64(crowd.Evicted))
	g := c.s.control.gateway.Stats()
	send(ch, gauge, "sockets", "Open websockets.", float64(g.Apps), "kind", "app")
	send(ch, gauge, "sockets", "Open websockets.", float64(g.Phones), "kind", "glasses")
	send(ch, counter, "sockets_refused_total", "Websockets that were refused.", float64(g.Refused))
	send(ch, counter, "sockets_overflow_total", "Websockets closed because their reader was too slow.", float64(g.Overflow))
	send(ch, counter, "panics_total", "Connections ended by a fault of ours.", float64(g.Panics), "part", "gateway")
	send(ch, counter, "panics_total", "Connections ended by a fault of ours.", float64(c.panics.Load()), "part", "http")
	send(ch, counter, "display_dropped_total", "Texts for glasses that a crowded socket had no room for.", float64(g.Dropped))
	e := c.s.control.events.Stats()
	send(ch, counter, "events_total", "Events of the API.", float64(e.Published))
	send(ch, counter, "events_lost_total", "Events that callers were too slow for.", float64(e.Lost))
	send(ch, gauge, "event_followers", "Callers that follow the events.", float64(e.Followers))
	for protocol, r := range map[string]*rtmp.Server{"rtmp": c.s.media.rtmp, "rtmps": c.s.tls.rtmp} {
		if r == nil {
			continue
		}
		st := r.Stats()
		send(ch, counter, protocol+"_connections_total", "RTMP connections.", float64(st.Accepted))
		send(ch, counter, protocol+"_refused_total", "RTMP connections that were refused.", float64(st.Refused))
		send(ch, counter, "panics_total", "Connections ended by a fault of ours.", float64(st.Panics), "part", protocol)
	}
	if r := c.s.media.srt; r != nil {
		st := r.Stats()
		send(ch, counter, "srt_connections_total", "SRT connections.", float64(st.Accepted))
		send(ch, counter, "srt_refused_total", "SRT connections that were refused.", float64(st.Refused))
		links := r.Links()
		send(ch, counter, "srt_resent_packets_total", "Packets of SRT publishers that came at a second attempt.", float64(links.Resent))
		send(ch, counter, "srt_lost_packets_total", "Packets of SRT publishers that never came.", float64(links.Lost))
		send(ch, counter, "srt_sent_again_packets_total", "Packets that SRT readers were sent a second time.", float64(links.Again))
		send(ch, counter, "srt_dropped_packets_total", "Packets that SRT readers did not get in time.", float64(links.Dropped))
		send(ch, counter, "panics_total", "Connections ended by a fault of ours.", float64(st.Panics), "part", "srt")
	}
}

func (c *collector) frames(ch chan<- prometheus.Metric) {
	f := c.s.media.frames.Stats()
	send(ch, gauge, "frame_subscribers", "Apps that are given decoded pictures.", float64(f.Subscribers))
	send(ch, gauge, "frame_decoders", "Decoders, one per stream and size.", float64(f.Decoders))
	send(ch, gauge, "frame_decoders_limited", "Decoders that decode key frames only.", float64(f.Limited))
	send(ch, counter, "frame_pictures_total", "Pictures decoded.", float64(f.Pictures))
	send(ch, counter, "frame_sent_total", "Pictures sent to apps.", float64(f.Sent))
	send(ch, counter, "frame_dropped_total", "Pictures that slow apps lost.", float64(f.Dropped))
	send(ch, counter, "frame_refused_total", "Requests for pictures and results that were refused.", float64(f.Refused))
	send(ch, counter, "detections_total", "Results posted by apps.", float64(f.Results))
	send(ch, gauge, "detection_readers", "Readers of results.", float64(f.Readers))
	send(ch, counter, "detections_lost_total", "Results that slow readers lost.", float64(f.ResultsLost))
}

// restreams counts the destinations of all streams.
func (c *collector) restreams(ch chan<- prometheus.Metric) {
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
		send(ch, gauge, "restreams", "Restream destinations by state.", float64(n), "state", string(state))
	}
	send(ch, gauge, "restream_bytes", "Bytes sent to the restream destinations that there are.", float64(sent))
	send(ch, gauge, "restream_dropped_frames", "Frames that slow restream destinations lost.", float64(dropped))
}

func (c *collector) outputs(ch chan<- prometheus.Metric) {
	p := c.s.media.packs.Stats()
	send(ch, gauge, "cmaf_bytes", "Bytes of media kept for HLS.", float64(p.Bytes))
	send(ch, counter, "cmaf_shrunk_total", "Segments dropped early for lack of room.", float64(p.Shrunk))
	r := c.s.media.recorder.Stats()
	send(ch, gauge, "recordings_active", "Recordings in progress.", float64(r.Active))
	send(ch, gauge, "recordings_paused", "Recordings in progress whose disk takes nothing.", float64(r.Paused))
	send(ch, gauge, "recordings", "Recordings and clips on the disk.", float64(r.Files))
	send(ch, gauge, "recordings_bytes", "Bytes of recordings and clips.", float64(r.Bytes))
	send(ch, counter, "recording_failures_total", "Times that the disk of a recording took nothing.", float64(r.Failures))
	t := c.s.media.transcode.Stats()
	send(ch, gauge, "ffmpeg_children", "ffmpeg processes running.", float64(t.Children))
	send(ch, counter, "ffmpeg_started_total", "ffmpeg processes started.", float64(t.Started))
	send(ch, counter, "ffmpeg_failed_total", "ffmpeg processes that died, hung, or wrote nonsense.", float64(t.Failed))
	if w := c.s.media.webrtc; w != nil {
		st := w.Stats()
		send(ch, counter, "whep_sessions_total", "WebRTC viewers that connected or tried to.", float64(st.Sessions))
		send(ch, counter, "whep_failed_total", "WebRTC viewers that never connected.", float64(st.Failed))
		send(ch, counter, "whep_packets_total", "RTP packets sent.", float64(st.Packets))
		send(ch, counter, "whep_bytes_total", "RTP bytes sent.", float64(st.Bytes))
		send(ch, counter, "whep_retransmitted_total", "RTP packets sent again.", float64(st.Retransmitted))
		send(ch, counter, "whep_degraded_total", "Times that a WebRTC viewer's quality was lowered for its network.", float64(st.Degraded))
		send(ch, gauge, "whip_publishers", "WebRTC publishers connected.", float64(st.Publishers))
		send(ch, counter, "whip_refused_total", "WebRTC publishers that were refused.", float64(st.PublishersRefused))
		send(ch, counter, "whep_restarts_total", "WebRTC viewers sent back to a key frame.", float64(st.Restarts))
	}
}
