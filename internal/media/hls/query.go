package hls

import (
	"errors"
	"strconv"
	"strings"
	"time"
)

// position is what a blocking reload asks for (RFC 8216bis §6.2.5.2).
type position struct {
	asked  bool // there was an _HLS_msn
	number uint64
	part   int // -1: the whole segment
}

var (
	errMSN  = errors.New("_HLS_msn must be a media sequence number")
	errPart = errors.New("_HLS_part must be a part's index and needs _HLS_msn")
)

// maxPart bounds _HLS_part: no segment has more parts.
const maxPart = 1 << 16

// parseQuery reads the delivery directives of a raw query. Others are ignored,
// _HLS_skip too: there are no delta updates.
func parseQuery(raw string) (position, error) {
	p := position{part: -1}
	part := ""
	for raw != "" {
		var pair string
		pair, raw, _ = strings.Cut(raw, "&")
		name, value, _ := strings.Cut(pair, "=")
		switch name {
		case "_HLS_msn":
			n, err := strconv.ParseUint(value, 10, 62)
			if err != nil || p.asked {
				return position{}, errMSN
			}
			p.asked, p.number = true, n
		case "_HLS_part":
			if value == "" || part != "" {
				return position{}, errPart
			}
			part = value
		}
	}
	if part != "" {
		n, err := strconv.ParseUint(part, 10, 31)
		if err != nil || n > maxPart || !p.asked {
			return position{}, errPart
		}
		p.part = int(n)
	}
	return p, nil
}

// maxRewind bounds what may be asked for; what is not kept begins with the oldest.
const maxRewind = time.Hour

// rewind reads t=-30: so many seconds before now. Empty is now.
func rewind(text string) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || !(n <= 0 && n >= -maxRewind.Seconds()) {
		return 0, errors.New("t must be seconds before now, like -30")
	}
	return time.Duration(-n * float64(time.Second)), nil
}
