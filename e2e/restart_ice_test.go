package e2e

import "testing"

// restartICE is what a page does when its network changed (RFC 9725 §4.3.2).
const restartICE = `(async () => {
	const { pc, location } = window.publisher;
	const before = pc.localDescription.sdp.match(/a=ice-ufrag:(\S+)/)[1];
	pc.restartIce();
	await pc.setLocalDescription();
	const part = (text, key) => text.match(new RegExp('a=' + key + ':(\\S+)'))[1];
	const mine = pc.localDescription.sdp;
	const res = await fetch(location, {
		method: 'PATCH', headers: { 'Content-Type': 'application/trickle-ice-sdpfrag' },
		body: 'a=ice-ufrag:' + part(mine, 'ice-ufrag') + '\r\na=ice-pwd:' + part(mine, 'ice-pwd') + '\r\n',
	});
	const theirs = await res.text();
	if (res.status !== 200) throw new Error(res.status + ' ' + theirs);
	await pc.setRemoteDescription({ type: 'answer', sdp: pc.currentRemoteDescription.sdp
		.replace(/a=ice-ufrag:\S+/g, 'a=ice-ufrag:' + part(theirs, 'ice-ufrag'))
		.replace(/a=ice-pwd:\S+/g, 'a=ice-pwd:' + part(theirs, 'ice-pwd')) });
	return before;
})()`

// A browser that publishes restarts ICE by PATCH: it goes on with its new
// credentials, and the stream is never interrupted.
func TestChromiumRestartsICE(t *testing.T) {
	parallel(t, browsers)
	c := startCloud(t, "")
	s := c.newStream()
	b := startBrowser(t)
	b.camera(c, "camera", s.Ingest["whip"])
	c.wantStatus(s.ID, "live")
	var before string
	b.do(&before, "eval", "camera", restartICE)
	var at struct {
		State, Ufrag string
		Frames       int
	}
	const look = `(async () => {
		const all = [...(await window.publisher.pc.getStats()).values()];
		const transport = all.find((s) => s.type === 'transport'), out = all.find((s) => s.type === 'outbound-rtp' && s.kind === 'video');
		return { State: transport.iceState, Ufrag: transport.iceLocalUsernameFragment, Frames: out.framesSent };
	})()`
	eventually(t, "the new credentials are in use", func() bool {
		b.do(&at, "eval", "camera", look)
		return at.Ufrag != before && (at.State == "connected" || at.State == "completed")
	})
	came := func() int {
		var now struct{ Stats struct{ Frames int } }
		c.api("GET", "/api/v1/streams/"+s.ID, nil, &now)
		return now.Stats.Frames
	}
	sent, whole := at.Frames, came()
	eventually(t, "pictures come after the restart", func() bool {
		b.do(&at, "eval", "camera", look)
		return at.Frames > sent+60 && came() > whole+50
	})
	if n := c.count("stream interrupted|whip publisher left"); n != 0 {
		t.Errorf("the stream was interrupted %d times", n)
	}
}
