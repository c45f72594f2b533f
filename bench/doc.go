// Command bench measures the promises: how soon a stream is live and a picture
// seen, how far viewers are behind, what a stream and a reader cost. It starts
// the real server, and others beside it when they are named, publishes the
// project's clip with a stamp in each picture, reads with clients of its own
// (package load), and prints one JSON line a figure and a table of them all.
//
// Each scenario runs several rounds on fresh processes, all servers in turn, and
// the medians count. Cost is CPU time of the server's process, which holds on a
// busy machine where wall time does not; run it alone all the same.
//
//	make bench
//	go run ./bench -server bin/glimpse -only whep,hls -sizes 100 -rounds 5 -seconds 6
//	go run ./bench -peer peer.json -only rtmp -sizes 500
//
// README.md says what a peer's file looks like.
package main
