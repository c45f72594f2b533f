// Command bench measures the promises: how soon a stream is live and a picture
// seen, how far viewers are behind, what a stream and a reader cost. It starts
// the real server, publishes the project's clip with a stamp in each access
// unit, reads with clients of its own, and prints one JSON line a figure.
//
// Cost is CPU time of the server's process, which holds on a busy machine where
// wall time does not; run it alone all the same.
//
//	make bench
//	go run ./bench -server bin/glimpse -only whep,hls -readers 20 -seconds 10
package main
