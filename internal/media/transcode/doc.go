// Package transcode converts what an output needs otherwise than the source
// sends it, in children of the program ffmpeg: AAC to Opus for WebRTC, Opus to AAC
// for everything else, pictures with B-frames to pictures without, a key frame to a
// JPEG; and what is past of the sound at once, for those who rewind or clip. Without
// ffmpeg everything else goes on and Available says why there is no sound.
//
// While a stream has sound, a child for the conversion that its first listener will need
// has started already and waits for input (Output), since it takes ffmpeg longer to
// start than to convert.
//
// A Transcoder owns its children: each has its own process group, gets
// arguments only (no shell), reads and writes pipes only, is limited in memory,
// time or silence, and is gone when Close returns or when we die. A call such
// as Convert owns the one child it runs and restarts; the shelf owns those that wait.
//
// Locks do not nest.
package transcode
