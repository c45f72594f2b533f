package glasses

import (
	"fmt"
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
	wifi     struct{ on bool }
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
	case word == "wifi" && (rest == "on" || rest == "off"):
		return wifi{rest == "on"}, nil
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
)

// onHappening tells the cloud.
func (g *Glasses) onHappening(act any) {
	is := func(typ string) protocol.Envelope { return protocol.Envelope{Type: typ, Timestamp: now()} }
	switch a := act.(type) {
	case notify:
		g.notified++
		g.fromWearer(notification{
			Envelope: is("phone_notification"), ID: "n" + strconv.Itoa(g.notified),
			App: "Messages", Title: "Message", Content: a.text, Priority: "normal",
		})
	case location:
		g.fromWearer(locationUpdate{Envelope: is("location_update"), Lat: a.lat, Lng: a.lng, Accuracy: 5})
	case touch:
		g.fromWearer(touchEvent{Envelope: is("touch_event"), Model: g.cfg.Model, Gesture: a.gesture})
	case head:
		g.fromWearer(headPosition{Envelope: is("head_position"), Position: a.position})
	case wifi:
		g.noWifi = !a.on
		if g.up { // else with the next connection
			g.sendState("CONNECTED")
		}
	}
}
