// Package detect is glimpse-detect: an app that looks at live streams with a
// YOLO model and tells what it found, and a classifier of single pictures on a
// websocket of its own.
//
// It is an app like any other: of Glimpse it uses sdk and protocol alone, and it
// can be run by anybody on another machine. Viewers and other apps get its results
// from the cloud's stream of detections, not from here.
//
// Run owns everything: the engine, the classifier and one watcher per stream, and
// takes the engine down last.
package detect
