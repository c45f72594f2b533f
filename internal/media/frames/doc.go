// Package frames gives apps decoded pictures of live streams, and viewers what
// apps found in them.
//
// A Service has a channel per stream that somebody asks about. A channel has a tap
// per size: one child decodes for all who want that size, as many pictures a
// second as the fastest of them wants, and is stopped when nobody has wanted any
// for a while. A Subscription is one app's queue of pictures at its own rate and
// in its own form; what is made of a picture (a JPEG, RGB) is made once for all. A
// slow subscriber loses pictures, is told how many, and delays nobody. Pictures
// that stand in for a publisher that is away are not given to apps.
//
// Results go the other way: an app posts what it found at a time of an epoch, and
// every reader of the stream's detections gets it with the times by which players
// find the picture again. A reader is a position in the channel's ring of results.
//
// The Service owns the taps' goroutines and one that clears up. Lock order:
// Service.mu before channel.mu; nothing is sent or decoded under either.
package frames
