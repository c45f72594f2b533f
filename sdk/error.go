package sdk

import (
	"strings"

	"glimpse/protocol"
)

// Error is a refusal by the cloud or a local one: a code for programs and the
// sentence for people, exactly as the cloud said it. Compare it with errors.Is
// and the Err values below.
type Error struct {
	Code    protocol.Code
	Message string
}

// Error is the sentence.
func (e *Error) Error() string {
	if e.Message == "" {
		return "sdk: " + strings.ToLower(strings.ReplaceAll(string(e.Code), "_", " "))
	}
	return e.Message
}

// Is reports whether target is an Error of the same code without a sentence of
// its own, which the Err values are.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Message == "" && t.Code == e.Code
}

// What errors.Is can ask for.
var (
	ErrCameraBusy    error = &Error{Code: protocol.CodeCameraBusy}          // another app or stream has the camera
	ErrManagedActive error = &Error{Code: protocol.CodeManagedActive}       // a direct start while a managed stream runs
	ErrPermission    error = &Error{Code: protocol.CodePermissionDenied}    // the app's registration lacks one
	ErrNoGlasses     error = &Error{Code: protocol.CodeGlassesDisconnected} // none connected
	ErrNoWifi        error = &Error{Code: protocol.CodeWifiNotConnected}    // the glasses need it to stream
	ErrNotFound      error = &Error{Code: protocol.CodeStreamNotFound}      // no stream at an address, or not any more
	ErrInvalidURL    error = &Error{Code: protocol.CodeInvalidURL}
	ErrTimeout       error = &Error{Code: protocol.CodeTimeout} // no media, or no answer, in time
	ErrNetwork       error = &Error{Code: protocol.CodeNetwork} // of the glasses, or of a direct stream's server
	ErrCloud         error = &Error{Code: protocol.CodeCloudService}
	ErrUnauthorized  error = &Error{Code: protocol.CodeInvalidAPIKey}
	ErrStopped       error = &Error{Code: protocol.CodeAppNotStarted} // the session or the stream is over
)

// words are what the documents promise in a sentence, for clouds that send no
// code. The first that fits counts.
var words = []struct {
	text string
	code protocol.Code
}{
	{"managed stream active", protocol.CodeManagedActive},
	{"already streaming", protocol.CodeCameraBusy},
	{"stream already active", protocol.CodeCameraBusy},
	{"camera_busy", protocol.CodeCameraBusy},
	{"permission", protocol.CodePermissionDenied},
	{"invalid url", protocol.CodeInvalidURL},
	{"invalid stream url", protocol.CodeInvalidURL},
	{"timeout", protocol.CodeTimeout},
	{"timed out", protocol.CodeTimeout},
	{"glasses are not connected", protocol.CodeGlassesDisconnected},
	{"wifi", protocol.CodeWifiNotConnected},
	{"network", protocol.CodeNetwork},
	{"cloud service error", protocol.CodeCloudService},
}

// refusal makes an Error of what a status or message says.
func refusal(code, message, fallback string) *Error {
	if message == "" {
		message = fallback
	}
	if code != "" {
		return &Error{Code: protocol.Code(code), Message: message}
	}
	lower := strings.ToLower(message)
	for _, w := range words {
		if strings.Contains(lower, w.text) {
			return &Error{Code: w.code, Message: message}
		}
	}
	return &Error{Code: protocol.CodeInternal, Message: message}
}
