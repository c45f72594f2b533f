package glasses

import (
	"bytes"
	"fmt"
	"image"
	"image/jpeg"
	"math"
	"strconv"
	"strings"

	"glimpse/protocol"
)

// What happens to the wearer or their phone, of which the cloud is just told.
type (
	notify   struct{ text string }
	location struct{ lat, lng float64 } // degrees
	touch    struct{ gesture string }
	head     struct{ position string } // "up", "down"
	voice    struct{ on bool }
	photo    struct{}
)

// parseHappening reads the lines that tell of such a thing; nil means another line.
func parseHappening(word, rest string) (any, error) {
	switch {
	case word == "notify" && rest != "":
		return notify{rest}, nil
	case word == "location":
		a, b, _ := strings.Cut(rest, " ")
		lat, latErr := strconv.ParseFloat(a, 64)
		lng, lngErr := strconv.ParseFloat(strings.TrimSpace(b), 64)
		if latErr == nil && lngErr == nil && math.Abs(lat) <= 90 && math.Abs(lng) <= 180 {
			return location{lat, lng}, nil
		}
		return nil, fmt.Errorf("%w: location LAT LNG in degrees, for example: location 48.1 11.6", errUsage)
	case word == "touch" && rest != "" && !strings.ContainsAny(rest, " \t"):
		return touch{rest}, nil
	case word == "head" && (rest == "up" || rest == "down"):
		return head{rest}, nil
	case word == "voice" && (rest == "on" || rest == "off"):
		return voice{rest == "on"}, nil
	case word == "photo" && rest == "":
		return photo{}, nil
	}
	return nil, nil
}

// The messages of phones about these things (WIRE c.2).
type (
	notification struct {
		protocol.Envelope
		ID       string `json:"notificationId"`
		App      string `json:"app"`
		Title    string `json:"title"`
		Content  string `json:"content"`
		Priority string `json:"priority"`
	}
	locationUpdate struct {
		protocol.Envelope
		Lat      float64 `json:"lat"`
		Lng      float64 `json:"lng"`
		Accuracy float64 `json:"accuracy"` // metres
	}
	touchEvent struct {
		protocol.Envelope
		Model   string `json:"device_model"`
		Gesture string `json:"gesture_name"`
	}
	headPosition struct {
		protocol.Envelope
		Position string `json:"position"`
	}
	voiceActivity struct {
		protocol.Envelope
		Status bool `json:"status"`
	}
	photoTaken struct {
		protocol.Envelope
		Data []byte `json:"photoData"`
		MIME string `json:"mimeType"`
	}
	photoRequest struct {
		RequestID string `json:"requestId"`
	}
	photoResponse struct {
		protocol.Envelope
		RequestID string      `json:"requestId"`
		Success   bool        `json:"success"`
		Error     *photoError `json:"error,omitempty"`
	}
	photoError struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	}
)

// onHappening tells the cloud.
func (g *Glasses) onHappening(act any) {
	is := func(typ string) protocol.Envelope { return protocol.Envelope{Type: typ, Timestamp: now()} }
	switch a := act.(type) {
	case notify:
		g.body.notified++
		g.fromWearer(notification{
			Envelope: is("phone_notification"), ID: "n" + strconv.Itoa(g.body.notified),
			App: "Messages", Title: "Message", Content: a.text, Priority: "normal",
		})
	case location:
		g.fromWearer(locationUpdate{Envelope: is("location_update"), Lat: a.lat, Lng: a.lng, Accuracy: 5})
	case touch:
		g.fromGlasses(touchEvent{Envelope: is("touch_event"), Model: g.cfg.Model, Gesture: a.gesture})
	case head:
		g.fromGlasses(headPosition{Envelope: is("head_position"), Position: a.position})
	case voice:
		g.fromGlasses(voiceActivity{Envelope: is("VAD"), Status: a.on})
	case photo:
		g.fromGlasses(photoTaken{Envelope: is("photo_taken"), Data: snapshot(), MIME: "image/jpeg"})
	}
}

// onPhotoRequest answers that there will be no photo: these glasses have a film,
// and nowhere to send pictures of it to.
func (g *Glasses) onPhotoRequest(m *photoRequest) {
	g.link.send(photoResponse{
		Envelope:  protocol.Envelope{Type: "photo_response", Timestamp: now()},
		RequestID: m.RequestID,
		Error:     &photoError{Code: "CAMERA_CAPTURE_FAILED", Message: "simulated glasses take no photos on request"},
	})
}

// snapshot is a small picture, which stands for what the glasses see.
func snapshot() []byte {
	img := image.NewGray(image.Rect(0, 0, 32, 18))
	for i := range img.Pix {
		img.Pix[i] = uint8(i % img.Stride * 8)
	}
	var b bytes.Buffer
	_ = jpeg.Encode(&b, img, nil) // a buffer takes everything
	return b.Bytes()
}
