package session

import "testing"

// The dialect is learnt in the order of WIRE a.9: request, subscription,
// handshake, else the old one.
func TestDialect(t *testing.T) {
	type fact struct {
		dialect dialect
		from    evidence
	}
	for _, c := range []struct {
		name  string
		facts []fact
		want  string
	}{
		{"nothing known", nil, "rtmp_stream_status"},
		{"new handshake", []fact{{dialectNew, evidenceHandshake}}, "stream_status"},
		{"old subscription beats a new handshake", []fact{{dialectNew, evidenceHandshake}, {dialectOld, evidenceSubscription}}, "rtmp_stream_status"},
		{"new request beats an old subscription", []fact{{dialectOld, evidenceSubscription}, {dialectNew, evidenceRequest}}, "stream_status"},
		{"a later subscription changes nothing", []fact{{dialectOld, evidenceRequest}, {dialectNew, evidenceSubscription}}, "rtmp_stream_status"},
		{"the first of equals stands", []fact{{dialectNew, evidenceSubscription}, {dialectOld, evidenceSubscription}}, "stream_status"},
		{"silence is no evidence", []fact{{dialectUnknown, evidenceSubscription}, {dialectNew, evidenceSubscription}}, "stream_status"},
	} {
		var s spelling
		for _, f := range c.facts {
			s.learn(f.dialect, f.from)
		}
		if got := s.statusType(); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}
