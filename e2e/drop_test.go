package e2e

import (
	"fmt"
	"syscall"
	"testing"
)

// The wearer's network goes away and comes back, and later another device takes
// over: the same stream goes on under the same links, and apps of every style are
// told of the interruption but not of an end.
//
// F19
func TestWearerDrops(t *testing.T) {
	parallel(t, others)
	const user = "wearer@example.com"
	f := newFour(t, "", "CAMERA")
	c := startCloud(t, f.config+"users:\n  - {id: "+user+"}\n")
	w := c.startGlasses(t, user)
	f.run(t, c, "", always(user))
	h := c.follow(t)
	before := f.share(t)
	wantMoving(t, before.HLS)

	for _, a := range f.apps {
		a.mark()
	}
	w.say("drop 6s")
	for style, a := range f.apps {
		if e := a.status("preparing"); e.Message != "Reconnecting…" {
			t.Errorf("%s was told %q", style, e.Message)
		}
	}
	fetchOK(t, before.HLS)
	for style, a := range f.apps {
		if e := a.status("active"); e.StreamID != before.StreamID || e.HLS != before.HLS {
			t.Errorf("%s: active again with %+v, want %+v", style, e, before)
		}
	}
	wantMovingSoon(t, before.HLS)
	h.await(1, happened{Type: "stream.interrupted", Stream: before.StreamID})
	h.await(1, happened{Type: "stream.resumed", Stream: before.StreamID})

	second := c.startGlasses(t, user)
	w.waitLine(`(?i)superseded by another device`, 0)
	<-w.done
	second.waitLine(`(?i)stream`, 0)
	wantMovingSoon(t, before.HLS)
	f.wantUntold(t)
	if n := h.count(happened{Type: "stream.ended"}) + h.count(happened{Type: "hold.ended"}); n != 0 {
		t.Errorf("the API tells of %d ends", n)
	}
}

// wantMovingSoon is wantMoving of a stream that was interrupted: its newest
// segments may still hold a picture.
func wantMovingSoon(t *testing.T, url string) {
	t.Helper()
	eventually(t, "moving pictures", func() bool { pictures, volume := watch(t, url, 5); return pictures > 5*30*8/10 && volume > -60 })
}

// Direct streams of every style, each of a wearer of its own, to a server that is
// not the cloud's: the network goes away and comes back, and the cloud is killed.
// No app hears of an end, ids and addresses stay, and the stop that follows is
// obeyed.
//
// A4 A7 D18 F13 F19
func TestDirectStreamsGoOn(t *testing.T) {
	parallel(t, others)
	user := func(style string) string { return style + "@example.com" }
	f := newFour(t, "", "CAMERA")
	config, targets := f.config+"users:\n", "streams:\n"
	for _, style := range styles {
		config += "  - {id: " + user(style) + "}\n"
		targets += fmt.Sprintf("  - {name: %s, ingest_key: key-%s, playback_id: id-%s}\n", style, style, style)
	}
	c, target := startCloud(t, config), startCloud(t, targets)
	glasses := map[string]*wearer{}
	for _, style := range styles {
		glasses[style] = c.startGlasses(t, user(style))
	}
	f.run(t, c, "", user)
	ids := map[string]string{}
	arrives := func(style string) bool {
		var list struct {
			Streams []struct{ Name, Status string }
		}
		target.api("GET", "/api/v1/streams", nil, &list)
		for _, s := range list.Streams {
			if s.Name == style {
				return s.Status == "live"
			}
		}
		return false
	}
	goesOn := func(after string) {
		t.Helper()
		for _, style := range styles {
			a, url := f.apps[style], target.rtmp+"/live/key-"+style
			eventually(t, "pictures of "+style+" after "+after, func() bool { return arrives(style) })
			found := a.existing()
			if info := found.StreamInfo; info.Type != "unmanaged" || info.StreamID != ids[style] || info.RTMPURL != url || info.RequestingAppID != a.pkg {
				t.Errorf("%s after %s: a check says %+v", style, after, found)
			}
			if !a.streaming() {
				t.Errorf("%s after %s: the SDK does not believe that it streams", style, after)
			}
		}
		f.wantUntold(t)
	}
	for _, style := range styles {
		a := f.apps[style]
		a.do(nil, "direct", target.rtmp+"/live/key-"+style)
		ids[style] = a.status("active").StreamID
	}
	for style, a := range f.apps {
		a.mark()
		glasses[style].say("drop 6s")
	}
	for style, a := range f.apps {
		_, lost := glasses[style].waitLine(`the network is lost`, 0)
		glasses[style].waitLine(`^connected to the cloud`, lost)
		a.wait("active again", func(e event) bool { return e.Event == "status" && e.Status == "active" && e.StreamID == ids[style] })
	}
	goesOn("a lost network")

	for _, a := range f.apps {
		a.mark()
	}
	c.restart(t, syscall.SIGKILL)
	for style, a := range f.apps {
		if e := a.wait("a word of the stream", func(e event) bool { return e.Event == "status" }); e.Status != "active" || e.StreamID != ids[style] {
			t.Errorf("%s after a kill: told %+v", style, e)
		}
	}
	goesOn("a kill")
	for _, style := range styles {
		a := f.apps[style]
		eventually(t, "the glasses of "+style+" are back", func() bool {
			var w struct{ Glasses bool }
			return c.api("GET", "/api/v1/wearers/"+user(style), nil, &w) == 200 && w.Glasses
		})
		a.mark()
		a.do(nil, "stopDirect")
		a.status("stopped")
		eventually(t, "no more pictures of "+style, func() bool { return !arrives(style) })
	}
}
