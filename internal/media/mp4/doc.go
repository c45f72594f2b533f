// Package mp4 writes and reads MP4 (ISO/IEC 14496-12): the fragments that CMAF's
// parts and growing recordings are made of, the tables of a finished file or clip,
// and the index that both come from.
//
// A recording is a hybrid file (MEDIA O):
//
//	ftyp free moov moof mdat moof mdat …            while it grows: fragmented MP4
//	ftyp mdat(     moov moof mdat moof mdat … ) moov  finished: plain, seekable MP4
//
// Its first 16 bytes after ftyp are a free box that becomes the header of one
// mdat around everything before the last moov; nothing else moves, so a reader
// of fragments goes on reading what it knew. When parameters change, another
// moov stands before the first fragment that needs them.
//
// A Table is one track's samples, added to as fragments are written or found by
// Scan: a recording that is finished and one that is recovered after a crash
// have their moov from the same code. The package does no I/O of its own but
// through io.ReaderAt; its values are for one goroutine at a time.
package mp4
