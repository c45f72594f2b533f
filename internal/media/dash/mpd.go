package dash

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"glimpse/internal/media/cmaf"
	"glimpse/internal/media/codec"
)

// The times that the MPD announces.
const (
	updateEvery = time.Second     // a player asks again for the MPD
	behindLive  = 6 * time.Second // where players of whole segments stay: three usual ones
	// Where players of low latency stay, and what they bear: a publisher's return is
	// to be seen within two seconds. After a publisher's 5 s of silence they are late
	// by as much and make it good by playing faster, as fast as dash.js does where
	// nobody says how fast. With less to bear dash.js (5.2.1) jumps to the end of what
	// it has loaded so far, where it was seen to stay for good: about once in 50 times
	// on a busy machine (3 s).
	latencyTarget = 1500 * time.Millisecond
	latencyMin    = 500 * time.Millisecond
	latencyMax    = 10 * time.Second
	rateMin       = 0.96
	rateMax       = 1.50
	// Where players stay that get the compatible description, as far as there is so
	// much: GStreamer pauses whenever it has less than 30 s.
	behindCompatible = 36 * time.Second
)

// form is a kind of description.
type form struct {
	// compatible is for players that stumble over low latency or over a timeline
	// that begins in its middle. GStreamer (at least 1.22) adds the time of the first
	// segment that is listed to what it looks for, and so asks for segments that do
	// not exist yet, in every live presentation whose window moves. Here one that
	// has expired stands before the window and begins at the period's start.
	compatible bool
}

// query asks for the compatible form.
const query = "compat"

func (f form) query() string {
	if f.compatible {
		return "?" + query
	}
	return ""
}

// entry is a segment as it is listed. An open one has the length of the one
// before it, unless it is longer already.
type entry struct {
	*cmaf.Segment
	ticks uint64
}

// period is a run of segments with one init and no hole, in both renditions.
type period struct {
	number uint64 // counts discontinuities
	video  []entry
	audio  []entry
}

// periods cuts the segments that both renditions have. It is empty before one
// is closed. open lists the segment that is open as well.
func periods(video, audio *cmaf.Snapshot, open bool) []period {
	var list []period
	var nominal [2]time.Duration
	for _, v := range video.Segments {
		a := audio.Segment(v.Number)
		if a == nil || ((len(list) == 0 || !open) && !(v.Closed && a.Closed)) {
			continue
		}
		if n := len(list); n == 0 || list[n-1].number != v.Discontinuities {
			list = append(list, period{number: v.Discontinuities})
		}
		p := &list[len(list)-1]
		p.video = append(p.video, listed(v, &nominal[0]))
		p.audio = append(p.audio, listed(a, &nominal[1]))
	}
	return list
}

// listed makes an entry; nominal is the length of the one before.
func listed(s *cmaf.Segment, nominal *time.Duration) entry {
	ticks := s.Ticks
	if !s.Closed {
		ticks = max(ticks, uint64(nominal.Seconds()*float64(s.Init.Timescale)+0.5))
	}
	*nominal = s.Duration
	return entry{s, ticks}
}

// mpd renders the description, nil before a first segment is closed. now is the
// time of publication. A run is a presentation, with an id of its own: the start of
// one must not move (ISO/IEC 23009-1 §5.3.1.2), and each run has another.
func mpd(store *cmaf.Store, f form, now time.Time) []byte {
	list := periods(store.Video().Snapshot(), store.Audio().Snapshot(), !f.compatible)
	if len(list) == 0 {
		return nil
	}
	profiles, behind := "urn:mpeg:dash:profile:isoff-live:2011,http://www.dashif.org/guidelines/low-latency-live-v5", behindLive
	if f.compatible {
		profiles, behind = "urn:mpeg:dash:profile:isoff-live:2011", min(behindCompatible, depth(list))
	}
	var b bytes.Buffer
	b.WriteString(`<?xml version="1.0" encoding="UTF-8"?>` + "\n")
	fmt.Fprintf(&b, `<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" id="%s" type="dynamic" profiles="%s"`+
		` availabilityStartTime="%s" publishTime="%s" minimumUpdatePeriod="%s" minBufferTime="PT1S"`+
		` suggestedPresentationDelay="%s" timeShiftBufferDepth="%s" maxSegmentDuration="%s">`+"\n",
		store.ID(), profiles, stamp(store.Origin()), stamp(now), seconds(updateEvery), seconds(behind),
		seconds(depth(list)), seconds(cmaf.TargetDuration))
	if !f.compatible {
		fmt.Fprintf(&b, "  <ServiceDescription id=\"0\">\n    <Latency target=\"%d\" min=\"%d\" max=\"%d\"/>\n"+
			"    <PlaybackRate min=\"%.2f\" max=\"%.2f\"/>\n  </ServiceDescription>\n",
			latencyTarget.Milliseconds(), latencyMin.Milliseconds(), latencyMax.Milliseconds(), rateMin, rateMax)
	}
	for _, p := range list {
		writePeriod(&b, store, p, f)
	}
	if !f.compatible {
		// Without it dash.js asks a server of somebody else for the time; GStreamer
		// does not resolve its address. It is relative to a session or to none.
		fmt.Fprintf(&b, `  <UTCTiming schemeIdUri="urn:mpeg:dash:utc:http-iso:2014" value="%s?%s"/>`+"\n", Name, timeQuery)
	}
	b.WriteString("</MPD>\n")
	return b.Bytes()
}

