// Package cmaf keeps the newest minute of a stream as CMAF: an index of
// segments and parts over the hub's frames. LL-HLS (package hls) is a view of
// it; every view hands out the same bytes under the same names.
//
// The Packager is a hub.Output: it makes one Store for each run. A Store has two
// Renditions, video and audio, whose segments have the same numbers. Cuts are
// decided when a frame arrives; a part's bytes (moof, mdat) are joined when
// somebody first asks for them, once, and then shared.
//
//   - The picture cuts: a segment begins with a key frame at least 1.8 s after
//     the last one began (a cut without a key frame happens only after
//     TargetDuration). Sound follows at its first frame at or after the cut.
//   - A frame's duration is the distance to the next frame, so the sum of
//     durations is exact and it is known at each part's end whether the segment
//     ends too. It costs one frame of latency.
//   - Before the first live segment stands the lead: the first key frame for 2 s
//     with silence, so that players, which want one closed segment, start at
//     once.
//   - Sound that is missing is filled with silence: players read the tracks once
//     and stall where one of them ends.
//   - Sound that has to be converted is, only while somebody plays the store
//     (Store.Watch). Until then silence stays 8 s behind the pictures, so that
//     the first viewer finds sound at the live edge at once; who asks for older
//     sound has it converted then (Store.Recall).
//
// Media time: the first key frame is shown at 10 s. Pictures are stamped with
// their own decoding time on that line, so with B-frames the first segments,
// lead included, begin by the first key frame's composition offset earlier, and
// offsets are never negative: demuxers read negative ones in two ways, and show
// all pictures late in one of them. A segment's time and wall clock are those of
// its tfdt; sound of the same time stands in the segment of the same number.
//
// Ownership: a Store is written by one goroutine, the packager's for its run.
// Readers see immutable Snapshots through an atomic pointer and wait on a
// channel that is closed when the next one is there. A conversion of the past has a
// goroutine of its own, which the packager waits for. The only locks are
// Packager.mu, audience.mu and each Part's sync.Once; they never nest, but
// audience.mu is held while a hub.Run is told.
package cmaf
