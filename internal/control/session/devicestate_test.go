package session

import (
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"glimpse/protocol"
)

// What a phone tells by REST reaches apps as what changed, and gates the camera.
func TestDeviceStateByREST(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		phone, _ := w.phone()
		_, socket := w.run(phone, "com.x.app", false)
		for _, c := range []struct {
			name, patch string
			want        map[string]any // that apps are told; nil for nothing
		}{
			{"wifi lost", `{"wifiConnected":false,"wifiSsid":""}`, map[string]any{"wifiConnected": false, "wifiSsid": ""}},
			{"the same again", `{"wifiConnected":false}`, nil},
			{"wifi back", `{"wifiConnected":true,"wifiSsid":"lab","timestamp":"2026-01-11T20:35:12Z"}`, map[string]any{"wifiConnected": true, "wifiSsid": "lab"}},
			{"charging of an unknown battery", `{"charging":true}`, nil},
			{"battery", `{"batteryLevel":88,"charging":false}`, map[string]any{"batteryLevel": 88.0, "charging": false}},
			{"charging", `{"charging":true}`, map[string]any{"charging": true}},
			{"case and versions", `{"caseBatteryLevel":50,"caseOpen":true,"fwVersion":"1.2"}`,
				map[string]any{"caseBatteryLevel": 50.0, "caseOpen": true, "fwVersion": "1.2"}},
			{"one of them", `{"caseOpen":false}`, map[string]any{"caseOpen": false}},
			{"secrets, strange keys and null", `{"hotspotPassword":"secret","x":{"y":[1]},"fwVersion":null,"batteryLevel":null}`, nil},
			{"glasses off", `{"connected":false,"modelName":null}`, map[string]any{"connected": false}},
			{"glasses on, told by the model", `{"modelName":"Even Realities G1"}`, map[string]any{"connected": true, "modelName": "Even Realities G1"}},
			{"glasses off, told by no model", `{"modelName":null}`, map[string]any{"connected": false}},
		} {
			socket.forget()
			var patch map[string]json.RawMessage
			if err := json.Unmarshal([]byte(c.patch), &patch); err != nil {
				t.Fatal(err)
			}
			state, err := w.reg.UpdateDevice(w.ctx, wearer, patch)
			if err != nil || state["modelName"] == "" {
				t.Errorf("%s: %v, %v", c.name, state, err)
			}
			synctest.Wait()
			got := map[string]any{}
			for _, m := range socket.got(protocol.TypeDeviceState) {
				maps.Copy(got, m["state"].(map[string]any))
			}
			if !maps.Equal(got, c.want) {
				t.Errorf("%s: apps are told %v, want %v", c.name, got, c.want)
			}
		}
		app, socket := w.connect("com.x.app", false) // a whole snapshot has it all
		state := last(t, socket, protocol.TypeDeviceState)["state"].(map[string]any)
		if state["fwVersion"] != "1.2" || state["caseOpen"] != false || state["batteryLevel"] != 88.0 || state["hotspotPassword"] != nil {
			t.Errorf("snapshot %v", state)
		}
		w.say(app, `{"type":"managed_stream_request"}`)
		if status := last(t, socket, protocol.TypeManagedStatus); !strings.Contains(status.str("message"), "not connected") {
			t.Errorf("camera of glasses that are off: %v", status)
		}
	})
}

func TestDeviceStateRefusals(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		update := func(user, patch string) protocol.Code {
			t.Helper()
			var m map[string]json.RawMessage
			if err := json.Unmarshal([]byte(patch), &m); err != nil {
				t.Fatal(err)
			}
			_, err := w.reg.UpdateDevice(w.ctx, user, m)
			var refusal *Refusal
			if err != nil && !errors.As(err, &refusal) {
				t.Fatal(err)
			}
			if refusal == nil {
				return ""
			}
			return refusal.Code
		}
		if code := update(wearer, `{"charging":true}`); code != protocol.CodeSessionNotFound {
			t.Errorf("without a session: %q", code)
		}
		link, err := w.reg.AttachPhone(w.ctx, wearer, base, &fakeSocket{})
		if err != nil {
			t.Fatal(err)
		}
		for _, patch := range []string{
			`{"connected":true}`, `{"connected":true,"modelName":""}`, `{"connected":"yes"}`, `{"batteryLevel":"full"}`, `{"modelName":7}`,
			`{"modelName":"` + strings.Repeat("m", maxDetail+1) + `"}`, `{"fwVersion":7}`, `{"caseOpen":"yes"}`, `{"caseBatteryLevel":"x"}`,
			`{"fwVersion":"` + strings.Repeat("m", maxDetail+1) + `"}`,
		} {
			if code := update(wearer, patch); code != protocol.CodeMalformedMessage {
				t.Errorf("%.40s: %q", patch, code)
			}
		}
		if code := update(wearer, `{"connected":true,"modelName":"Mentra Live"}`); code != "" {
			t.Errorf("refused: %s", code)
		}
		link.Gone(w.ctx)
		time.Sleep(2 * time.Minute) // of the fake clock: the session is over
		if code := update(wearer, `{"charging":true}`); code != protocol.CodeSessionNotFound {
			t.Errorf("after the session: %q", code)
		}
	})
}

// FuzzDevicePatch applies any patch: what comes of it must be a state that apps
// can be told.
func FuzzDevicePatch(f *testing.F) {
	for _, seed := range []string{
		`{"connected":true,"modelName":"Mentra Live"}`, `{"modelName":null}`, `{"batteryLevel":1e308,"charging":null}`,
		`{"wifiConnected":true,"wifiSsid":"\ud800"}`, `{"caseOpen":true,"fwVersion":"1","hotspotPassword":"x"}`, `{"":{},"x":[[1]]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var patch map[string]json.RawMessage
		if Decode(raw, &patch) != nil {
			return
		}
		p, err := readPatch(patch)
		if err != nil {
			return
		}
		var d device
		p.apply(&d)
		before := d.state()
		p.apply(&d)
		if delta := changed(before, d.state()); len(delta) != 0 {
			t.Errorf("the same patch again changes %v", delta)
		}
		if _, err := json.Marshal(before); err != nil {
			t.Error(err)
		}
	})
}

func TestDeviceState(t *testing.T) {
	d := device{phone: true, connected: true, model: "Mentra Live"}
	before := d.state()
	d.wifi = &protocol.Wifi{Connected: true, SSID: "lab"}
	d.battery = &protocol.Battery{Level: 88}
	delta := changed(before, d.state())
	want := map[string]any{"wifiConnected": true, "wifiSsid": "lab", "batteryLevel": 88.0, "charging": false}
	if len(delta) != len(want) {
		t.Errorf("delta %v, want %v", delta, want)
	}
	for key, value := range want {
		if delta[key] != value {
			t.Errorf("%s is %v, want %v", key, delta[key], value)
		}
	}
	if again := changed(d.state(), d.state()); len(again) != 0 {
		t.Errorf("no change gives %v", again)
	}
	for model, camera := range map[string]bool{
		"Mentra Live": true, "Simulated Live": true, "Even Realities G1": false, "Vuzix Z100": false, "Something New": true,
	} {
		if c := capabilitiesOf(model); c.HasCamera != camera || (c.Camera != nil) != camera {
			t.Errorf("%s has a camera: %v", model, c.HasCamera)
		}
	}
}
