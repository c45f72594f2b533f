package protocol

import (
	"encoding/json"
	"time"
)

// Envelope is the part that every message has. SessionID in messages from apps
// is often junk (empty, "unknown-session-id"): identify an app by its socket.
type Envelope struct {
	Type      string `json:"type"`
	SessionID string `json:"sessionId,omitempty"`
	Timestamp Time   `json:"timestamp,omitzero"`
}

// Time is a moment on the wire: an ISO 8601 string with milliseconds when
// written; a string or a number of milliseconds when read (phones send both).
// What cannot be read becomes the zero time, never an error: no decision hangs
// on a stranger's clock.
type Time struct{ time.Time }

// MarshalJSON writes UTC with milliseconds, as JavaScript's toISOString does.
func (t Time) MarshalJSON() ([]byte, error) {
	return []byte(`"` + t.UTC().Format("2006-01-02T15:04:05.000Z") + `"`), nil
}

// UnmarshalJSON reads an RFC 3339 string or a number of milliseconds since 1970.
func (t *Time) UnmarshalJSON(b []byte) error {
	*t = Time{}
	var n float64
	if json.Unmarshal(b, &n) == nil {
		const year9999 = 253402300799999
		if n > 0 && n < year9999 {
			t.Time = time.UnixMilli(int64(n)).UTC()
		}
		return nil
	}
	var s string
	if json.Unmarshal(b, &s) == nil {
		if v, err := time.Parse(time.RFC3339, s); err == nil {
			t.Time = v
		}
	}
	return nil
}

// Types of messages between an app and the cloud (WIRE a).
const (
	TypeAppInit           = "tpa_connection_init"
	TypeAppAck            = "tpa_connection_ack"
	TypeAppError          = "tpa_connection_error"
	TypeReconnect         = "reconnect"
	TypeReconnectRejected = "reconnect_rejected"
	TypeDeviceState       = "device_state_update"
	TypeSubscriptions     = "subscription_update"
	TypeDataStream        = "data_stream"
	TypePermissionError   = "permission_error"
	TypeAppStopped        = "app_stopped"
	TypeOwnershipRelease  = "ownership_release"
	TypePing              = "ping"
	TypePong              = "pong"
	TypeDisplay           = "display_event"
	TypeDirectRequest     = "stream_request"
	TypeDirectRequestOld  = "rtmp_stream_request"
	TypeDirectStop        = "stream_stop"
	TypeDirectStopOld     = "rtmp_stream_stop"
	TypeManagedRequest    = "managed_stream_request"
	TypeManagedStop       = "managed_stream_stop"
	TypeManagedStatus     = "managed_stream_status"
	TypeStatusCheck       = "stream_status_check"
	TypeStatusCheckReply  = "stream_status_check_response"
	TypeStreamStatus      = "stream_status"      // app status (new), glasses status (new)
	TypeStreamStatusOld   = "rtmp_stream_status" // the same, old spelling
)

// Types of messages between glasses (their phone) and the cloud (WIRE c).
const (
	TypeConnectionInit     = "connection_init"
	TypeConnectionAck      = "connection_ack"
	TypeConnectionError    = "connection_error"
	TypeGlassesState       = "glasses_connection_state"
	TypeStartApp           = "start_app"
	TypeStopApp            = "stop_app"
	TypeAppStateChange     = "app_state_change"
	TypeButtonPress        = "button_press"
	TypeLocalTranscription = "local_transcription"
	TypeTranscription      = "transcription"
	TypeBattery            = "glasses_battery_update"
	TypeKeepAliveAck       = "keep_alive_ack"
	TypeStartStream        = "start_stream"
	TypeStartStreamOld     = "start_rtmp_stream"
	TypeStopStream         = "stop_stream"
	TypeStopStreamOld      = "stop_rtmp_stream"
	TypeKeepStreamAlive    = "keep_stream_alive"
	TypeKeepStreamAliveOld = "keep_rtmp_stream_alive"
)

// ManagedAppID is the appId of start_stream when the stream is the cloud's own.
const ManagedAppID = "MANAGED_STREAM"

// AppInit is an app's first frame; Reconnect has the same fields with type
// "reconnect". A MiniAppServer leaves out sessionId (its upgrade headers carry
// it) and sends SDKVersion, whose presence identifies it.
type AppInit struct {
	Type        string `json:"type"`
	SessionID   string `json:"sessionId,omitempty"`
	PackageName string `json:"packageName,omitempty"`
	APIKey      string `json:"apiKey,omitempty"`
	SDKVersion  string `json:"sdkVersion,omitempty"`
	Timestamp   Time   `json:"timestamp,omitzero"`
}

