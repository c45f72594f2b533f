// Package demo is "glimpse demo": a cloud, simulated glasses and an app in one
// process, so that a newcomer sees live video in a browser within a minute.
//
// The app is what the product documents teach, in Go: it listens for statuses
// before it starts a managed stream, shows them on the glasses, checks the
// stream's health every ten seconds, obeys spoken commands and starts a failed
// stream again after five seconds.
//
// Run owns everything: the temporary data folder, the app's HTTP server, the
// glasses and the cloud, which it takes down in the reverse order of their
// dependence, so that each can still say goodbye to the next.
package demo
