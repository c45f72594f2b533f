package protocol

import "encoding/json"

// StreamRequest is a direct start in either spelling, or a managed start: the
// fields of the other kind are empty. Video, Audio and Stream reach the glasses
// as they came.
type StreamRequest struct {
	Envelope
	PackageName          string          `json:"packageName,omitempty"`
	RTMPURL              string          `json:"rtmpUrl,omitempty"`
	StreamURL            string          `json:"streamUrl,omitempty"`
	Quality              string          `json:"quality,omitempty"` // "720p", "1080p"
	EnableWebRTC         *bool           `json:"enableWebRTC,omitempty"`
	Video                json.RawMessage `json:"video,omitempty"`
	Audio                json.RawMessage `json:"audio,omitempty"`
	Stream               json.RawMessage `json:"stream,omitempty"`
	RestreamDestinations []Destination   `json:"restreamDestinations,omitempty"`
	Sound                *bool           `json:"sound,omitempty"` // nil means true
}

// URL is the target of a direct request in either spelling.
func (r *StreamRequest) URL() string {
	if r.StreamURL != "" {
		return r.StreamURL
	}
	return r.RTMPURL
}

// Destination of a restream.
type Destination struct {
	URL  string `json:"url"`
	Name string `json:"name,omitempty"`
}

// VideoConfig is what glasses read from "video": pixels, bit/s, pictures a second.
type VideoConfig struct {
	Width     int     `json:"width,omitempty"`
	Height    int     `json:"height,omitempty"`
	Bitrate   int     `json:"bitrate,omitempty"`
	FrameRate float64 `json:"frameRate,omitempty"`
}

// AudioConfig is what glasses read from "audio": bit/s and Hz.
type AudioConfig struct {
	Bitrate          int   `json:"bitrate,omitempty"`
	SampleRate       int   `json:"sampleRate,omitempty"`
	EchoCancellation *bool `json:"echoCancellation,omitempty"`
	NoiseSuppression *bool `json:"noiseSuppression,omitempty"`
}

// StreamConfig is "stream": DurationLimit in seconds, 0 for none.
type StreamConfig struct {
	DurationLimit float64 `json:"durationLimit,omitempty"`
}

// StreamStop ends a direct or managed stream; StreamID is optional.
type StreamStop struct {
	Envelope
	PackageName string `json:"packageName,omitempty"`
	StreamID    string `json:"streamId,omitempty"`
}

// StatusCheck asks whether the user has a stream; RequestID is echoed.
type StatusCheck struct {
	Envelope
	RequestID string `json:"requestId,omitempty"`
}

// StatusCheckReply answers a StatusCheck.
type StatusCheckReply struct {
	Envelope
	RequestID       string      `json:"requestId,omitempty"`
	HasActiveStream bool        `json:"hasActiveStream"`
	StreamInfo      *StreamInfo `json:"streamInfo,omitempty"`
}

// StreamInfo describes the user's stream; Type is "managed" or "unmanaged".
type StreamInfo struct {
	Type            string `json:"type"`
	StreamID        string `json:"streamId"`
	Status          string `json:"status"`
	CreatedAt       Time   `json:"createdAt"`
	RTMPURL         string `json:"rtmpUrl,omitempty"`
	StreamURL       string `json:"streamUrl,omitempty"`
	RequestingAppID string `json:"requestingAppId,omitempty"`
	URLs
	ActiveViewers *int `json:"activeViewers,omitempty"`
	// Stats are the glasses' newest statistics, our addition: managed statuses
	// carry none, and apps need them for a health check.
	Stats *Stats `json:"stats,omitempty"`
}

// URLs of a managed stream. The SDKs resolve a start only when both HLS and
// DASH are non-empty.
type URLs struct {
	HLS       string `json:"hlsUrl,omitempty"`
	DASH      string `json:"dashUrl,omitempty"`
	WebRTC    string `json:"webrtcUrl,omitempty"`
	Preview   string `json:"previewUrl,omitempty"`
	Thumbnail string `json:"thumbnailUrl,omitempty"`
}

// Stats as glasses measure them: bit/s, pictures a second, count, seconds. Some
// glasses add the picture's size in pixels.
type Stats struct {
	Bitrate       float64 `json:"bitrate"`
	FPS           float64 `json:"fps"`
	DroppedFrames float64 `json:"droppedFrames"`
	Duration      float64 `json:"duration"`
	Width         float64 `json:"width,omitempty"`
	Height        float64 `json:"height,omitempty"`
}

// DirectStatus is stream_status / rtmp_stream_status towards an app. Both
// ErrorDetails and Message carry the text of an error.
type DirectStatus struct {
	Envelope
	StreamID     string `json:"streamId"`
	Status       string `json:"status"`
	AppID        string `json:"appId,omitempty"`
	Stats        *Stats `json:"stats,omitempty"`
	ErrorDetails string `json:"errorDetails,omitempty"`
	Message      string `json:"message,omitempty"`
	Code         string `json:"code,omitempty"`
}

