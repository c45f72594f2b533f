// Package session has one actor per wearer (CONTROL.md "Sessions and sockets").
//
// A Session owns everything about one wearer: who holds the camera
// (camera.State), the phone's socket, the apps with their sockets and
// subscriptions, and what is known of the glasses. All of it belongs to one
// loop. Sockets decode in their own goroutine and post; the loop never waits
// for a socket, a lock that is held for long, or another actor: what goes out
// is queued on a Socket, and webhooks run in goroutines of the session's that
// post their outcome. One timer, set to the nearest deadline after every call,
// is the session's only clock.
//
// A Registry makes sessions, finds them by user and by the exact sessionId of
// an app, and ends them with the server. Under its lock
// nothing but the saver's is taken; that one and the lock of a session's media
// news are leaves.
package session