// at converts a segment's ticks to media time.
func at(s *cmaf.Segment, ticks uint64) time.Duration {
	return time.Duration(float64(ticks) / float64(s.Init.Timescale) * float64(time.Second))
}

// depth is how much is listed.
func depth(list []period) time.Duration {
	d := time.Duration(0)
	for _, p := range list {
		for _, s := range p.video {
			d += at(s.Segment, s.ticks)
		}
	}
	return d
}

// writePeriod writes one period. Media times are absolute: the run's first
// period begins at 0, a later one where its first picture did, whatever was
// trimmed since; so start and offset are the same moment and never move.
func writePeriod(b *bytes.Buffer, store *cmaf.Store, p period, f form) {
	start := time.Duration(0)
	if p.number > 0 {
		start = at(p.video[0].Segment, p.video[0].Since).Truncate(time.Millisecond)
	}
	fmt.Fprintf(b, `  <Period id="%d" start="%s">`+"\n", p.number, seconds(start))
	if c, ok := p.video[0].Init.Codec.(codec.Video); ok {
		width, height := c.Size()
		attributes := fmt.Sprintf(`mimeType="video/mp4" codecs="%s" width="%d" height="%d"`, c.MIME(), width, height)
		writeSet(b, store.Video(), p.video, start, f, "video", attributes)
	}
	if c, ok := p.audio[0].Init.Codec.(codec.Audio); ok {
		rate, _ := c.Layout()
		attributes := fmt.Sprintf(`mimeType="audio/mp4" codecs="%s" audioSamplingRate="%d"`, c.MIME(), rate)
		writeSet(b, store.Audio(), p.audio, start, f, "audio", attributes)
	}
	b.WriteString("  </Period>\n")
}

func writeSet(b *bytes.Buffer, r *cmaf.Rendition, list []entry, start time.Duration, f form, kind, attributes string) {
	init, last := list[0].Init, list[len(list)-1]
	media := strings.Replace(string(r.AppendSegment(nil, 0)), "-0.", "-$Number$.", 1)
	offset := uint64(start.Seconds()*float64(init.Timescale) + 0.5)
	early := ""
	if !last.Closed {
		// Its first part is there one part after it began.
		early = fmt.Sprintf(` availabilityTimeOffset="%.3f" availabilityTimeComplete="false"`,
			max(at(last.Segment, last.ticks)-cmaf.PartTarget, 0).Seconds())
	}
	number, expired := list[0].Number, ""
	if f.compatible && list[0].Time > offset {
		number, expired = number-1, fmt.Sprintf(`            <S t="%d" d="%d"/>`+"\n", offset, list[0].Time-offset)
	}
	fmt.Fprintf(b, `    <AdaptationSet contentType="%s" segmentAlignment="true" startWithSAP="1">`+"\n", kind)
	fmt.Fprintf(b, `      <Representation id="%s" bandwidth="%d" %s>`+"\n", kind, bandwidth(list), attributes)
	fmt.Fprintf(b, `        <SegmentTemplate timescale="%d" presentationTimeOffset="%d" startNumber="%d" initialization="%s" media="%s"%s>`+"\n",
		init.Timescale, offset, number, r.AppendInit(nil, init.Number), media, early)
	b.WriteString("          <SegmentTimeline>\n" + expired)
	for _, s := range list {
		fmt.Fprintf(b, `            <S t="%d" d="%d"/>`+"\n", s.Time, s.ticks)
	}
	b.WriteString("          </SegmentTimeline>\n        </SegmentTemplate>\n      </Representation>\n    </AdaptationSet>\n")
}

// bandwidth is the highest bitrate of the segments in bits a second.
func bandwidth(list []entry) int {
	peak := 1
	for _, s := range list {
		if s.Duration > 0 {
			peak = max(peak, int(float64(s.Size)*8/s.Duration.Seconds()))
		}
	}
	return peak
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

func seconds(d time.Duration) string { return fmt.Sprintf("PT%.3fS", d.Seconds()) }