// ManagedStatus is managed_stream_status towards an app.
type ManagedStatus struct {
	Envelope
	Status   string `json:"status"`
	StreamID string `json:"streamId,omitempty"`
	URLs
	Message      string   `json:"message,omitempty"`
	ErrorDetails string   `json:"errorDetails,omitempty"`
	Code         string   `json:"code,omitempty"`
	Outputs      []Output `json:"outputs,omitempty"`
}

// Output is one restream destination's state: "active", "error", "stopped".
type Output struct {
	URL    string `json:"url"`
	Name   string `json:"name,omitempty"`
	Status string `json:"status"`
	Error  string `json:"error,omitempty"`
}

// The statuses of streams, of apps and of glasses.
const (
	StatusInitializing    = "initializing"
	StatusConnecting      = "connecting"
	StatusPreparing       = "preparing"
	StatusActive          = "active"
	StatusStreaming       = "streaming" // glasses' word for active
	StatusReconnecting    = "reconnecting"
	StatusReconnected     = "reconnected"
	StatusReconnectFailed = "reconnect_failed"
	StatusDisconnected    = "disconnected"
	StatusStopping        = "stopping"
	StatusStopped         = "stopped"
	StatusTimeout         = "timeout"
	StatusError           = "error"
)

// StartStream asks the glasses to publish to StreamURL (= RTMPURL, for old
// phones). StreamID is at most 11 characters: it travels over BLE.
type StartStream struct {
	Envelope
	StreamURL string          `json:"streamUrl"`
	RTMPURL   string          `json:"rtmpUrl"`
	AppID     string          `json:"appId"`
	StreamID  string          `json:"streamId"`
	Video     json.RawMessage `json:"video,omitempty"`
	Audio     json.RawMessage `json:"audio,omitempty"`
	Stream    json.RawMessage `json:"stream,omitempty"`
	Flash     bool            `json:"flash"`
	Sound     bool            `json:"sound"`
}

// StopStream asks the glasses to end a stream.
type StopStream struct {
	Envelope
	AppID    string `json:"appId,omitempty"`
	StreamID string `json:"streamId"`
}

// KeepStreamAlive re-arms the glasses' own 60 s limit; AckID is at most 6
// characters. KeepAliveAck has the same fields.
type KeepStreamAlive struct {
	Envelope
	StreamID string `json:"streamId"`
	AckID    string `json:"ackId"`
}

// GlassesStatus is what glasses report of their stream; StreamID may be
// missing on errors (then it means the current stream).
type GlassesStatus struct {
	Envelope
	StreamID     string `json:"streamId,omitempty"`
	Status       string `json:"status"`
	Stats        *Stats `json:"stats,omitempty"`
	ErrorDetails string `json:"errorDetails,omitempty"`
	Attempt      int    `json:"attempt,omitempty"`
	MaxAttempts  int    `json:"maxAttempts,omitempty"`
	Reason       string `json:"reason,omitempty"`
}

// GlassesState says whether the glasses are connected to the phone.
type GlassesState struct {
	Envelope
	ModelName string `json:"modelName"`
	Status    string `json:"status"` // CONNECTED, DISCONNECTED
	Wifi      *Wifi  `json:"wifi,omitempty"`
	// StreamTypes are how the glasses can publish, the one they like best first:
	// "webrtc", "srt", "rtmps", "rtmp". Our addition: without it the model says.
	StreamTypes []string `json:"supportedStreamTypes,omitempty"`
}

// Wifi of the glasses.
type Wifi struct {
	Connected bool   `json:"connected"`
	SSID      string `json:"ssid,omitempty"`
}

// AppCommand is start_app or stop_app from the phone.
type AppCommand struct {
	Envelope
	PackageName string `json:"packageName"`
}

// ButtonPress of the glasses; PressType is "short" or "long".
type ButtonPress struct {
	Envelope
	ButtonID  string `json:"buttonId"`
	PressType string `json:"pressType"`
}

// Transcription is local_transcription from the phone and, with type
// "transcription", the data of a data_stream; times in milliseconds.
type Transcription struct {
	Envelope
	Text               string  `json:"text"`
	IsFinal            bool    `json:"isFinal"`
	TranscribeLanguage string  `json:"transcribeLanguage"`
	StartTime          float64 `json:"startTime"`
	EndTime            float64 `json:"endTime"`
}

// Battery of the glasses: level in percent; TimeRemaining in minutes.
type Battery struct {
	Envelope
	Level         float64 `json:"level"`
	Charging      bool    `json:"charging"`
	TimeRemaining float64 `json:"timeRemaining,omitempty"`
}
