package protocol

import "time"

// Recording is a recording or a clip of a stream, as the cloud answers apps that
// asked for one.
type Recording struct {
	ID       string    `json:"id"`     // empty: the stream is not live yet, it will be recorded
	Kind     string    `json:"kind"`   // "recording" or "clip"
	Stream   string    `json:"stream"` // id
	Status   string    `json:"status"` // waiting, recording, paused, unfinished, finished
	Started  time.Time `json:"started_at,omitzero"`
	Duration float64   `json:"duration"` // seconds
	Bytes    int64     `json:"bytes"`
	Problem  string    `json:"problem,omitempty"` // why it does not go on, a sentence
	// Whoever has these may watch.
	Page string `json:"page,omitempty"` // for people
	HLS  string `json:"hls,omitempty"`  // of a recording
	File string `json:"file,omitempty"` // MP4
}
