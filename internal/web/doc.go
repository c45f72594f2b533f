// Package web serves the pages: a stream's player, the operator's dashboard,
// what they load, and the small status that the player follows. All of it is
// embedded; no page makes a request to another origin, and the policy that is
// sent with it forbids that.
//
// A Handler is immutable after New; it starts no goroutine.
package web
