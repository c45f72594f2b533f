// Package record keeps streams: recordings on disk while they run, and clips of
// what was just seen.
//
// The Recorder is a hub.Output. For each run of a stream it waits until the run
// is to be recorded (by policy, or because somebody asked) and follows it as any
// reader does, so a disk that is slow or full costs the recording a gap and the
// stream nothing. A take is one recording in progress: its goroutine reads, cuts
// fragments (muxer), and writes them (growing). The Library knows every finished
// recording and clip, and what is known of those in progress; what a killed
// process left is finished from its fragments at the next start.
//
// A recording is one file over all drops of its publisher. Its time runs with the
// run's: what the hub showed while the publisher was away is in it, so it plays
// like the stream did; holes of our own making last as long as they did, with
// the last picture and silence. Both are listed as gaps. Sound is AAC, converted
// where the source sends something else; a stream without sound has silence.
//
// Files have names of ours (time and 60 random bits), below one folder that
// os.Root keeps them in: <id>.mp4, and <id>.json with what is known of it. What is
// wished for single streams is in "wishes" while anything is.
//
// Who owns what: the Recorder owns one goroutine that tends (retention, files
// that could not be finished, wishes that lapse); a take belongs to the output's goroutine that
// records, and owns the goroutine that syncs its file. Locks: Recorder.keeping before
// Recorder.mu before Library.mu; a handler's cache lock is a leaf. Nothing holds a lock while a disk
// is waited for, except Library.write and keep, which order changes of one file.
package record
