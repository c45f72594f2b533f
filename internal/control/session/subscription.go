package session

import (
	"encoding/json"
	"slices"
	"strings"

	"glimpse/internal/control/apps"
	"glimpse/protocol"
)

// Bounds of one app's subscription set; entries beyond them are dropped.
const (
	maxSubscriptions  = 256
	maxSubscription   = 256 // bytes of one entry
	defaultLanguage   = "en-US"
	languageAuto      = "auto"
	streamTranscribed = "transcription"
	streamTranslated  = "translation"
	streamAudio       = "audio_chunk"
	streamVoice       = "VAD"
	streamLocation    = "location_update"
	streamPlaces      = "location_stream" // how apps subscribe to location_update with a rate
	streamTouch       = "touch_event"
	streamPhoto       = "photo_taken"
)

// Permissions that an app can hold, in the words of the app registry.
const (
	permMicrophone   = "MICROPHONE"
	permLocation     = "LOCATION"
	permCalendar     = "CALENDAR"
	permReadNotes    = "READ_NOTIFICATIONS"
	permNotesOld     = "NOTIFICATIONS"
	subscriptionText = "Some subscriptions were rejected due to missing permissions"
)

// subscription is one entry of an app's set. raw is the subscriber's own
// string: data_stream must carry exactly it (WIRE a.5).
type subscription struct {
	raw    string
	stream string // what stands before ":" and "?"
	detail string // the language of a transcription, the gesture of a touch
	tier   string // of places: how exact; "" for other streams
}

// Tiers of places, when no app wants any and when an app does not say.
const (
	tierLeast  = "reduced"
	tierCommon = "standard"
)

// locationTiers are the words for how exact places are, in rising order.
func locationTiers() []string {
	return []string{tierLeast, "threeKilometers", "kilometer", "hundredMeters", tierCommon, "tenMeters", "high", "realtime"}
}

// tierOf is the tier that a subscription asks for with its rate.
func tierOf(stream, rate string) string {
	switch {
	case stream != streamLocation && stream != streamPlaces:
		return ""
	case slices.Contains(locationTiers(), rate):
		return rate
	}
	return tierCommon
}

// parseSubscription reads a string or an object {"stream": …, "rate": …}. ok is
// false for anything else, empty or too long.
func parseSubscription(entry json.RawMessage) (sub subscription, ok bool) {
	var raw, rate string
	if json.Unmarshal(entry, &raw) != nil {
		var object struct{ Stream, Rate string }
		if json.Unmarshal(entry, &object) != nil {
			return subscription{}, false
		}
		raw, rate = object.Stream, object.Rate
	}
	if raw == "" || len(raw) > maxSubscription {
		return subscription{}, false
	}
	name, _, _ := strings.Cut(raw, "?") // options of a transcription follow "?"
	stream, detail, _ := strings.Cut(name, ":")
	if stream == streamTranscribed && detail == "" {
		detail = defaultLanguage
	}
	return subscription{raw: raw, stream: stream, detail: detail, tier: tierOf(stream, rate)}, true
}

// permission names what an app needs for the subscription, "" for nothing.
func (s subscription) permission() string {
	switch s.stream {
	case streamAudio, streamTranscribed, streamTranslated, streamVoice:
		return permMicrophone
	case streamPhoto:
		return apps.PermissionCamera
	case streamLocation, streamPlaces, "vps_coordinates":
		return permLocation
	case "calendar_event":
		return permCalendar
	case "phone_notification", "phone_notification_dismissed":
		return permReadNotes
	}
	return ""
}

// matches says whether an event of a stream, with its language or gesture,
// belongs to the subscription.
func (s subscription) matches(stream, detail string) bool {
	switch s.stream {
	case streamTranscribed:
		return stream == streamTranscribed && sameLanguage(s.detail, detail)
	case streamPlaces:
		return stream == streamLocation
	case streamTouch:
		return stream == s.stream && (s.detail == "" || strings.EqualFold(s.detail, detail))
	}
	return s.stream == stream && s.detail == ""
}

