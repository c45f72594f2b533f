package session

import (
	"maps"
	"strings"

	"glimpse/protocol"
)

// device is what a wearer's phone has told about the glasses.
type device struct {
	phone     bool // a phone socket is up
	connected bool // the phone says that the glasses are connected
	model     string
	wifi      *protocol.Wifi    // nil until the glasses spoke of it
	battery   *protocol.Battery // likewise
	details   map[string]any    // what else a phone told; replaced, never changed
}

// state is the device_state_update as apps read it (WIRE a.2).
func (d *device) state() map[string]any {
	state := map[string]any{"connected": d.phone && d.connected}
	if d.model != "" {
		state["modelName"] = d.model
	}
	if d.wifi != nil {
		state["wifiConnected"] = d.wifi.Connected
		state["wifiSsid"] = d.wifi.SSID
	}
	if d.battery != nil {
		state["batteryLevel"] = d.battery.Level
		state["charging"] = d.battery.Charging
	}
	maps.Copy(state, d.details)
	return state
}

// changed is what differs between two states; keys never vanish.
func changed(before, after map[string]any) map[string]any {
	delta := make(map[string]any)
	for key, value := range after {
		if old, had := before[key]; !had || old != value {
			delta[key] = value
		}
	}
	return delta
}

// capabilities describes the connected model, nil while none is known.
func (d *device) capabilities() *protocol.Capabilities {
	if d.model == "" {
		return nil
	}
	c := capabilitiesOf(d.model)
	return &c
}

// capabilitiesOf describes a model of glasses. A model that we do not know is
// taken to have everything: better a clear error from the glasses than a
// refusal of a camera that is there.
func capabilitiesOf(model string) protocol.Capabilities {
	c := protocol.Capabilities{
		ModelName: model, HasCamera: true, HasDisplay: true, HasMicrophone: true, HasSpeaker: true, HasWifi: true,
	}
	name := strings.ToLower(model)
	switch {
	case strings.Contains(name, "live"): // Mentra Live and its simulation: no display
		c.HasDisplay = false
	case strings.Contains(name, "even realities"), strings.Contains(name, "g1"):
		c.HasCamera, c.HasSpeaker, c.HasWifi = false, false, false
	case strings.Contains(name, "vuzix"), strings.Contains(name, "z100"), strings.Contains(name, "mach1"):
		c.HasCamera, c.HasMicrophone, c.HasSpeaker, c.HasWifi = false, false, false, false
	}
	if c.HasCamera {
		c.Camera = &protocol.CameraCapabilities{
			Resolution: protocol.Resolution{Width: 1920, Height: 1080},
			Video: protocol.VideoCapabilities{
				CanRecord: true, CanStream: true,
				SupportedStreamTypes: []string{"rtmp", "srt", "webrtc"},
			},
		}
	}
	return c
}
