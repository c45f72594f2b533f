package session

import (
	"maps"
	"slices"
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
	streams   []string          // how they can publish, the best first; nil until they said
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
	if c.Camera != nil && d.streams != nil {
		c.Camera.Video.SupportedStreamTypes = d.streams
	}
	return &c
}

// streamTypes are the known ways to publish, the best first: WebRTC adapts to a
// network and is live soonest, SRT repairs what it loses, RTMP waits.
func streamTypes() []string { return []string{"webrtc", "srt", "rtmps", "rtmp"} }

// known is what we know of the words in which glasses name their ways to publish,
// each once, in their order; nil when there is none.
func known(types []string) []string {
	var list []string
	for _, t := range types {
		if slices.Contains(streamTypes(), t) && !slices.Contains(list, t) {
			list = append(list, t)
		}
	}
	return list
}

// ingest is the order in which ways to publish to us are offered to the glasses:
// theirs, or for a model that says nothing of it the best first. A stream that is
// sent on to platforms comes by SRT when they can.
func (d *device) ingest(restream bool) []string {
	order := d.streams
	if order == nil {
		c := d.capabilities()
		order = streamTypes()
		if c != nil && c.Camera != nil {
			can := c.Camera.Video.SupportedStreamTypes
			order = slices.DeleteFunc(order, func(t string) bool { return !slices.Contains(can, t) })
		}
	}
	if i := slices.Index(order, "srt"); restream && i > 0 {
		order = slices.Concat([]string{"srt"}, order[:i], order[i+1:])
	}
	return order
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
