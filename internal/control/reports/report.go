// Package reports keeps what became of streams: one report for each run, from its
// first picture until nobody comes back, with its bitrate, drops, reconnects,
// viewers and outputs. The newest are kept in the store, bounded by number and age.
//
// A report is written while its run goes on, so that a server that is killed leaves
// one that ends with its last sample, and says so. Media never waits for the store:
// one goroutine of the Store writes, the newest of each report.
//
// Store is safe for concurrent use. A Recorder belongs to its run's goroutine.
package reports

import (
	"time"
)

// How a run ended.
const (
	Running = "running" // not yet
	Over    = "over"
	Stopped = "server_stopped" // the stream may go on in the next process
	Killed  = "server_killed"  // likewise; what came after the last sample is not known
)

// Report is what became of one run of a stream. Times of its parts are seconds.
type Report struct {
	ID       string     `json:"id"`
	Stream   string     `json:"stream" doc:"Id of the stream."`
	Name     string     `json:"name,omitempty"`
	Wearer   string     `json:"wearer,omitempty" doc:"User id; empty for a standing stream."`
	Started  time.Time  `json:"started_at"`
	Ended    *time.Time `json:"ended_at,omitempty"`
	End      string     `json:"end" enum:"running,over,server_stopped,server_killed"`
	Duration float64    `json:"duration" doc:"Seconds, interruptions included."`
	Source
	Quality
	Viewers  Audience            `json:"viewers" doc:"Of all protocols together."`
	Audience map[string]Audience `json:"audience" doc:"By protocol."`
	Outputs  []Delivery          `json:"outputs"`
	Curve    *Curve              `json:"curve,omitempty" doc:"Missing in lists."`
}

// Source is what came.
type Source struct {
	Protocol    string  `json:"protocol,omitempty" doc:"Of the last publisher."`
	Video       string  `json:"video,omitempty"`
	Sound       string  `json:"sound,omitempty"`
	Frames      uint64  `json:"frames" doc:"Pictures received."`
	Bytes       uint64  `json:"bytes" doc:"Received."`
	Bitrate     float64 `json:"bitrate" doc:"Mean, in bit/s."`
	PeakBitrate float64 `json:"peak_bitrate" doc:"Of a second or two, in bit/s."`
	KeyInterval float64 `json:"key_interval" doc:"Seconds between the last two key frames."`
}

// Quality is what went wrong.
type Quality struct {
	Reconnects  int     `json:"reconnects" doc:"Times that another publisher, or the same one again, became the source."`
	Interrupted float64 `json:"interrupted" doc:"Seconds without a publisher."`
	Dropped     uint64  `json:"dropped" doc:"Frames that slow readers lost."`
	Lost        uint64  `json:"lost" doc:"Packets of the publisher that never came, when its protocol knows."`
}

// Audience is who watched.
type Audience struct {
	Peak    int     `json:"peak" doc:"At the same time."`
	Total   int     `json:"total" doc:"Who joined in all."`
	Watched float64 `json:"watched" doc:"Seconds, of all of them together."`
}

// Delivery is what became of a restream destination.
type Delivery struct {
	ID       string `json:"id"`
	Name     string `json:"name,omitempty"`
	URL      string `json:"url" doc:"Without its key."`
	Status   string `json:"status" doc:"The last one while the stream ran."`
	Error    string `json:"error,omitempty"`
	Connects int    `json:"connects" doc:"Times that the destination took the stream."`
	Sent     uint64 `json:"sent" doc:"Frames."`
	Bytes    uint64 `json:"bytes"`
	Dropped  uint64 `json:"dropped" doc:"Frames lost because the destination is slow."`
}

// Curve is how a run went, in at most 240 equal steps.
type Curve struct {
	Step    float64   `json:"step" doc:"Seconds from point to point."`
	Bitrate []float64 `json:"bitrate" doc:"Mean of each step in bit/s."`
	Viewers []float64 `json:"viewers" doc:"Likewise."`
}

// Subject is whose run it is.
type Subject struct {
	Stream, Name, Wearer string
	Started              time.Time
}

// Sample is how a run stands. Counts are since the stream was opened, or of the run
// where nothing else can be.
type Sample struct {
	Away        bool // no publisher is there
	Protocol    string
	Video       string
	Sound       string
	Frames      uint64
	Bytes       uint64
	Bitrate     float64
	KeyInterval time.Duration
	Publishers  int
	Dropped     uint64
	Lost        uint64
	Now         int                 // viewers
	Audience    map[string]Audience // of the run
	Outputs     []Delivery          // nil: as before
}

