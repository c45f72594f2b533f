// Package packets holds what WebRTC's media look like on the wire and in what
// order a viewer gets them: pictures and sound cut into RTP packets once per
// stream (packet.go), the ring of them that all viewers share (history.go), a
// viewer's place in it with its own sequence numbers and timestamps (cursor.go),
// and the way back, from RTP payloads to access units (depacketise.go).
//
// Packets are immutable once in a History, which has one writer and any number
// of readers and the package's only lock, held to copy headers, never while
// bytes are sealed or sent. Cursors and depacketisers belong to their callers.
package packets
