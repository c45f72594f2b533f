// Package hls shows a cmaf.Store as low-latency HLS (RFC 8216bis): a
// multivariant playlist with two media playlists, pictures and sound, whose
// bytes are the same for all viewers.
//
// URLs below a stream's playback path:
//
//	index.m3u8                 multivariant; makes a session; never cached
//	~<session>/video.m3u8      media playlists: blocking reload, preload hint
//	~<session>/audio.m3u8
//	~<session>/<file>          inits, segments and parts, named by package cmaf;
//	                           the segment that is open grows as its parts come
//	video.m3u8, <file>, …      the same without a session, for public streams behind a CDN
//
// All URIs inside are relative, so the session travels in the path and no list
// carries it (package viewers).
//
// A playlist is rendered once a part, by whoever asks first, and compressed
// once when somebody accepts gzip. A request that waits listens to its context
// and is answered within Config.Wait.
package hls
