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
	behindLive  = 6 * time.Second // where players should stay: three usual segments
)

// period is a run of segments with one init and no hole, in both renditions.
type period struct {
	number uint64 // counts discontinuities
	video  []*cmaf.Segment
	audio  []*cmaf.Segment
}

// periods cuts the closed segments that both renditions have.
func periods(video, audio *cmaf.Snapshot) []period {
	var list []period
	for _, v := range video.Segments {
		a := audio.Segment(v.Number)
		if !v.Closed || a == nil || !a.Closed {
			continue
		}
		if n := len(list); n == 0 || list[n-1].number != v.Discontinuities {
			list = append(list, period{number: v.Discontinuities})
		}
		p := &list[len(list)-1]
		p.video, p.audio = append(p.video, v), append(p.audio, a)
	}
	return list
}

// mpd renders the description, nil before a first segment is closed. now is the
// time of publication.
func mpd(store *cmaf.Store, now time.Time) []byte {
	list := periods(store.Video().Snapshot(), store.Audio().Snapshot())
	if len(list) == 0 {
		return nil
	}
	first := list[0].video[0]
	var b bytes.Buffer
	b.WriteString(`<?xml version="1.0" encoding="UTF-8"?>` + "\n")
	fmt.Fprintf(&b, `<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" profiles="urn:mpeg:dash:profile:isoff-live:2011" type="dynamic"`+
		` availabilityStartTime="%s" publishTime="%s" minimumUpdatePeriod="%s" minBufferTime="PT1S"`+
		` suggestedPresentationDelay="%s" timeShiftBufferDepth="%s" maxSegmentDuration="%s">`+"\n",
		stamp(first.Wall.Add(-at(first))), stamp(now), seconds(updateEvery), seconds(behindLive),
		seconds(depth(list)), seconds(cmaf.TargetDuration))
	for i, p := range list {
		writePeriod(&b, store, p, i == 0)
	}
	b.WriteString("</MPD>\n")
	return b.Bytes()
}

// at is where a segment begins on the media timeline.
func at(s *cmaf.Segment) time.Duration {
	return time.Duration(float64(s.Time) / float64(s.Init.Timescale) * float64(time.Second))
}

// depth is how much is listed.
func depth(list []period) time.Duration {
	d := time.Duration(0)
	for _, p := range list {
		for _, s := range p.video {
			d += s.Duration
		}
	}
	return d
}

// writePeriod writes one period. Media times are absolute: the oldest period
// begins at 0, whatever was trimmed from it; a later one where its first
// segment does, which keeps the difference between start and offset zero.
func writePeriod(b *bytes.Buffer, store *cmaf.Store, p period, oldest bool) {
	start := time.Duration(0)
	if !oldest {
		start = at(p.video[0])
	}
	fmt.Fprintf(b, `  <Period id="%d" start="%s">`+"\n", p.number, seconds(start))
	if c, ok := p.video[0].Init.Codec.(*codec.H264); ok {
		attributes := fmt.Sprintf(`mimeType="video/mp4" codecs="%s" width="%d" height="%d"`, c.MIME(), c.Width, c.Height)
		writeSet(b, store.Video(), p.video, start, "video", attributes)
	}
	if c, ok := p.audio[0].Init.Codec.(*codec.AAC); ok {
		attributes := fmt.Sprintf(`mimeType="audio/mp4" codecs="%s" audioSamplingRate="%d"`, c.MIME(), c.SampleRate)
		writeSet(b, store.Audio(), p.audio, start, "audio", attributes)
	}
	b.WriteString("  </Period>\n")
}

func writeSet(b *bytes.Buffer, r *cmaf.Rendition, list []*cmaf.Segment, start time.Duration, kind, attributes string) {
	init := list[0].Init
	media := strings.Replace(string(r.AppendSegment(nil, 0)), "-0.", "-$Number$.", 1)
	offset := uint64(start.Seconds()*float64(init.Timescale) + 0.5)
	fmt.Fprintf(b, `    <AdaptationSet contentType="%s" segmentAlignment="true" startWithSAP="1">`+"\n", kind)
	fmt.Fprintf(b, `      <Representation id="%s" bandwidth="%d" %s>`+"\n", kind, bandwidth(list), attributes)
	fmt.Fprintf(b, `        <SegmentTemplate timescale="%d" presentationTimeOffset="%d" startNumber="%d" initialization="%s" media="%s">`+"\n",
		init.Timescale, offset, list[0].Number, r.AppendInit(nil, init.Number), media)
	b.WriteString("          <SegmentTimeline>\n")
	for _, s := range list {
		fmt.Fprintf(b, `            <S t="%d" d="%d"/>`+"\n", s.Time, s.Ticks)
	}
	b.WriteString("          </SegmentTimeline>\n        </SegmentTemplate>\n      </Representation>\n    </AdaptationSet>\n")
}

// bandwidth is the highest bitrate of the segments in bits a second.
func bandwidth(list []*cmaf.Segment) int {
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
