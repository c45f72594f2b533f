// Package rtmp is the RTMP protocol: a server that takes publishers into the
// hub (ingest.go) and plays streams out of it (play.go), and a client that
// publishes to any RTMP server (push.go). H.264 and AAC, and by the tags of
// Enhanced RTMP what else package codec knows; every other codec is refused with
// a sentence that names it. connect is answered with what may be published; a
// player is sent only what it said that it decodes, and told otherwise
// (commands.go).
//
// The chunk reader (chunk_reader.go) takes messages off the socket within bounds
// of size, count and memory and checks the nesting of AMF values (amf.go) before
// the library gortmplib decodes them; that also does the arithmetic of the
// handshake. Media never go through it: whole messages go to the ingest, and the
// media writer (media_writer.go) sends payloads that all readers share, with chunk
// headers of its own for each reader.
//
// Who owns what: package serve owns the connections' goroutines and waits for
// them; a connection's goroutine owns its reader and writer. A player has a second
// goroutine that reads what the peer says, a publisher one that waits for the hub
// to let it go; both end before the connection's goroutine does. A Client has one
// lock, around its writes.
package rtmp
