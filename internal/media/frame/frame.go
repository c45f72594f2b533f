// Package frame holds the atom of the media plane: one access unit of one
// track. A Frame is made by an ingest, handed to the hub and from then on
// shared by every reader; it and the bytes it points to are read-only after
// Publish. The package is a leaf: it imports nothing of ours.
package frame

import "time"

// MaxPicture is the most bytes of a picture that a publisher may send, by whichever
// protocol: one of more ends it.
const MaxPicture = 4 << 20

// Kind says whether a track carries pictures or sound.
type Kind uint8

// The kinds of track.
const (
	Video Kind = iota + 1
	Audio
)

// String returns "video" or "audio".
func (k Kind) String() string {
	switch k {
	case Video:
		return "video"
	case Audio:
		return "audio"
	}
	return "unknown"
}

// Codec is a codec with its parameters (parameter sets, sample rate…), one
// concrete type per codec in package codec. Values are immutable.
type Codec interface {
	// Kind of the tracks this codec makes.
	Kind() Kind
	// Name is the codec's usual name, for people: "H.264", "AAC", "Opus".
	Name() string
	// MIME is the RFC 6381 codecs parameter, for example "avc1.42c01f".
	MIME() string
}

// Track is one elementary stream under one set of parameters. New parameters
// make a new Track: compare pointers to notice a change. Immutable.
type Track struct {
	Codec Codec
}

// Kind of the track.
func (t *Track) Kind() Kind { return t.Codec.Kind() }

// Frame is one access unit.
//
// Payload is, by codec: H.264 and H.265 the access unit's NAL units, each behind
// a 4-byte big-endian length (the AVCC form; parameter sets and SEI included
// when the source sent them in-band); AV1 the OBUs of a temporal unit, each with
// its size, without delimiter; AAC one raw access unit without ADTS; Opus one
// packet.
type Frame struct {
	// Track in force for this frame.
	Track *Track
	// PTS and DTS are on the stream's one timeline, which starts at 0 with the
	// stream's first key frame and never goes back. DTS is strictly increasing
	// within a track; PTS >= DTS is not guaranteed for hostile sources.
	PTS, DTS time.Duration
	// Wall is the wall clock of capture as well as we know it: the arrival of
	// the epoch's first key frame plus the distance on the timeline.
	Wall time.Time
	// Key marks a picture that needs no other (package codec decides). Sound
	// frames are never Key.
	Key bool
	// Epoch counts the publisher's runs: connections, jumps of its clock.
	Epoch uint32
	// Discontinuity is set on the first picture after a hole in the timeline
	// that nothing filled; segmented outputs must announce it.
	Discontinuity bool
	// Derived marks sound that the server converted: a second form of what the
	// source sent.
	Derived bool
	// Hold is set on frames that are not the publisher's: the picture and the
	// silence that stand in while it is away.
	Hold bool
	// Payload is shared and read-only.
	Payload []byte
}

// CTS is the composition offset PTS-DTS.
func (f *Frame) CTS() time.Duration { return f.PTS - f.DTS }

// IsVideo reports whether the frame is a picture.
func (f *Frame) IsVideo() bool { return f.Track.Kind() == Video }
