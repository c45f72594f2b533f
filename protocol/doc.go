// Package protocol is the wire between the cloud, apps (@mentra/sdk) and
// glasses (their phone): the JSON messages of both websockets in the spellings
// of every SDK generation, the webhook, and the error codes with their words.
//
// It is a public leaf: the cloud, the simulated glasses and the Go SDK share
// it, and it imports nothing of ours. Messages are plain values without locks.
package protocol
