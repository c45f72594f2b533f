package glasses

import (
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"time"

	"glimpse/internal/media/codec"
	"glimpse/internal/media/frame"
	"glimpse/protocol"
)

// manners are how these glasses differ from those that do everything as the
// documents have it; real ones do all of these things (WIRE c.2, c.4). The zero
// value differs in nothing.
type manners struct {
	oldNames bool          // messages in the names of old phones
	noIDs    bool          // statuses without streamId
	stats    string        // of statuses: "" whole, "compact" as over BLE, "off"
	acks     string        // of keep-alives: "" answered, "off", "twice", or late
	ackDelay time.Duration // by this
	stopped  time.Duration // after which a replaced stream's end is told; 0 is Times.ForcedStop
	busy     bool          // another program has the camera
	width    int           // of the largest picture; 0: any
	height   int
}

// manner is a line that changes them.
type manner struct {
	word, value string
	delay       time.Duration
}

// maxDelay bounds the durations in lines.
const maxDelay = time.Hour

var pictureSize = regexp.MustCompile(`^[1-9][0-9]{1,4}x[1-9][0-9]{1,4}$`)

// parseManner reads the lines that change how the glasses behave; nil means
// another line.
func parseManner(word, rest string) (any, error) {
	values := map[string][]string{
		"names": {"old", "new"}, "ids": {"on", "off"}, "stats": {"full", "compact", "off"},
		"acks": {"on", "off", "twice"}, "camera": {"free", "busy"}, "stopped": nil,
	}
	allowed, known := values[word]
	if !known {
		return nil, nil
	}
	for _, v := range allowed {
		if rest == v {
			return manner{word: word, value: v}, nil
		}
	}
	switch word {
	case "acks", "stopped":
		if d, ok := parseDelay(rest); ok {
			return manner{word: word, value: "late", delay: d}, nil
		}
		allowed = append(allowed, "a duration")
	case "camera":
		if pictureSize.MatchString(rest) {
			return manner{word: word, value: rest}, nil
		}
		allowed = append(allowed, "the largest picture as WIDTHxHEIGHT")
	}
	return nil, fmt.Errorf("%w: %s %s", errUsage, word, strings.Join(allowed, " or "))
}

// parseDelay reads a duration of a line, at most maxDelay.
func parseDelay(s string) (time.Duration, bool) {
	d, err := time.ParseDuration(s)
	return d, err == nil && d > 0 && d <= maxDelay
}

// take changes the manners.
func (m *manners) take(a manner) {
	switch a.word {
	case "names":
		m.oldNames = a.value == "old"
	case "ids":
		m.noIDs = a.value == "off"
	case "stats":
		m.stats = strings.TrimPrefix(a.value, "full")
	case "acks":
		m.acks, m.ackDelay = strings.TrimPrefix(a.value, "on"), a.delay
	case "stopped":
		m.stopped = a.delay
	case "camera":
		m.busy, m.width, m.height = a.value == "busy", 0, 0
		// The line's own check leaves nothing to go wrong; busy and free are no sizes.
		_, _ = fmt.Sscanf(a.value, "%dx%d", &m.width, &m.height)
	}
}

// refuses says why a start is refused by these glasses' camera, in their words;
// "" when it is not.
func (m *manners) refuses(video json.RawMessage) string {
	if m.busy {
		return "camera_busy"
	}
	var wish protocol.VideoConfig
	if m.width == 0 || len(video) == 0 || json.Unmarshal(video, &wish) != nil {
		return ""
	}
	if wish.Width > m.width || wish.Height > m.height {
		return fmt.Sprintf("resolution not supported: %dx%d", wish.Width, wish.Height)
	}
	return ""
}

// statusMessage is a status as it goes over the wire: with statistics, or with
// the compact form of them that fits into BLE.
type statusMessage struct {
	protocol.GlassesStatus
	Compact   *compactStats `json:"m,omitempty"`
	Transport string        `json:"tp,omitempty"`
}

// compactStats are protocol.Stats in few bytes.
type compactStats struct {
	Bitrate  float64 `json:"b"`
	FPS      float64 `json:"f"`
	Dropped  float64 `json:"d"`
	Duration float64 `json:"u"`
	Width    float64 `json:"w,omitempty"`
	Height   float64 `json:"h,omitempty"`
}

// dress gives a status the form in which these glasses send it. target is where
// its stream goes, and film what the camera sees.
func (m *manners) dress(st protocol.GlassesStatus, target string, film *frame.Track) statusMessage {
	st.Envelope = protocol.Envelope{Type: protocol.TypeStreamStatus, Timestamp: now()}
	if m.oldNames {
		st.Type = protocol.TypeStreamStatusOld
	}
	if m.noIDs {
		st.StreamID = ""
	}
	out := statusMessage{GlassesStatus: st}
	if m.stats != "" {
		out.Stats = nil
	}
	if s := st.Stats; s != nil && m.stats == "compact" {
		out.Compact = &compactStats{Bitrate: s.Bitrate, FPS: s.FPS, Dropped: s.DroppedFrames, Duration: s.Duration}
		if c, ok := film.Codec.(*codec.H264); ok {
			out.Compact.Width, out.Compact.Height = float64(c.Width), float64(c.Height)
		}
		if u, err := url.Parse(target); err == nil {
			out.Transport = u.Scheme
		}
	}
	return out
}