// reach ranks the subscriptions of a MiniAppServer that match the same event:
// handlers of "touch_event" also get what comes as "touch_event:double_tap", and
// those of "location_stream" what comes as "location_update", never the reverse.
func (s subscription) reach() int {
	if s.stream == streamTouch && s.detail != "" || s.stream == streamLocation {
		return 1
	}
	return 0
}

// sameLanguage compares BCP 47 tags without regard to case. "auto" takes every
// language; a tag without a region takes every region of its language, on
// either side. No tag from the phone means the default language.
func sameLanguage(want, spoken string) bool {
	if strings.EqualFold(want, languageAuto) {
		return true
	}
	if spoken == "" || strings.EqualFold(spoken, languageAuto) {
		spoken = defaultLanguage
	}
	if strings.EqualFold(want, spoken) {
		return true
	}
	wantBase, wantRegion, _ := strings.Cut(want, "-")
	spokenBase, spokenRegion, _ := strings.Cut(spoken, "-")
	return strings.EqualFold(wantBase, spokenBase) && (wantRegion == "" || spokenRegion == "")
}

// granted says whether an app's permissions cover need.
func granted(permissions []string, need string) bool {
	if need == "" || slices.Contains(permissions, apps.PermissionAll) || slices.Contains(permissions, need) {
		return true
	}
	return need == permReadNotes && slices.Contains(permissions, permNotesOld)
}

// filterSubscriptions parses an app's full set, leaves out repetitions and what
// its permissions do not cover, and says what was refused.
func filterSubscriptions(entries []json.RawMessage, permissions []string) (subs []subscription, refused []protocol.PermissionDetail) {
	seen := make(map[string]bool)
	for _, entry := range entries {
		sub, ok := parseSubscription(entry)
		if !ok || seen[sub.raw] {
			continue
		}
		if len(seen) == maxSubscriptions {
			break
		}
		seen[sub.raw] = true
		if need := sub.permission(); !granted(permissions, need) {
			refused = append(refused, protocol.PermissionDetail{
				Stream: sub.raw, RequiredPermission: need,
				Message: need + " permission required for " + sub.stream,
			})
			continue
		}
		subs = append(subs, sub)
	}
	return subs, refused
}

// permissionFlags is how a MiniAppServer reads an app's permissions (WIRE a.2).
func permissionFlags(permissions []string) map[string]bool {
	return map[string]bool{
		"location":      granted(permissions, permLocation),
		"microphone":    granted(permissions, permMicrophone),
		"camera":        granted(permissions, apps.PermissionCamera),
		"notifications": granted(permissions, permReadNotes),
		"calendar":      granted(permissions, permCalendar),
	}
}

// dialect is the spelling of direct stream statuses that an app understands.
type dialect int

const (
	dialectUnknown dialect = iota
	dialectOld             // rtmp_stream_status
	dialectNew             // stream_status
)

// evidence ranks what a dialect was concluded from (WIRE a.9): a request beats
// a subscription, a subscription beats the handshake. Of equal ranks the first
// stands.
type evidence int

const (
	evidenceNone evidence = iota
	evidenceHandshake
	evidenceSubscription
	evidenceRequest
)

// spelling is an app session's dialect and where it was learnt.
type spelling struct {
	dialect dialect
	from    evidence
}

// learn takes new evidence; it reports whether the dialect became known by it.
func (s *spelling) learn(d dialect, from evidence) (first bool) {
	if d == dialectUnknown || from <= s.from {
		return false
	}
	first = s.dialect == dialectUnknown
	s.dialect, s.from = d, from
	return first
}

// statusType is the type of a direct status towards the app; without any
// evidence the old one, which the oldest SDKs need.
func (s *spelling) statusType() string {
	if s.dialect == dialectNew {
		return protocol.TypeStreamStatus
	}
	return protocol.TypeStreamStatusOld
}

// subscribedDialect is the dialect that a set of subscriptions shows.
func subscribedDialect(subs []subscription) dialect {
	for _, sub := range subs {
		switch sub.stream {
		case protocol.TypeStreamStatusOld:
			return dialectOld
		case protocol.TypeStreamStatus:
			return dialectNew
		}
	}
	return dialectUnknown
}
