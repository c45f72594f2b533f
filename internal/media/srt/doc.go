// Package srt is the SRT protocol in live mode: a server that takes publishers
// into the hub (ingest.go) and plays streams out of it (play.go), and a client
// that publishes to any SRT listener (push.go). The payload is MPEG-TS with
// H.264 and AAC; every other codec is refused with a sentence that names it.
//
// The library gosrt speaks the protocol. It opens its socket itself, so that no
// guard can stand between the network and its parser; what is checked where:
//
//   - Its listener reads packets and parses nothing but the 16 bytes of the
//     header. Handshakes wait in a queue of 128, beyond that they are dropped.
//   - It parses a handshake in Server.next, in our goroutine, before it has
//     looked at the SYN cookie. The parse is of one packet, at most 1,500 bytes,
//     takes no lock and keeps nothing; a truncated extension makes it panic, which
//     next recovers. Nothing is kept of a peer whose cookie is not right.
//   - What it would accept and should not is refused in conn.check: handshakes of
//     version 4 (no streamid, and a crash in their later messages), encryption
//     without a passphrase, packets smaller than their headers.
//   - What it keeps for a peer is looked at five times a second (conn.watch): it
//     knows no bound for packets whose time has not come.
//
// Who owns what: Server.Run owns the listener and one goroutine per request; that
// goroutine owns the connection and has two helpers at most, which end before it
// does. The library has three goroutines of its own per connection, which end when
// it is closed. The only lock is that of the places, held for a count.
package srt
