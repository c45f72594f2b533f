// Package camera decides who holds a wearer's camera. It is pure: Step takes a
// state, an event and the time, and returns the next state and what to do about
// it. It has no clock, no randomness, no I/O and no goroutine, so a State needs
// no lock: the wearer's actor owns it, performs the effects in their order, and
// keeps one timer set to Next.
//
// A stream is either direct (one app, exclusive, the glasses push to the app's
// own URL) or managed (one ingest, shared by any number of apps). An app's share
// in it is a hold. A hold begins with a start request, may go on through
// replacement, join and coalescing, and ends with exactly one of the statuses
// stopped, error and timeout, which also releases it.
//
// The rules are those of the documents: WIRE.md d.1-d.5 as amended by
// CONTROL.md "Camera". testdata holds them as scripts.
package camera
