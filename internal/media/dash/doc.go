// Package dash describes the CMAF store to DASH players: a dynamic MPD over the
// very segments that HLS serves, under the same names (ISO/IEC 23009-1). It
// lists the open segment too, with the length of the one before, so players of
// low latency stay 1.5 s behind; they get that segment while it grows, and the
// number after it as soon as it opens (package hls). Players of whole segments
// stay 6 s behind.
//
// Who asks for the MPD is led into a session of its own, in which all relative
// addresses stay (package viewers).
//
// A Handler has no state of its own and starts no goroutine.
package dash
