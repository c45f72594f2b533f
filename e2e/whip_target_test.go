package e2e

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// whipTarget is a WHIP endpoint on HTTPS whose WebRTC is Chromium's: the page
// answers the offer, plays what comes and counts it.
type whipTarget struct {
	t       *testing.T
	browser *browser
	deleted atomic.Int32
}

// startWHIPTarget returns the endpoint, its URL and its certificate's file.
func startWHIPTarget(t *testing.T) (target *whipTarget, url, authority string) {
	t.Helper()
	dir := t.TempDir()
	authority, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	selfSigned(t, authority, key)
	certificate, err := tls.LoadX509KeyPair(authority, key)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	target = &whipTarget{t: t, browser: startBrowser(t)}
	target.browser.do(nil, "open", "sink", "about:blank")
	srv := &http.Server{Handler: target}
	go srv.Serve(tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{certificate}}))
	t.Cleanup(func() { srv.Close() })
	return target, fmt.Sprintf("https://%s/publish/a-secret", l.Addr()), authority
}

// answerOffer is run in the page.
const answerOffer = `(async (offer) => {
	const pc = window.pc = new RTCPeerConnection();
	const video = document.createElement('video');
	document.body.append(video);
	video.srcObject = new MediaStream();
	pc.ontrack = (e) => { video.srcObject.addTrack(e.track); video.play(); };
	await pc.setRemoteDescription({type: 'offer', sdp: offer});
	await pc.setLocalDescription();
	while (pc.iceGatheringState !== 'complete') await new Promise((r) => setTimeout(r, 20));
	return pc.localDescription.sdp;
})(%s)`

func (w *whipTarget) ServeHTTP(res http.ResponseWriter, req *http.Request) {
	switch {
	case req.Method == http.MethodDelete && req.URL.Path == "/resource/1":
		w.deleted.Add(1)
		return
	case req.Method != http.MethodPost || req.URL.Path != "/publish/a-secret":
		http.NotFound(res, req)
		return
	}
	offer, err := io.ReadAll(req.Body)
	if err != nil {
		w.t.Error(err)
	}
	quoted, err := json.Marshal(string(offer))
	if err != nil {
		w.t.Error(err)
	}
	var answer string
	if msg := w.browser.try(&answer, "eval", "sink", fmt.Sprintf(answerOffer, quoted)); msg != "" {
		w.t.Errorf("Chromium refused the offer: %s\n%s", msg, offer)
		res.WriteHeader(http.StatusBadRequest)
		return
	}
	res.Header().Set("Content-Type", "application/sdp")
	res.Header().Set("Location", "/resource/1")
	res.WriteHeader(http.StatusCreated)
	io.WriteString(res, answer)
}

// decoded is what Chromium has decoded so far.
type decoded struct {
	Pictures, Width, Height int
	Codec                   string
	Sound                   float64
}

const countReceived = `(async () => {
	const stats = [...(await window.pc.getStats()).values()];
	const of = (kind) => stats.find((s) => s.type === 'inbound-rtp' && s.kind === kind) ?? {};
	const v = of('video'), a = of('audio');
	const codec = stats.find((s) => s.id === v.codecId)?.mimeType ?? '';
	return {Pictures: v.framesDecoded ?? 0, Width: v.frameWidth ?? 0, Height: v.frameHeight ?? 0, Codec: codec, Sound: a.totalAudioEnergy ?? 0};
})()`

// An app sends the glasses to an https target, which is WHIP: Chromium decodes
// their H.264 as it is and hears their Opus; at the end the resource is deleted. A
// target that does not know the stream is an error in a sentence, without its path.
//
// D15
func TestDirectByWHIP(t *testing.T) {
	parallel(t, browsers)
	const user, pkg = "wearer@example.com", "com.example.whip"
	port := freePort(t)
	c := startCloud(t, "apps:\n"+appConfig(pkg, port, "CAMERA")+"users:\n  - {id: "+user+"}\n")
	target, url, authority := startWHIPTarget(t)
	c.startGlasses(t, user, "--ca", authority)
	a := startApp(t, "alpha", pkg, port)
	c.startSession(a, user)
	a.do(nil, "direct", url)
	a.status("active")
	var got decoded
	eventually(t, "Chromium shows and hears the film", func() bool {
		target.browser.do(&got, "eval", "sink", countReceived)
		return got.Pictures > 90 && got.Sound > 0.001
	})
	if got.Width != 1280 || got.Height != 720 || !strings.EqualFold(got.Codec, "video/H264") {
		t.Errorf("Chromium received %+v", got)
	}
	a.mark()
	a.do(nil, "stopDirect")
	a.status("stopped")
	eventually(t, "the resource is deleted", func() bool { return target.deleted.Load() == 1 })

	a.mark()
	a.do(nil, "direct", strings.Replace(url, "a-secret", "another", 1))
	if e := a.status("error"); !strings.Contains(e.Details, "404") || strings.Contains(e.Details, "another") {
		t.Errorf("an unknown stream: %+v", e)
	}
}