// SampleEvery is how often a run is looked at.
const SampleEvery = time.Second

// maxPoints bounds a curve: then its steps become twice as long.
const maxPoints = 240

// recorder makes a report of samples, one each SampleEvery. It is pure.
type recorder struct {
	report  Report
	base    Sample // what had happened before
	peak    int    // of viewers
	sum     struct{ bitrate, viewers float64 }
	samples int // in the point that is being made
	per     int // samples a point
}

func newRecorder(id string, of Subject, first Sample) *recorder {
	r := &recorder{per: 1, base: first, report: Report{
		ID: id, Stream: of.Stream, Name: of.Name, Wearer: of.Wearer, Started: of.Started.UTC().Truncate(time.Millisecond), End: Running,
		Audience: map[string]Audience{}, Outputs: []Delivery{}, Curve: &Curve{Step: SampleEvery.Seconds(), Bitrate: []float64{}, Viewers: []float64{}},
	}}
	if first.Publishers <= 1 { // all of it belongs to this run
		r.base = Sample{Publishers: 1}
	}
	return r
}

// add takes a sample.
func (r *recorder) add(s Sample, now time.Time) {
	p := &r.report
	r.total(s, now)
	p.PeakBitrate = max(p.PeakBitrate, s.Bitrate)
	if s.Away {
		p.Interrupted += SampleEvery.Seconds()
		s.Bitrate = 0
	}
	r.peak = max(r.peak, s.Now)
	r.sum.bitrate, r.sum.viewers = r.sum.bitrate+s.Bitrate, r.sum.viewers+float64(s.Now)
	if r.samples++; r.samples < r.per {
		return
	}
	c := p.Curve
	c.Bitrate = append(c.Bitrate, r.sum.bitrate/float64(r.per))
	c.Viewers = append(c.Viewers, r.sum.viewers/float64(r.per))
	r.sum.bitrate, r.sum.viewers, r.samples = 0, 0, 0
	if len(c.Bitrate) == maxPoints {
		c.Bitrate, c.Viewers = halved(c.Bitrate), halved(c.Viewers)
		r.per *= 2
		c.Step *= 2
	}
}

// halved takes the mean of each two.
func halved(points []float64) []float64 {
	half := make([]float64, 0, maxPoints)
	for i := 0; i+1 < len(points); i += 2 {
		half = append(half, (points[i]+points[i+1])/2)
	}
	return half
}

// total brings everything but the curve up to date.
func (r *recorder) total(s Sample, now time.Time) {
	p := &r.report
	p.Duration = max(0, now.Sub(p.Started).Seconds())
	if s.Protocol != "" {
		p.Protocol = s.Protocol
	}
	if s.Video != "" {
		p.Video, p.Sound = s.Video, s.Sound
	}
	p.Frames, p.Bytes = since(s.Frames, r.base.Frames), since(s.Bytes, r.base.Bytes)
	if p.Duration > 0 {
		p.Bitrate = float64(p.Bytes) * 8 / p.Duration
	}
	p.KeyInterval = s.KeyInterval.Seconds()
	p.Reconnects = max(0, s.Publishers-r.base.Publishers)
	p.Dropped, p.Lost = since(s.Dropped, r.base.Dropped), max(p.Lost, s.Lost)
	if s.Audience != nil {
		p.Audience, p.Viewers = s.Audience, Audience{}
		for _, a := range s.Audience {
			p.Viewers.Total += a.Total
			p.Viewers.Watched += a.Watched
			r.peak = max(r.peak, a.Peak)
		}
	}
	p.Viewers.Peak = max(r.peak, s.Now)
	if s.Outputs != nil {
		p.Outputs = s.Outputs
	}
}

func since(now, before uint64) uint64 {
	if now < before {
		return 0
	}
	return now - before
}

// end finishes the report.
func (r *recorder) end(s Sample, now time.Time, how string) Report {
	r.total(s, now)
	at := now.UTC().Truncate(time.Millisecond)
	r.report.Ended, r.report.End = &at, how
	return r.snapshot()
}

// snapshot is the report of now; it shares nothing with the recorder.
func (r *recorder) snapshot() Report {
	p := r.report
	c := *p.Curve
	c.Bitrate, c.Viewers = append([]float64{}, c.Bitrate...), append([]float64{}, c.Viewers...)
	p.Curve = &c
	return p
}
