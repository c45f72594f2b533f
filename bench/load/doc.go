// Package load is what the benchmark puts on a server: publishers of the
// project's clip and readers of every protocol, by URL, so that any server can
// stand there.
//
// Publishers put a stamp (number and time of sending) into each picture; readers
// look for it and for nothing else: no picture is decoded, and a WebRTC reader
// opens no packet but the one that ends a picture. That keeps them cheaper than
// the server they measure, also when there are hundreds on the same two cores.
//
// A Publisher owns its connection and one goroutine; Stop waits for it. A Reader
// is a function that ends, with all it started, when its context does. Tally is
// what readers write into and may be asked from anywhere.
package load
