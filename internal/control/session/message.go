package session

import (
	"encoding/json"
	"errors"
	"time"

	"glimpse/protocol"
)

// maxDepth bounds the nesting of JSON from strangers.
const maxDepth = 32

// errDeep says that a message nests deeper than any that we know.
var errDeep = errors.New("message nests too deep")

// Decode reads one JSON message of at most maxDepth levels into v.
func Decode(frame []byte, v any) error {
	if depth(frame) > maxDepth {
		return errDeep
	}
	return json.Unmarshal(frame, v)
}

// depth is the deepest nesting of brackets outside strings.
func depth(frame []byte) int {
	var level, deepest int
	var quoted, escaped bool
	for _, c := range frame {
		switch {
		case escaped:
			escaped = false
		case quoted:
			escaped = c == '\\'
			quoted = c != '"'
		case c == '"':
			quoted = true
		case c == '{', c == '[':
			level++
			deepest = max(deepest, level)
		case c == '}', c == ']':
			level--
		}
	}
	return deepest
}

// typeOf reads a message's type, "" when there is none to be read.
func typeOf(frame []byte) string {
	var m struct {
		Type string `json:"type"`
	}
	if Decode(frame, &m) != nil {
		return ""
	}
	return m.Type
}

// decode reads a frame as T and returns what to do with it on the loop, nil
// when the frame cannot be read.
func decode[T, L any](frame []byte, act func(L, *T)) func(L) {
	m := new(T)
	if Decode(frame, m) != nil {
		return nil
	}
	return func(l L) { act(l, m) }
}

// envelope is the common part of a message that we send.
func (s *Session) envelope(typ, sessionID string) protocol.Envelope {
	return protocol.Envelope{Type: typ, SessionID: sessionID, Timestamp: now()}
}

func now() protocol.Time { return protocol.Time{Time: time.Now()} }

// encode makes the bytes of a message of ours.
func (s *Session) encode(message any) []byte {
	frame, err := json.Marshal(message)
	if err != nil { // a stranger's raw JSON was checked when it was decoded
		s.log.Error("message cannot be written", "error", err)
		return []byte("{}")
	}
	return frame
}
