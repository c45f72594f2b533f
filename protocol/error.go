package protocol

// Code is a stable, machine-readable reason of a refusal. Every refusal has
// one beside a sentence that contains the documents' exact words.
type Code string

// The codes. Words that apps test for ("Already streaming", "Invalid URL",
// "Network", "timeout", "managed stream active", "Cloud service error") stand
// in the sentences, see Text*.
const (
	CodePermissionDenied    Code = "PERMISSION_DENIED"
	CodeAppNotStarted       Code = "APP_NOT_STARTED"
	CodeInvalidAPIKey       Code = "INVALID_API_KEY"
	CodePackageNotFound     Code = "PACKAGE_NOT_FOUND"
	CodeSessionNotFound     Code = "SESSION_NOT_FOUND"
	CodeMalformedMessage    Code = "MALFORMED_MESSAGE"
	CodeNotRunning          Code = "NOT_RUNNING"
	CodeGlassesDisconnected Code = "GLASSES_DISCONNECTED"
	CodeNoCamera            Code = "NO_CAMERA"
	CodeWifiNotConnected    Code = "WIFI_NOT_CONNECTED"
	CodeInvalidURL          Code = "INVALID_URL"
	CodeCameraBusy          Code = "CAMERA_BUSY"
	CodeManagedActive       Code = "MANAGED_STREAM_ACTIVE"
	CodeNotOwner            Code = "NOT_AUTHORIZED"
	CodeTimeout             Code = "TIMEOUT"
	CodeNetwork             Code = "NETWORK"
	CodeGlassesError        Code = "GLASSES_ERROR"
	CodeCloudService        Code = "CLOUD_SERVICE_ERROR"
	CodeNotAvailable        Code = "NOT_AVAILABLE"
	CodeMaxOutputs          Code = "MAX_OUTPUTS_REACHED"
	CodeMaxAppOutputs       Code = "MAX_APP_OUTPUTS_REACHED"
	CodeDuplicateURL        Code = "DUPLICATE_URL"
	CodeOutputNotFound      Code = "OUTPUT_NOT_FOUND"
	CodeStreamNotFound      Code = "STREAM_NOT_FOUND"
	CodeNotViewer           Code = "NOT_A_VIEWER"
	CodeDestination         Code = "CLOUDFLARE_ERROR" // whoever the stream is sent on to refuses it; the name is the real cloud's
	CodeInternal            Code = "INTERNAL_ERROR"
)

// The sentences that apps test or show (WIRE d.1, d.2; CONTROL "Camera" 2).
const (
	TextCameraDirect   = "Camera permission required to start video streams"
	TextCameraManaged  = "Camera permission required for managed streams"
	TextGlassesGone    = "Cannot process stream request - smart glasses are not connected"
	TextNoCamera       = "Camera not supported: these glasses have no camera that can stream"
	TextNoWifi         = "Network: smart glasses must be connected to WiFi for this operation"
	TextBusyOtherApp   = "Already streaming: another app is using the camera"
	TextBusyDirect     = "Already streaming: unmanaged stream already active"
	TextManagedActive  = "Cannot start stream: managed stream active"
	TextStartTimeout   = "Stream start timeout: no media received from the glasses"
	TextAckTimeout     = "Stream timed out waiting for keep-alive"
	TextGlassesNetwork = "Network: glasses disconnected"
	TextWaiting        = "Waiting for stream to start..."
	TextLive           = "Stream is now live"
	TextReconnecting   = "Reconnecting…"
)
