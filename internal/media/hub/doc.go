// Package hub is the meeting point of the media plane: publishers write access
// units into a Stream, readers follow it. A Stream's identity is its ingest
// key, not a connection: a publisher may leave and come back, by another
// protocol too, and every reader stays.
//
// While no publisher is there, the stream itself shows the last picture, with
// silence, up to the next one's key frame (hold): outputs see one timeline
// without holes and need not know.
//
// Who owns what: the Hub owns its Streams; a Stream owns the ring of frames,
// the publishers' generation and its one watchdog goroutine. Readers hold only
// a cursor. Publishing never blocks and never waits for a reader: a reader that
// falls out of the ring resumes at the newest key frame and counts what it lost.
//
// What the source does not send but an output needs (sound in another codec,
// pictures without reordering) a Converter makes, once for all, while somebody
// needs it; the Stream owns its goroutines.
//
// Locks: Hub.mu before Stream.mu before Run.mu before the Run.mu of the run that
// is made of it (Straight); none is held while a callback runs, except
// Converter.Available.
package hub
