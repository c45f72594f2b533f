// Package push publishes a stream to a WHIP endpoint (RFC 9725), ours or another
// server's: H.264 passes through, sound must be Opus.
//
// The offer carries all candidates, so endpoints without trickle serve as well;
// the resource is deleted at the end. A Client owns a PeerConnection with its
// goroutines, and two of its own that read the receivers' feedback; Close waits
// for all. Its one lock guards what a frame needs and is not held while the
// network is waited for.
package push
