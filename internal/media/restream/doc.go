// Package restream sends a stream on to other servers: YouTube, Twitch, a second
// Glimpse, anything that takes RTMP, RTMPS or SRT.
//
// A Supervisor belongs to one hub.Stream and owns an Output per destination. An
// Output owns one goroutine, its connection and its reader of the stream: a
// destination that refuses, stalls or flaps costs nobody else a frame. Its queue
// is the stream's ring: whoever lags too far resumes at the newest key frame, and
// the loss is counted. It tries again after 1, 2, 4 … 30 s (± 20 %), from 1 s
// after a minute without a fault, for as long as the stream lives.
//
// Addresses hold keys: statuses, errors and logs have them redacted. Lock order:
// Supervisor.mu before output.mu; neither is held while the network is used.
package restream
