// Package transport is what WebRTC's media travel by, both ways, without a
// PeerConnection: ICE-lite (RFC 8445), DTLS (RFC 5764) and SRTP (RFC 3711,
// RFC 7714) for any number of peers on one UDP socket, and on a TCP listener of
// the same port for networks that let no UDP through (RFC 6544).
//
// Who owns what: the Mux owns the sockets, the tables of peers and every
// goroutine: one that reads the UDP socket (package udp), one that accepts TCP connections,
// two for each of those, and one for each handshake under way. Run returns after
// the last of them. A Peer owns its addresses and the parked rest of its
// handshake; the keys that came of that belong to its Handler.
//
// Locks, in the order in which they may nest: Mux.mu, Peer.mu, then one of
// link.mu and stream.mu. Handlers are called with Peer.mu held where Handler
// says so.
//
// The only addresses that reach DTLS or a Handler are those that passed a check
// with the session's password; nobody else gets an answer or costs memory.
package transport
