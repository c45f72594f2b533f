package srt

import (
	"errors"
	"strings"

	"glimpse/internal/media/serve"
)

// errStreamID explains what a stream id must look like; safe to show to anyone.
var errStreamID = errors.New("the streamid must be publish:KEY, read:ID or #!::r=NAME,m=publish|request, with " + serve.NameRule + " as name")

// request is what a peer wants.
type request struct {
	publish bool
	name    string // an ingest key or a playback id
}

// parseStreamID reads a stream id: "publish:KEY", "read:ID", the standard form
// "#!::r=NAME,m=publish" (SRT Access Control; m is "request" when it is left
// out), or a bare name, which publishes: many encoders can set nothing else.
// Unknown keys of the standard form are skipped.
func parseStreamID(s string) (request, error) {
	var r request
	if standard, ok := strings.CutPrefix(s, "#!::"); ok {
		var err error
		if r, err = parseStandard(standard); err != nil {
			return request{}, err
		}
	} else if mode, name, ok := strings.Cut(s, ":"); !ok {
		r = request{publish: true, name: s}
	} else if mode == "publish" || mode == "read" {
		r = request{publish: mode == "publish", name: name}
	}
	if !serve.ValidName(r.name) {
		return request{}, errStreamID
	}
	return r, nil
}

// parseStandard reads "key=value" pairs between commas, each known one once.
func parseStandard(s string) (request, error) {
	values := map[string]string{"r": "", "m": "request", "t": "stream"}
	seen := map[string]bool{}
	for pair := range strings.SplitSeq(s, ",") {
		key, value, ok := strings.Cut(pair, "=")
		if _, known := values[key]; !known {
			continue
		}
		if !ok || seen[key] {
			return request{}, errStreamID
		}
		values[key], seen[key] = value, true
	}
	if values["t"] != "stream" || (values["m"] != "request" && values["m"] != "publish") {
		return request{}, errStreamID
	}
	return request{publish: values["m"] == "publish", name: values["r"]}, nil
}
