package e2e

import (
	"strings"
	"testing"
)

// The sockets of apps of every style break. Each comes back by itself with the
// same session: a start that was pending then resolves, a running stream is held
// and told again, an end that came meanwhile is told once, and nothing is asked
// to start anew.
//
// C7 E34
func TestAppSocketsBreak(t *testing.T) {
	parallel(t, others)
	const user = "wearer@example.com"
	f := newFour(t, "", "CAMERA")
	c := startCloud(t, f.config+"users:\n  - {id: "+user+"}\n")
	p := startProxy(t, c)
	phone := p.through(c).rawGlasses(t, user, false) // apps get the address by which the phone came
	f.run(t, c, "", always(user))
	h := c.follow(t)
	back := func(times int) {
		t.Helper()
		p.cut("/app-ws")
		for _, style := range styles {
			h.await(times, happened{Type: "app.reconnected", App: f.apps[style].pkg})
		}
	}

	pending := map[string]int{}
	for _, style := range styles {
		pending[style] = f.apps[style].send("managed", map[string]any{})
		f.apps[style].status("initializing")
	}
	back(1)
	publish(t, phone.newest("start_stream").StreamURL)
	var links urls
	for i, style := range styles {
		e := f.apps[style].result(pending[style])
		if e.Error != "" {
			t.Fatalf("%s: a start that was pending when the socket broke: %s", style, e.Error)
		}
		var u urls
		if decode(t, e.Result, &u); i == 0 {
			links = u
		} else if u != links {
			t.Errorf("%s got %+v, the first %+v", style, u, links)
		}
	}

	for _, a := range f.apps {
		a.existing()
		a.mark()
	}
	back(2)
	for style, a := range f.apps {
		if e := a.status("active"); e.StreamID != links.StreamID || e.HLS != links.HLS {
			t.Errorf("%s goes on with %+v, want %+v", style, e, links)
		}
		if found := a.existing(); found.StreamInfo.StreamID != links.StreamID {
			t.Errorf("%s finds %+v", style, found)
		}
		if e := a.result(a.send("managed", map[string]any{})); !strings.Contains(e.Error, "Already streaming") {
			t.Errorf("%s: a second start after a reconnect: %+v", style, e)
		}
	}
	f.wantUntold(t)

	p.refuse("/app-ws", true)
	p.cut("/app-ws")
	for _, style := range styles {
		h.await(3, happened{Type: "app.disconnected", App: f.apps[style].pkg})
	}
	if code := c.api("DELETE", "/api/v1/streams/"+links.StreamID, nil, nil); code >= 300 {
		t.Fatalf("end the stream: %d", code)
	}
	h.await(1, happened{Type: "stream.ended"})
	p.refuse("/app-ws", false)
	for style, a := range f.apps {
		a.status("stopped")
		if a.existing().HasActiveStream || a.streaming() {
			t.Errorf("%s: a stream is left", style)
		}
		if n := a.count(`^@\{"event":"status","kind":"managed".*"status":"stopped"`); n != 1 {
			t.Errorf("%s was told %d times that it has stopped", style, n)
		}
		f.wantSameSession(t, style)
	}
	for typ, want := range map[string]int{"stream.began": 1, "stream.ended": 1, "hold.began": 4, "hold.ended": 4, "app.resurrected": 0} {
		if n := h.count(happened{Type: typ}); n != want {
			t.Errorf("%d times %s, want %d", n, typ, want)
		}
	}
}

// A newer phone of the wearer takes over a stream of every style, managed or
// direct: the old one is told to stop, why, and is closed with 1000; the new one
// is told to start the same stream under the same key. What the old one says late
// changes nothing, and apps hear of no end.
//
// B33
func TestPhoneReplaced(t *testing.T) {
	parallel(t, others)
	const user = "wearer@example.com"
	f := newFour(t, "", "CAMERA")
	c := startCloud(t, f.config+"users:\n  - {id: "+user+"}\n")
	phone := c.rawGlasses(t, user, false)
	f.run(t, c, "", always(user))
	replace := func() {
		t.Helper()
		old := phone
		want := old.newest("start_stream")
		phone = c.rawGlasses(t, user, false)
		if code := old.closed(); code != 1000 {
			t.Errorf("the old phone was closed with %d", code)
		}
		told := old.kinds[max(0, len(old.kinds)-2):] // it reads no more
		if strings.Join(told, " ") != "stop_stream connection_error" || old.newest("stop_stream").StreamID != want.StreamID ||
			!strings.Contains(old.newest("connection_error").Message, "superseded by another device") {
			t.Errorf("the old phone was told %v: %+v", old.kinds, old.last)
		}
		if got := phone.first("start_stream"); got.StreamID != want.StreamID || got.StreamURL != want.StreamURL || got.AppID != want.AppID {
			t.Errorf("the new phone was told %+v, want %+v", got, want)
		}
	}

	first := f.apps["sdk2"].send("managed", map[string]any{})
	camera := publish(t, phone.first("start_stream").StreamURL)
	if e := f.apps["sdk2"].result(first); e.Error != "" {
		t.Fatal(e.Error)
	}
	links := urls{}
	for _, style := range styles[1:] {
		f.apps[style].do(&links, "managed", map[string]any{})
	}
	replace()
	camera.stop()
	publish(t, phone.newest("start_stream").StreamURL)
	wantMovingSoon(t, links.HLS)
	for style, a := range f.apps {
		if found := a.existing(); found.StreamInfo.StreamID != links.StreamID {
			t.Errorf("%s finds %+v", style, found)
		}
	}
	f.wantUntold(t)
	f.leave(t, links)
	eventually(t, "the new phone is told to stop", func() bool { return phone.count("stop_stream") == 1 })

	for _, style := range styles {
		a := f.apps[style]
		a.mark()
		before := phone.count("start_stream")
		a.do(nil, "direct", "rtmp://127.0.0.1:9/live/of-"+style)
		a.status("initializing")
		eventually(t, "start_stream", func() bool { return phone.count("start_stream") > before })
		phone.send(`{"type":"stream_status","streamId":"` + phone.started() + `","status":"streaming"}`)
		a.status("active")
		replace()
		phone.send(`{"type":"stream_status","streamId":"` + phone.started() + `","status":"stopped"}`) // of the one before
		phone.send(`{"type":"stream_status","streamId":"` + phone.started() + `","status":"streaming"}`)
		if found := a.existing(); found.StreamInfo.StreamID != phone.started() || found.StreamInfo.RequestingAppID != a.pkg {
			t.Errorf("%s finds %+v", style, found)
		}
		stopped := a.count(`"status":"(stopped|error|timeout)"`)
		a.do(nil, "stopDirect")
		a.status("stopped")
		eventually(t, "stop_stream", func() bool { return phone.count("stop_stream") > 0 })
		if n := a.count(`"status":"(stopped|error|timeout)"`); n != stopped+1 && style != "mini" { // mini's test app listens twice
			t.Errorf("%s was told %d ends of the direct stream", style, n-stopped)
		}
		f.wantSameSession(t, style)
	}
}
