package hls

import (
	"bytes"
	"compress/gzip"
	"strconv"
	"sync"
	"time"

	"glimpse/internal/media/cmaf"
	"glimpse/internal/media/codec"
)

// The names of the playlists.
const (
	multivariantName = "index.m3u8"
	videoName        = "video.m3u8"
	audioName        = "audio.m3u8"
)

// withParts is how many closed segments are listed with their parts, so that
// players can join between segment boundaries.
const withParts = 3

// rendition is a cmaf rendition and what is needed to list it.
type rendition struct {
	*cmaf.Rendition
	other     *cmaf.Rendition
	otherName string
}

// mediaPlaylist renders a media playlist (RFC 8216bis §4.4). The snapshot must
// hold at least one segment.
func mediaPlaylist(r rendition, s *cmaf.Snapshot) []byte {
	b := make([]byte, 0, 1024+128*len(s.Segments)+32*110)
	b = append(b, "#EXTM3U\n#EXT-X-VERSION:9\n#EXT-X-TARGETDURATION:"...)
	b = strconv.AppendInt(b, int64(cmaf.TargetDuration/time.Second), 10)
	// PART-HOLD-BACK is the least that is allowed: three parts.
	b = append(b, "\n#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK="...)
	b = appendSeconds(b, 3*cmaf.PartTarget)
	b = append(b, "\n#EXT-X-PART-INF:PART-TARGET="...)
	b = appendSeconds(b, cmaf.PartTarget)
	first := s.Segments[0]
	b = append(b, "\n#EXT-X-MEDIA-SEQUENCE:"...)
	b = strconv.AppendUint(b, first.Number, 10)
	gone := first.Discontinuities
	if first.Discontinuity {
		gone-- // its tag is still here
	}
	if gone > 0 {
		b = append(b, "\n#EXT-X-DISCONTINUITY-SEQUENCE:"...)
		b = strconv.AppendUint(b, gone, 10)
	}
	b = append(b, '\n')
	if independent(s) {
		b = append(b, "#EXT-X-INDEPENDENT-SEGMENTS\n"...)
	}
	var init *cmaf.Init
	for i, seg := range s.Segments {
		if seg.Discontinuity {
			b = append(b, "#EXT-X-DISCONTINUITY\n"...)
		}
		if seg.Init != init {
			init = seg.Init
			b = append(b, "#EXT-X-MAP:URI=\""...)
			b = r.AppendInit(b, init.Number)
			b = append(b, "\"\n"...)
		}
		b = append(b, "#EXT-X-PROGRAM-DATE-TIME:"...)
		b = seg.Wall.UTC().AppendFormat(b, "2006-01-02T15:04:05.000Z")
		b = append(b, '\n')
		b = appendSegment(b, r, seg, i >= len(s.Segments)-1-withParts)
	}
	b = append(b, "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\""...)
	b = r.AppendPart(b, s.NextNumber, s.NextPart)
	b = append(b, "\"\n"...)
	return appendReport(b, r)
}

// appendSegment lists the parts of a segment, and the segment if it is closed.
func appendSegment(b []byte, r rendition, seg *cmaf.Segment, parts bool) []byte {
	if parts {
		for i, p := range seg.Parts {
			b = append(b, "#EXT-X-PART:DURATION="...)
			b = appendSeconds(b, p.Duration)
			b = append(b, ",URI=\""...)
			b = r.AppendPart(b, seg.Number, i)
			b = append(b, '"')
			if p.Independent {
				b = append(b, ",INDEPENDENT=YES"...)
			}
			b = append(b, '\n')
		}
	}
	if seg.Closed {
		b = append(b, "#EXTINF:"...)
		b = appendSeconds(b, seg.Duration)
		b = append(b, ",\n"...)
		b = r.AppendSegment(b, seg.Number)
		b = append(b, '\n')
	}
	return b
}

// appendReport tells how far the other rendition is (§4.4.5.4).
func appendReport(b []byte, r rendition) []byte {
	other := r.other.Snapshot()
	if len(other.Segments) == 0 {
		return b
	}
	last := other.Segments[len(other.Segments)-1]
	b = append(b, "#EXT-X-RENDITION-REPORT:URI=\""...)
	b = append(b, r.otherName...)
	b = append(b, "\",LAST-MSN="...)
	b = strconv.AppendUint(b, last.Number, 10)
	b = append(b, ",LAST-PART="...)
	b = strconv.AppendInt(b, int64(len(last.Parts)-1), 10)
	return append(b, '\n')
}

