// Package dash describes the CMAF store to DASH players: a dynamic MPD over the
// very segments that HLS serves, under the same names (ISO/IEC 23009-1). It
// lists closed segments only, so players stay some seconds behind; HLS is the
// quick one. Players that ask for the number after the last get it while it grows
// (package hls).
//
// A Handler has no state and starts no goroutine.
package dash