// AppAck answers an AppInit.
type AppAck struct {
	Envelope
	Settings         []json.RawMessage `json:"settings"`
	MentraosSettings MentraosSettings  `json:"mentraosSettings"`
	Capabilities     *Capabilities     `json:"capabilities"`
}

// MentraosSettings is read by every SDK; MiniAppServer takes permissions from it.
type MentraosSettings struct {
	MetricSystemEnabled bool            `json:"metricSystemEnabled"`
	Permissions         map[string]bool `json:"permissions"`
}

// Capabilities describes a model of glasses.
type Capabilities struct {
	ModelName     string              `json:"modelName"`
	HasCamera     bool                `json:"hasCamera"`
	HasDisplay    bool                `json:"hasDisplay"`
	HasMicrophone bool                `json:"hasMicrophone"`
	HasSpeaker    bool                `json:"hasSpeaker"`
	HasWifi       bool                `json:"hasWifi"`
	Camera        *CameraCapabilities `json:"camera"`
}

// CameraCapabilities of a model; Video.SupportedStreamTypes are "rtmp", "srt", "webrtc".
type CameraCapabilities struct {
	Resolution Resolution        `json:"resolution"`
	Video      VideoCapabilities `json:"video"`
}

// Resolution in pixels.
type Resolution struct {
	Width  int `json:"width"`
	Height int `json:"height"`
}

// VideoCapabilities of a camera.
type VideoCapabilities struct {
	CanRecord            bool     `json:"canRecord"`
	CanStream            bool     `json:"canStream"`
	SupportedStreamTypes []string `json:"supportedStreamTypes"`
}

// DeviceState tells an app about the glasses; State holds only the changed keys
// unless FullSnapshot.
type DeviceState struct {
	Envelope
	State        map[string]any `json:"state"`
	FullSnapshot bool           `json:"fullSnapshot"`
}

// Subscriptions is an app's full set; each entry is a string or an object with
// "stream".
type Subscriptions struct {
	Envelope
	PackageName   string            `json:"packageName,omitempty"`
	Subscriptions []json.RawMessage `json:"subscriptions"`
}

// DataStream carries an event of the glasses to one subscriber; StreamType is
// the subscriber's own subscription string.
type DataStream struct {
	Envelope
	StreamType string          `json:"streamType"`
	Data       json.RawMessage `json:"data"`
}

// PermissionError reports subscriptions that were refused.
type PermissionError struct {
	Envelope
	Message string             `json:"message"`
	Details []PermissionDetail `json:"details"`
}

// PermissionDetail is one refused subscription.
type PermissionDetail struct {
	Stream             string `json:"stream"`
	RequiredPermission string `json:"requiredPermission"`
	Message            string `json:"message"`
}

// ErrorMessage is tpa_connection_error, reconnect_rejected or connection_error.
type ErrorMessage struct {
	Envelope
	Code    string `json:"code,omitempty"`
	Message string `json:"message"`
}

// AppStopped tells an app that its session is over.
type AppStopped struct {
	Envelope
	Reason string `json:"reason"`
}

// AppStateChange tells the phone which apps run.
type AppStateChange struct {
	Envelope
	UserSession map[string]any `json:"userSession,omitempty"`
}

// Display is a layout for the glasses, forwarded as it came.
type Display struct {
	Envelope
	PackageName string          `json:"packageName,omitempty"`
	View        string          `json:"view,omitempty"`
	Layout      json.RawMessage `json:"layout"`
	DurationMs  int             `json:"durationMs,omitempty"`
}

// TextWall is the commonest layout.
type TextWall struct {
	LayoutType string `json:"layoutType"`
	Text       string `json:"text"`
}

// SessionRequest is the webhook that asks an app server to connect. The three
// URLs are equal: each SDK generation reads another one.
type SessionRequest struct {
	Type                  string `json:"type"` // "session_request"
	SessionID             string `json:"sessionId"`
	UserID                string `json:"userId"`
	Timestamp             Time   `json:"timestamp"`
	MentraOSWebsocketURL  string `json:"mentraOSWebsocketUrl"`
	AugmentOSWebsocketURL string `json:"augmentOSWebsocketUrl"`
	WebsocketURL          string `json:"websocketUrl"`
}

// StopRequest is the webhook that asks an app server to end a session; Reason
// is "user_disabled", "system_stop" or "error".
type StopRequest struct {
	Type      string `json:"type"` // "stop_request"
	SessionID string `json:"sessionId"`
	UserID    string `json:"userId"`
	Reason    string `json:"reason"`
	Timestamp Time   `json:"timestamp"`
}

// The words of webhooks and app_stopped.
const (
	WebhookSession     = "session_request"
	WebhookStop        = "stop_request"
	ReasonUserDisabled = "user_disabled"
	ReasonSystemStop   = "system_stop"
	ReasonError        = "error"
)
