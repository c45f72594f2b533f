package config

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestChanged(t *testing.T) {
	old, other := Default(), Default()
	if names := old.Changed(other); names != nil {
		t.Errorf("two equal configurations differ in %v", names)
	}
	other.LogLevel, other.HTTP.PublicURL, other.WebRTC.Hosts = "debug", "http://x.test", []string{"x.test"}
	other.Apps, other.Outbound.AllowPrivate = []App{{Package: "a"}}, true
	want := []string{"log_level", "http.public_url", "webrtc.hosts", "apps", "outbound.allow_private"}
	if diff := cmp.Diff(want, old.Changed(other)); diff != "" {
		t.Error(diff)
	}
}
