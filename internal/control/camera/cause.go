package camera

import (
	"strings"

	"glimpse/protocol"
)

// maxDetails bounds what is passed on of the glasses' own words, in bytes.
const maxDetails = 500

// clip cuts the glasses' words to what is passed on.
func clip(details string) string {
	if len(details) <= maxDetails {
		return details
	}
	return strings.ToValidUTF8(details[:maxDetails], "")
}

// cause turns a bad status of the glasses into a code and a sentence with the
// words that apps test for; the glasses' own words stay in it.
func cause(status, details string) (protocol.Code, string) {
	low := strings.ToLower(details)
	has := func(words ...string) bool {
		for _, w := range words {
			if strings.Contains(low, w) {
				return true
			}
		}
		return false
	}
	with := func(word, prefix, empty string) string {
		switch {
		case details == "":
			return empty
		case strings.Contains(details, word):
			return details
		}
		return prefix + details
	}
	switch {
	case status == protocol.StatusStopped:
		return protocol.CodeGlassesError, with("", "", "The glasses stopped the stream")
	case status == protocol.StatusTimeout, has("timed out", "timeout"):
		return protocol.CodeTimeout, with("", "", "Stream timed out: no keep-alive reached the glasses")
	case has("battery"):
		return protocol.CodeGlassesError, details
	case has("permission"):
		return protocol.CodePermissionDenied, details
	case has("camera_busy", "camera busy"):
		return protocol.CodeCameraBusy, details
	case has("url"):
		return protocol.CodeInvalidURL, with("Invalid URL", "Invalid URL: ", "")
	case status == protocol.StatusDisconnected:
		return protocol.CodeNetwork, with("Network", "Network error: ", "Network error: the glasses lost their connection")
	case status == protocol.StatusReconnectFailed:
		return protocol.CodeNetwork, with("Network", "Network error: ", "Network error: the glasses failed to reconnect")
	case has("network", "wifi", "wi-fi", "connect", "unreachable", "no route", "broken pipe", "host"):
		return protocol.CodeNetwork, with("Network", "Network error: ", "")
	}
	return protocol.CodeGlassesError, with("", "", "The glasses reported an error")
}

// hopeless says whether trying again cannot help (CONTROL "Camera" 3).
func hopeless(details string) bool {
	low := strings.ToLower(details)
	battery := strings.Contains(low, "battery") && strings.Contains(low, "low")
	resolution := strings.Contains(low, "resolution") && strings.Contains(low, "support")
	return battery || resolution || strings.Contains(low, "permission")
}

// redact takes the stream's secrets out of a text for other eyes than its
// owner's: the ingest key, or the direct target's URL and path.
func (s *Stream) redact(text string) string {
	if s.IngestKey != "" {
		text = strings.ReplaceAll(text, s.IngestKey, "***")
	}
	if s.URL == "" {
		return text
	}
	text = strings.ReplaceAll(text, s.URL, "<url>")
	_, rest, _ := strings.Cut(s.URL, "://")
	if i := strings.IndexAny(rest, "/?"); i >= 0 && len(rest[i:]) > 1 {
		text = strings.ReplaceAll(text, rest[i:], "/***")
	}
	if i := strings.LastIndexAny(rest, "/=:"); i >= 0 && len(rest[i+1:]) > 3 {
		text = strings.ReplaceAll(text, rest[i+1:], "***")
	}
	return text
}
