// Package subscribe reads the sets of event streams that apps subscribe to, says
// what an app's permissions allow of them, and under which of an app's own strings
// an event goes out (WIRE a.4, a.5). It is pure: no state, no I/O, no goroutine; a
// Set never changes and may be shared.
package subscribe

import (
	"encoding/json"
	"slices"
	"strings"

	"glimpse/internal/control/apps"
	"glimpse/protocol"
)

// Streams of events that need more than their name.
const (
	Transcription = "transcription"
	Translation   = "translation"
	Audio         = "audio_chunk"
	Voice         = "VAD"
	Location      = "location_update"
	Touch         = "touch_event"
	Photo         = "photo_taken"

	places = "location_stream" // how apps subscribe to location_update with a rate
)

// DefaultLanguage is meant where nobody names one; languageAuto is every language.
const (
	DefaultLanguage = "en-US"
	languageAuto    = "auto"
)

// TextRefused goes with the entries that an app's permissions do not cover.
const TextRefused = "Some subscriptions were rejected due to missing permissions"

// Bounds of one app's set; entries beyond them are dropped.
const (
	maxEntries = 256
	maxEntry   = 256 // bytes of one entry
)

// Permissions that an app can hold, in the words of the app registry.
const (
	permMicrophone = "MICROPHONE"
	permLocation   = "LOCATION"
	permCalendar   = "CALENDAR"
	permReadNotes  = "READ_NOTIFICATIONS"
	permNotesOld   = "NOTIFICATIONS"
)

// Entry is one entry of an app's set. Raw is the subscriber's own string:
// data_stream must carry exactly it (WIRE a.5).
type Entry struct {
	Raw    string
	Stream string // what stands before ":" and "?"
	detail string // the language of a transcription, the gesture of a touch
	tier   string // of places: how exact; "" for other streams
}

// TierLeast is how exact places are when no app wants any; tierCommon, when an
// app does not say.
const (
	TierLeast  = "reduced"
	tierCommon = "standard"
)

// locationTiers are the words for how exact places are, in rising order.
func locationTiers() []string {
	return []string{TierLeast, "threeKilometers", "kilometer", "hundredMeters", tierCommon, "tenMeters", "high", "realtime"}
}

// tierOf is the tier that a subscription asks for with its rate.
func tierOf(stream, rate string) string {
	switch {
	case stream != Location && stream != places:
		return ""
	case slices.Contains(locationTiers(), rate):
		return rate
	}
	return tierCommon
}

// parse reads a string or an object {"stream": …, "rate": …}. ok is
// false for anything else, empty or too long.
func parse(entry json.RawMessage) (sub Entry, ok bool) {
	var raw, rate string
	if json.Unmarshal(entry, &raw) != nil {
		var object struct{ Stream, Rate string }
		if json.Unmarshal(entry, &object) != nil {
			return Entry{}, false
		}
		raw, rate = object.Stream, object.Rate
	}
	if raw == "" || len(raw) > maxEntry {
		return Entry{}, false
	}
	name, _, _ := strings.Cut(raw, "?") // options of a transcription follow "?"
	stream, detail, _ := strings.Cut(name, ":")
	if stream == Transcription && detail == "" {
		detail = DefaultLanguage
	}
	return Entry{Raw: raw, Stream: stream, detail: detail, tier: tierOf(stream, rate)}, true
}

// permission names what an app needs for the subscription, "" for nothing.
func (s Entry) permission() string {
	switch s.Stream {
	case Audio, Transcription, Translation, Voice:
		return permMicrophone
	case Photo:
		return apps.PermissionCamera
	case Location, places, "vps_coordinates":
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
func (s Entry) matches(stream, detail string) bool {
	switch s.Stream {
	case Transcription:
		return stream == Transcription && sameLanguage(s.detail, detail)
	case places:
		return stream == Location
	case Touch:
		return stream == s.Stream && (s.detail == "" || strings.EqualFold(s.detail, detail))
	}
	return s.Stream == stream && s.detail == ""
}

// reach ranks the subscriptions of a MiniAppServer that match the same event:
// handlers of "touch_event" also get what comes as "touch_event:double_tap", and
// those of "location_stream" what comes as "location_update", never the reverse.
func (s Entry) reach() int {
	if s.Stream == Touch && s.detail != "" || s.Stream == Location {
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
		spoken = DefaultLanguage
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

// Read reads an app's full set, leaves out repetitions and what its permissions
// do not cover, and says what was refused.
func Read(entries []json.RawMessage, permissions []string) (subs Set, refused []protocol.PermissionDetail) {
	seen := make(map[string]bool)
	for _, entry := range entries {
		sub, ok := parse(entry)
		if !ok || seen[sub.Raw] {
			continue
		}
		if len(seen) == maxEntries {
			break
		}
		seen[sub.Raw] = true
		if need := sub.permission(); !granted(permissions, need) {
			refused = append(refused, protocol.PermissionDetail{
				Stream: sub.Raw, RequiredPermission: need,
				Message: need + " permission required for " + sub.Stream,
			})
			continue
		}
		subs = append(subs, sub)
	}
	return subs, refused
}

// Flags is how a MiniAppServer reads an app's permissions (WIRE a.2).
func Flags(permissions []string) map[string]bool {
	return map[string]bool{
		"location":      granted(permissions, permLocation),
		"microphone":    granted(permissions, permMicrophone),
		"camera":        granted(permissions, apps.PermissionCamera),
		"notifications": granted(permissions, permReadNotes),
		"calendar":      granted(permissions, permCalendar),
	}
}
