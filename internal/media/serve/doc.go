// Package serve is what every protocol's server does alike: accepting for ever,
// bounded places for strangers and for those who are served, panics that end one
// connection, goroutines that somebody waits for, and the way from a connection
// into the hub (publish.go) and out of it (play.go). What the peers say to each
// other is the protocol's own.
//
// Who owns what: Run owns the listener and one goroutine per connection, and
// returns when all of them have ended; Publish and Play own one helper goroutine
// each while they last. The only lock is that of the places, held for a count.
package serve