// independent reports whether every segment begins with a key frame.
func independent(s *cmaf.Snapshot) bool {
	for _, seg := range s.Segments {
		if !seg.Key {
			return false
		}
	}
	return true
}

// appendSeconds appends a duration as decimal seconds with 5 places.
func appendSeconds(b []byte, d time.Duration) []byte {
	n := int64((d + 5*time.Microsecond) / (10 * time.Microsecond))
	b = strconv.AppendInt(b, n/1e5, 10)
	frac := strconv.AppendInt(make([]byte, 0, 8), n%1e5+1e5, 10)
	frac[0] = '.'
	return append(b, frac...)
}

// defaultBandwidth is announced before the first segment is there: the only
// variant is chosen whatever it says.
const defaultBandwidth = 3_000_000

// multivariant renders the multivariant playlist for one session, which begins
// so long before the live edge; 0 is at it.
func multivariant(store *cmaf.Store, session string, back time.Duration) []byte {
	video, audio := store.Video().Snapshot(), store.Audio().Snapshot()
	picture, ok := video.Segments[len(video.Segments)-1].Init.Codec.(codec.Video)
	if !ok {
		return nil
	}
	sound, ok := audio.Segments[len(audio.Segments)-1].Init.Codec.(codec.Audio)
	if !ok {
		return nil
	}
	width, height := picture.Size()
	_, channels := sound.Layout()
	var b bytes.Buffer
	b.WriteString("#EXTM3U\n#EXT-X-VERSION:9\n")
	if back > 0 { // a time before the window is its beginning (RFC 8216bis §4.4.2.2)
		b.WriteString("#EXT-X-START:TIME-OFFSET=-")
		b.Write(appendSeconds(nil, back))
		b.WriteString(",PRECISE=YES\n")
	}
	b.WriteString("#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"audio\",NAME=\"sound\",DEFAULT=YES,AUTOSELECT=YES,CHANNELS=\"")
	b.WriteString(strconv.Itoa(channels))
	b.WriteString("\",URI=\"~" + session + "/" + audioName + "\"\n#EXT-X-STREAM-INF:BANDWIDTH=")
	bandwidth := defaultBandwidth
	if n := video.Bandwidth(); n > 0 {
		bandwidth = n + audio.Bandwidth()
	}
	b.WriteString(strconv.Itoa(bandwidth))
	b.WriteString(",CODECS=\"" + picture.MIME() + "," + sound.MIME() + "\",RESOLUTION=")
	b.WriteString(strconv.Itoa(width) + "x" + strconv.Itoa(height))
	rate := picture.FrameRate()
	if rate <= 0 || rate > 1000 {
		rate = video.FrameRate()
	}
	if rate > 0 {
		b.WriteString(",FRAME-RATE=" + strconv.FormatFloat(rate, 'f', 3, 64))
	}
	b.WriteString(",AUDIO=\"audio\"\n~" + session + "/" + videoName + "\n")
	return b.Bytes()
}

// list is a rendered playlist, compressed when somebody first wants it so.
type list struct {
	plain []byte
	once  sync.Once
	gz    []byte
}

// writers are reused: most of the price of compressing is making one.
var writers = sync.Pool{New: func() any { return gzip.NewWriter(nil) }}

func (l *list) compressed() []byte {
	l.once.Do(func() {
		var buf bytes.Buffer
		zw := writers.Get().(*gzip.Writer)
		defer writers.Put(zw)
		zw.Reset(&buf)
		// Writing to a bytes.Buffer does not fail.
		_, _ = zw.Write(l.plain)
		_ = zw.Close()
		l.gz = buf.Bytes()
	})
	return l.gz
}

// listKey names the playlist among a snapshot's derived views.
type listKey struct{}

// listOf returns the playlist of a snapshot, rendered once.
func listOf(r rendition, s *cmaf.Snapshot) *list {
	return s.Derive(listKey{}, func(s *cmaf.Snapshot) any {
		return &list{plain: mediaPlaylist(r, s)}
	}).(*list)
}
