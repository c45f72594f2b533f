package webrtc

import "sync/atomic"

// Stats is a snapshot of the server's counts since its start, for metrics.
type Stats struct {
	Viewers  int // connected now
	Pending  int // sessions that are not connected yet
	Sessions uint64
	Failed   uint64 // sessions that never connected

	Packets       uint64 // sent, retransmissions included
	Bytes         uint64 // likewise, sealed
	Retransmitted uint64 // packets
	Degraded      uint64 // times a viewer's quality was lowered for its network
	Restarts      uint64 // viewers sent back to a key picture
	KeyFrameAlone uint64 // joins and restarts without catching up

	Publishers        int    // connected by WHIP now
	PublishersRefused uint64 // for their key, or because others publish

	NackRefused uint64 // asked for again too late, or never sent
	Dropped     Drops
}

// Drops counts what was lost, by cause.
type Drops struct {
	SocketFull uint64 // packets: the socket's buffer was full or the path is gone
	Stream     uint64 // times a TCP connection was full, so that pictures were left out
	Behind     uint64 // times a viewer fell out of the history
	Budget     uint64 // retransmissions over the share of the stream's rate
	Sound      uint64 // sound packets that were too large or went back in time
	Forged     uint64 // RTCP that did not authenticate
	Strange    uint64 // datagrams from nobody
	Panics     uint64 // sessions ended by a fault of ours
}

// counters are the live counts.
type counters struct {
	viewers, publishers                            atomic.Int64
	sessions, publishersRefused                    atomic.Uint64
	packets, bytes, retransmitted                  atomic.Uint64
	restarts, degraded, keyFrameAlone, nackRefused atomic.Uint64
	dropFull, dropBehind, dropStream, dropBudget   atomic.Uint64
	dropSound, dropForged, dropPanic               atomic.Uint64
}

// sent counts packets that were sealed; lost ones among them never left.
func (c *counters) sent(packets, bytes, lost int) {
	c.packets.Add(uint64(packets))
	c.bytes.Add(uint64(bytes))
	if lost > 0 {
		c.dropFull.Add(uint64(lost))
	}
}

// Stats returns the counts. Safe for concurrent use.
func (s *Server) Stats() Stats {
	c, below := &s.stats, s.mux.Stats()
	return Stats{
		Viewers: int(c.viewers.Load()), Pending: below.Pending,
		Sessions: c.sessions.Load(), Failed: below.Failed,
		Packets: c.packets.Load(), Bytes: c.bytes.Load(), Retransmitted: c.retransmitted.Load(),
		Restarts: c.restarts.Load(), Degraded: c.degraded.Load(), KeyFrameAlone: c.keyFrameAlone.Load(),
		Publishers: int(c.publishers.Load()), PublishersRefused: c.publishersRefused.Load(),
		NackRefused: c.nackRefused.Load(),
		Dropped: Drops{
			SocketFull: c.dropFull.Load(), Behind: c.dropBehind.Load(), Stream: c.dropStream.Load(), Budget: c.dropBudget.Load(),
			Sound: c.dropSound.Load(), Forged: c.dropForged.Load(), Strange: below.Strange,
			Panics: c.dropPanic.Load() + below.Panics,
		},
	}
}
