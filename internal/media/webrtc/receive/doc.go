// Package receive makes access units of a WebRTC publisher's packets and decides
// what to tell it (RFC 3550, 4585, 4588, transport-wide congestion control).
//
// A packet's way: Receiver.Media → track (which medium, is it a retransmission)
// → reorder (in order, waiting at most 200 ms for what is missing, which is asked
// for) → pictures (depacketise, drop up to the next key frame after a loss) or
// sound → the sink. Receiver.Feedback is asked every few milliseconds for what is
// due: reports, NACKs, requests for key frames, arrival times.
//
// Everything here is decided from packets and the time that the caller tells: no
// goroutines, no locks, no clock. A Receiver is for one goroutine at a time, and
// all its memory is bounded by the reorder window.
package receive
