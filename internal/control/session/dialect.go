package session

import (
	"glimpse/internal/control/subscribe"
	"glimpse/protocol"
)

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
func subscribedDialect(subs subscribe.Set) dialect {
	for _, sub := range subs {
		switch sub.Stream {
		case protocol.TypeStreamStatusOld:
			return dialectOld
		case protocol.TypeStreamStatus:
			return dialectNew
		}
	}
	return dialectUnknown
}
