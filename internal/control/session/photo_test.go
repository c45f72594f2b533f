package session

import (
	"fmt"
	"testing"
)

// A photo is asked for in the app's name and answered to that app alone.
func TestPhotos(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		phone, glasses := w.phone()
		app, socket := w.run(phone, "com.x.app", true)
		other, otherSocket := w.run(phone, "com.x.other", true)
		w.say(app, `{"type":"photo_request","requestId":"r1","packageName":"com.x.lies","size":"large","compress":"medium","saveToGallery":true,"sound":false}`)
		m := last(t, glasses, "photo_request")
		if m.str("requestId") != "r1" || m.str("appId") != "com.x.app" || m.str("webhookUrl") != "http://app/photo-upload" ||
			m.str("size") != "large" || m.str("compress") != "medium" || m["saveToGallery"] != true || m["sound"] != false || m.str("sessionId") != wearer {
			t.Errorf("the glasses are asked %v", m)
		}
		w.say(app, `{"type":"photo_request","requestId":"r2","customWebhookUrl":"https://app.example/up","authToken":"t"}`)
		if m := last(t, glasses, "photo_request"); m.str("webhookUrl") != "https://app.example/up" || m.str("authToken") != "t" || m["customWebhookUrl"] != nil {
			t.Errorf("with an address of the app's own: %v", m)
		}

		// Another app cannot take the id over, and nobody else hears the answer.
		w.say(other, `{"type":"photo_request","requestId":"r1"}`)
		w.say(phone, `{"type":"photo_response","requestId":"r1","success":true,"photoUrl":"https://x/p.jpg","savedToGallery":true}`)
		if m := last(t, socket, "photo_response"); m.str("requestId") != "r1" || m["success"] != true || m.str("photoUrl") != "https://x/p.jpg" || m["savedToGallery"] != true {
			t.Errorf("answer %v", m)
		}
		w.say(phone, `{"type":"photo_response","requestId":"r1","success":true}`, `{"type":"photo_response","requestId":"unknown","success":true}`)
		w.say(phone, `{"type":"photo_response","requestId":"r2","success":false,"error":{"code":"CAMERA_BUSY","message":"busy"}}`)
		answers := socket.got("photo_response")
		if len(answers) != 2 || answers[1]["success"] != false || answers[1]["error"].(map[string]any)["code"] != "CAMERA_BUSY" {
			t.Errorf("answers %v", answers)
		}
		if n := len(otherSocket.got("photo_response")); n != 0 {
			t.Errorf("another app heard of %d photos", n)
		}

		// What cannot be is said at once, where an app waits for it.
		blind, blindSocket := w.run(phone, "com.x.blind", true)
		w.say(blind, `{"type":"photo_request","requestId":"r3"}`)
		if m := last(t, blindSocket, "photo_response"); m["success"] != false || m["error"].(map[string]any)["code"] != "permission_denied" {
			t.Errorf("without the permission: %v", m)
		}
		w.say(phone, `{"type":"glasses_connection_state","status":"DISCONNECTED"}`)
		w.say(app, `{"type":"photo_request","requestId":"r4"}`, `{"type":"photo_request"}`)
		if m := last(t, socket, "photo_response"); m.str("requestId") != "r4" || m["error"].(map[string]any)["code"] != "GLASSES_DISCONNECTED" {
			t.Errorf("without glasses: %v", m)
		}

		// A flood of requests is forgotten, oldest first.
		w.say(phone, `{"type":"glasses_connection_state","status":"CONNECTED"}`)
		for i := range maxPhotos + 1 {
			w.say(app, fmt.Sprintf(`{"type":"photo_request","requestId":"f%d"}`, i))
		}
		socket.forget()
		w.say(phone, `{"type":"photo_response","requestId":"f0"}`, `{"type":"photo_response","requestId":"f1"}`)
		if answers := socket.got("photo_response"); len(answers) != 1 || answers[0].str("requestId") != "f1" {
			t.Errorf("after a flood: %v", answers)
		}
	})
}
