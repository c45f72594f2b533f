package session

import (
	"context"
	"encoding/json"
	"maps"

	"glimpse/protocol"
)

// maxDetail bounds a text about the glasses, in bytes.
const maxDetail = 256

// detail is the kind of value that a key of a device state has.
type detail int

const (
	detailText detail = iota + 1
	detailNumber
	detailFlag
)

// details are the keys that phones send about glasses and that apps are told
// beside those that the session itself looks at (WIRE a.2). The password of the
// glasses' hotspot is not among them: apps would all learn it.
func details() map[string]detail {
	return map[string]detail{
		"androidVersion": detailText, "fwVersion": detailText, "buildNumber": detailText, "appVersion": detailText,
		"otaVersionUrl": detailText, "bluetoothName": detailText, "serialNumber": detailText,
		"style": detailText, "color": detailText,
		"wifiLocalIp": detailText, "hotspotSsid": detailText, "hotspotGatewayIp": detailText, "hotspotEnabled": detailFlag,
		"caseBatteryLevel": detailNumber, "caseCharging": detailFlag, "caseOpen": detailFlag, "caseRemoved": detailFlag,
	}
}

// read returns a value of the kind, nil when raw is none.
func (d detail) read(raw json.RawMessage) any {
	var text string
	var number float64
	var flag bool
	switch {
	case string(raw) == "null":
	case d == detailText && json.Unmarshal(raw, &text) == nil && len(text) <= maxDetail:
		return text
	case d == detailNumber && json.Unmarshal(raw, &number) == nil:
		return number
	case d == detailFlag && json.Unmarshal(raw, &flag) == nil:
		return flag
	}
	return nil
}

// UpdateDevice takes from user's phone the keys of the glasses' state that have
// changed (WIRE b.3), as glasses_connection_state on the socket does, and
// returns what is known of connection, model and abilities. Glasses with a
// model are connected unless connected says otherwise; a model of null means
// that they are not. Keys that are not known, and null elsewhere, are ignored.
// Refusals are *Refusal: CodeSessionNotFound for a user without a session,
// CodeMalformedMessage for a value of the wrong type.
func (r *Registry) UpdateDevice(ctx context.Context, user string, patch map[string]json.RawMessage) (map[string]any, error) {
	change, err := readPatch(patch)
	if err != nil {
		return nil, err
	}
	noSession := &Refusal{protocol.CodeSessionNotFound, "No active session found"}
	s := r.lookup(user)
	if s == nil {
		return nil, noSession
	}
	var applied map[string]any
	var refused error
	err = s.do(ctx, func() {
		if change.connects() && change.Model == nil && s.device.model == "" {
			refused = &Refusal{protocol.CodeMalformedMessage, "modelName required when connected=true"}
			return
		}
		s.updateDevice(change.apply)
		s.deviceNow(false)
		applied = map[string]any{
			"connected": s.device.connected, "modelName": s.device.model, "capabilities": s.device.capabilities(),
		}
	})
	switch {
	case refused != nil:
		return nil, refused
	case err != nil && ctx.Err() == nil: // it has just ended
		return nil, noSession
	}
	return applied, err
}

// devicePatch is a partial device state; nil means unchanged.
type devicePatch struct {
	Connected     *bool    `json:"connected"`
	Model         *string  `json:"modelName"`
	WifiConnected *bool    `json:"wifiConnected"`
	WifiSSID      *string  `json:"wifiSsid"`
	BatteryLevel  *float64 `json:"batteryLevel"`
	Charging      *bool    `json:"charging"`

	details map[string]any
}

// readPatch checks the types of a patch.
func readPatch(patch map[string]json.RawMessage) (*devicePatch, error) {
	wrong := &Refusal{protocol.CodeMalformedMessage, "A value of the device state has the wrong type"}
	whole, err := json.Marshal(patch)
	if err != nil {
		return nil, wrong
	}
	p := &devicePatch{details: make(map[string]any)}
	if json.Unmarshal(whole, p) != nil {
		return nil, wrong
	}
	for _, text := range []*string{p.Model, p.WifiSSID} {
		if text != nil && len(*text) > maxDetail {
			return nil, wrong
		}
	}
	if model, there := patch["modelName"]; there && p.Connected == nil {
		on := string(model) != "null" && string(model) != `""`
		p.Connected = &on
	}
	if p.Model != nil && *p.Model == "" {
		p.Model = nil
	}
	for key, kind := range details() {
		raw, there := patch[key]
		if !there || string(raw) == "null" {
			continue
		}
		if p.details[key] = kind.read(raw); p.details[key] == nil {
			return nil, wrong
		}
	}
	return p, nil
}

func (p *devicePatch) connects() bool { return p.Connected != nil && *p.Connected }

// apply changes what is known. What messages of the phone brought is shared
// with nobody but replaced all the same: a state that was read stays as it is.
func (p *devicePatch) apply(d *device) {
	set(&d.connected, p.Connected)
	set(&d.model, p.Model)
	if p.WifiConnected != nil || (p.WifiSSID != nil && d.wifi != nil) { // a name alone says nothing
		var wifi protocol.Wifi
		set(&wifi, d.wifi)
		set(&wifi.Connected, p.WifiConnected)
		set(&wifi.SSID, p.WifiSSID)
		d.wifi = &wifi
	}
	if p.BatteryLevel != nil || (p.Charging != nil && d.battery != nil) {
		var battery protocol.Battery
		set(&battery, d.battery)
		set(&battery.Level, p.BatteryLevel)
		set(&battery.Charging, p.Charging)
		d.battery = &battery
	}
	if len(p.details) > 0 {
		all := maps.Clone(p.details)
		for key, value := range d.details {
			if _, newer := all[key]; !newer {
				all[key] = value
			}
		}
		d.details = all
	}
}

// set takes a value that is there.
func set[T any](to *T, value *T) {
	if value != nil {
		*to = *value
	}
}
