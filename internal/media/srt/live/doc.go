// Package live is SRT's live mode (draft-sharabayko-srt-01, and libsrt where the
// draft is silent): packets over UDP that come again when they are lost, are
// delivered in time with their own timing, and are given up when they are late.
// Callers and a listener, handshakes of version 5, AES with keys that change while
// it runs; no rendezvous, no file mode, no bonding, no forward error correction.
//
// It is our own because what strangers send is checked before anything is kept of
// it: the cookie of a handshake comes before the parse, every length is checked
// once (packet.go, keys.go), and a fault of ours while handling a packet ends that
// one connection. What a peer can make us hold is bounded: 8,192 packets each way,
// and as many packets again as were sent are all that it can ask for twice.
//
// Who owns what: a socket (socket.go) owns one goroutine for all of its connections: it
// reads in bursts (package udp) and ticks each 10 ms; a connection has none. State of a
// connection is guarded by Conn.mu; receiver and sender are pure and know neither
// sockets nor clocks. Locks: socket.mu is never held while Conn.mu is taken.
package live
