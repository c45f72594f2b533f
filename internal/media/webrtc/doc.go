// Package webrtc plays streams to browsers by WHEP (draft-ietf-wish-whep) and
// takes them from browsers and encoders by WHIP (RFC 9725), on one port and
// without a PeerConnection: package transport carries, package packets cuts a
// stream into RTP packets once, and a viewer is a cursor in that ring with its own
// keys, payload types and sequence offset. It has no goroutine, queue or timer of
// its own; a publisher has one goroutine, which waits for its end. Package receive
// makes pictures and sound of what publishers send.
//
// A picture's way: hub → feed (one goroutine per run that somebody watches:
// packetise, history) → senders (one goroutine per core) → viewer.pump (patch,
// seal in place, one sendmsg per train of equal packets). A viewer's way: POST
// → SDP answer → authenticated ICE check → DTLS handshake → keys → join. What
// comes back (checks, handshakes, RTCP) is read by the transport's goroutine, and
// so are a publisher's packets, all the way into the hub (ingest.go); it sends what
// publishers are told, too (turns.go).
//
// Who owns what: the Server owns the transport, the tables of sessions and feeds
// and all goroutines, and Run returns after the last of them. A feed owns the
// histories of its run. A viewer's cursors, its keys and its destination belong to
// viewer.mu.
//
// Locks, in the order in which they may nest: Server.mu, the transport's, feed.mu,
// viewer.mu, and then one of the history's, sender.mu, sharedBucket.mu; of a
// publisher the transport's, publisher.mu, the hub's. Media is never sent while
// any but viewer.mu is held.
//
// The rule that everything about sequence numbers serves: one SRTP index
// (SSRC, rollover, sequence) is never sealed twice with different bytes, for
// that gives AES-GCM's key stream away (RFC 7714 §8.1). Hence timestamps of
// catch-up pictures are a pure function of the picture, sequence numbers never
// go back, and a NACK for a sequence from before the cursor last moved is
// refused.
package webrtc
