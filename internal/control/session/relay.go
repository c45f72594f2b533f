package session

import (
	"encoding/json"

	"glimpse/internal/control/events"
	"glimpse/internal/control/subscribe"
	"glimpse/protocol"
)

// relay sends an event of the glasses to every subscriber, each under the
// subscriber's own string.
func (s *Session) relay(stream, detail string, data json.RawMessage) {
	for _, a := range s.apps {
		if a.link == nil || a.state != appRunning {
			continue
		}
		for _, sub := range a.subs.For(stream, detail, a.link.mini) {
			a.link.send(&protocol.DataStream{
				Envelope: s.envelope(protocol.TypeDataStream, a.id), StreamType: sub.Raw, Data: data,
			})
		}
	}
}

// relayAudio sends microphone audio to the apps that subscribed to it.
func (s *Session) relayAudio(audio []byte) {
	for _, a := range s.apps {
		if a.link == nil || a.state != appRunning {
			continue
		}
		if len(a.subs.For(subscribe.Audio, "", false)) > 0 {
			a.link.socket.SendBinary(audio)
		}
	}
}

// capabilitiesUpdate tells an app that runs about another model of glasses.
type capabilitiesUpdate struct {
	protocol.Envelope
	Capabilities *protocol.Capabilities `json:"capabilities"`
	ModelName    string                 `json:"modelName"`
}

// updateDevice changes what is known of the glasses and tells the apps what is
// new in it.
func (s *Session) updateDevice(change func(*device)) {
	before, model, connected := s.device.state(), s.device.model, s.device.connected
	change(&s.device)
	switch {
	case s.device.connected && !connected:
		s.news.Publish(events.Event{Type: events.GlassesConnected, Message: s.device.model})
	case connected && !s.device.connected:
		s.news.Publish(events.Event{Type: events.GlassesLost})
	}
	delta := changed(before, s.device.state())
	if len(delta) == 0 {
		return
	}
	for _, a := range s.apps {
		if a.link != nil {
			if s.device.model != model {
				a.link.send(&capabilitiesUpdate{
					Envelope:     s.envelope("capabilities_update", a.id),
					Capabilities: s.device.capabilities(), ModelName: s.device.model,
				})
			}
			a.link.send(&protocol.DeviceState{
				Envelope: s.envelope(protocol.TypeDeviceState, a.id), State: delta,
			})
		}
	}
}

// appsChanged tells the phone which apps run.
func (s *Session) appsChanged() {
	if s.phone == nil {
		return
	}
	running, loading := s.appNames()
	s.phone.send(&protocol.AppStateChange{
		Envelope: s.envelope(protocol.TypeAppStateChange, s.user),
		UserSession: map[string]any{
			"userId": s.user, "activeAppSessions": nonNil(running), "loadingApps": nonNil(loading),
		},
	})
}

// nonNil makes an empty list [] on the wire, not null.
func nonNil(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

// wishes is what a phone was asked to send for the apps.
type wishes struct {
	mic  string // "off", "text", "sound", "both"; "" before anything was asked
	tier string // how exact places must be; "" likewise
}

// micChange asks the phone for what apps listen to.
type micChange struct {
	protocol.Envelope
	Enabled      bool     `json:"isMicrophoneEnabled"`
	RequiredData []string `json:"requiredData"`
}

// locationTier asks the phone for places as exact and frequent as an app wants.
type locationTier struct {
	protocol.Envelope
	Tier string `json:"tier"`
}

// subscriptionsChanged keeps the phone's microphone on exactly while an app
// listens to speech or sound, and its places as exact as the most curious app
// wants them.
func (s *Session) subscriptionsChanged() {
	if s.phone == nil {
		return
	}
	mic, need := s.wantedSound()
	if mic != s.phone.asked.mic && (mic != "off" || s.phone.asked.mic != "") {
		s.phone.asked.mic = mic
		s.phone.send(&micChange{
			Envelope: s.envelope("microphone_state_change", s.user), Enabled: mic != "off", RequiredData: need,
		})
	}
	tier := s.wantedTier()
	if tier != s.phone.asked.tier && (tier != subscribe.TierLeast || s.phone.asked.tier != "") {
		s.phone.asked.tier = tier
		s.phone.send(&locationTier{Envelope: s.envelope("set_location_tier", s.user), Tier: tier})
	}
}

// wantedSound says what the apps together want to hear, and how phones call it.
func (s *Session) wantedSound() (mic string, need []string) {
	var text, sound bool
	for _, a := range s.apps {
		text = text || a.subs.Has(subscribe.Transcription, subscribe.Translation)
		sound = sound || a.subs.Has(subscribe.Audio, subscribe.Voice)
	}
	switch {
	case text && sound:
		return "both", []string{"pcm", "transcription"}
	case text:
		return "text", []string{"transcription"}
	case sound:
		return "sound", []string{"pcm"}
	}
	return "off", []string{}
}

// wantedTier is the most exact tier of all subscriptions to places.
func (s *Session) wantedTier() string {
	var all []subscribe.Set
	for _, a := range s.apps {
		all = append(all, a.subs)
	}
	return subscribe.MostExact(all...)
}
