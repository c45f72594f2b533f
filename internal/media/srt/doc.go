// Package srt is SRT for the hub: a server that takes publishers (ingest.go) and
// plays streams (play.go), and a client that publishes to any SRT listener
// (push.go). The payload is MPEG-TS; a codec that it cannot carry here is refused
// with a sentence that names it. The protocol itself is package live, which says
// how strangers are kept from harm; what all protocols' servers do alike is
// package serve.
//
// Who owns what: package serve owns the goroutine of each connection and waits for
// it; live's two goroutines serve all connections of a socket. Nothing here has a
// lock but the Client, around its writes.
package srt
