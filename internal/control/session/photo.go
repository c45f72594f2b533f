package session

import (
	"encoding/json"
	"slices"

	"glimpse/internal/control/apps"
	"glimpse/protocol"
)

// Types of messages about photos (WIRE a.6, c.2, c.3).
const (
	typePhotoRequest  = "photo_request"
	typePhotoResponse = "photo_response"
)

// Bounds of an app's photos that the glasses have not answered yet.
const (
	maxPhotos  = 16
	maxPhotoID = 128 // bytes of a requestId
)

// photoRequest asks for a picture. Apps name the address to which the phone
// uploads it as customWebhookUrl, phones read it as webhookUrl.
type photoRequest struct {
	protocol.Envelope
	RequestID string          `json:"requestId"`
	AppID     string          `json:"appId"`
	Custom    string          `json:"customWebhookUrl,omitempty"`
	Webhook   string          `json:"webhookUrl,omitempty"`
	AuthToken string          `json:"authToken,omitempty"` // of the upload; for the phone alone
	Gallery   bool            `json:"saveToGallery"`
	Size      string          `json:"size,omitempty"`
	Compress  string          `json:"compress,omitempty"`
	Sound     *bool           `json:"sound,omitempty"`
	Exposure  json.RawMessage `json:"exposureTimeNs,omitempty"`
}

// photoResponse is the glasses' answer, passed on to the app that asked.
type photoResponse struct {
	protocol.Envelope
	RequestID string          `json:"requestId"`
	Success   bool            `json:"success"`
	URL       string          `json:"photoUrl,omitempty"`
	Width     float64         `json:"width,omitempty"`
	Height    float64         `json:"height,omitempty"`
	Gallery   bool            `json:"savedToGallery,omitempty"`
	Error     json.RawMessage `json:"error,omitempty"`
}

// photo passes an app's request on to the glasses, which need the permission and
// somebody to take the picture. A refusal is an answer: MiniAppServer waits for
// one; older SDKs hear of photos by their upload address and only log it.
func (l *AppLink) photo(m *photoRequest) {
	s, a := l.session, l.app
	code, text := protocol.Code(""), ""
	switch {
	case m.RequestID == "" || len(m.RequestID) > maxPhotoID || s.photographer(m.RequestID) != nil:
		return // nobody could tell whose answer it is
	case !a.app.Allowed(apps.PermissionCamera):
		code, text = "permission_denied", "Camera permission required to take photos" // the code that SDKs look for
	case s.phone == nil || !s.device.connected:
		code, text = protocol.CodeGlassesDisconnected, protocol.TextGlassesGone
	}
	if code != "" {
		reason, err := json.Marshal(map[string]string{"code": string(code), "message": text})
		if err == nil { // plain strings always can be written
			l.send(&photoResponse{Envelope: s.envelope(typePhotoResponse, a.id), RequestID: m.RequestID, Error: reason})
		}
		return
	}
	if len(a.photos) == maxPhotos {
		a.photos = slices.Delete(a.photos, 0, 1)
	}
	a.photos = append(a.photos, m.RequestID)
	m.Envelope, m.AppID = s.envelope(typePhotoRequest, s.user), a.app.Package
	if m.Webhook, m.Custom = m.Custom, ""; m.Webhook == "" {
		m.Webhook = a.app.URL + "/photo-upload"
	}
	s.phone.send(m)
}

// photographer is the app that waits for the photo, nil when none does.
func (s *Session) photographer(requestID string) *appSession {
	for _, a := range s.apps {
		if slices.Contains(a.photos, requestID) {
			return a
		}
	}
	return nil
}

// photoTaken gives the glasses' answer to the app that asked, and to nobody else.
func (l *PhoneLink) photoTaken(m *photoResponse) {
	s := l.session
	a := s.photographer(m.RequestID)
	if a == nil {
		return
	}
	a.photos = slices.DeleteFunc(a.photos, func(id string) bool { return id == m.RequestID })
	if a.link != nil {
		m.Envelope = s.envelope(typePhotoResponse, a.id)
		a.link.send(m)
	}
}
