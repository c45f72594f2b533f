package e2e

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/pion/webrtc/v4"
	"github.com/pion/webrtc/v4/pkg/media"
)

// publishWHIP sends a clip of H.264 and Opus by WHIP again and again, in real
// time, until the test ends: another maker's WebRTC, whose times are the clip's.
func (e *enhanced) publishWHIP(t *testing.T, url string) {
	t.Helper()
	pc := peerConnection(t)
	tracks := map[bool]*webrtc.TrackLocalStaticSample{}
	for sound, mime := range map[bool]string{false: webrtc.MimeTypeH264, true: webrtc.MimeTypeOpus} {
		track, err := webrtc.NewTrackLocalStaticSample(webrtc.RTPCodecCapability{MimeType: mime}, mime[:5], "clip")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := pc.AddTransceiverFromTrack(track, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionSendonly}); err != nil {
			t.Fatal(err)
		}
		tracks[sound] = track
	}
	connected := make(chan struct{})
	up := sync.OnceFunc(func() { close(connected) }) // it may connect again, after a gap
	pc.OnConnectionStateChange(func(s webrtc.PeerConnectionState) {
		if s == webrtc.PeerConnectionStateConnected {
			up()
		}
	})
	offerTo(t, pc, url)
	select {
	case <-connected:
	case <-time.After(patience):
		t.Fatal("WHIP does not connect")
	}
	stop := e.loop(t, func(_ time.Duration, u enhancedUnit) error {
		sample := media.Sample{Data: u.au[0], Duration: 20 * time.Millisecond}
		if !u.sound {
			sample.Data, sample.Duration = nil, time.Second/30
			for _, nal := range u.au {
				sample.Data = append(append(sample.Data, 0, 0, 0, 1), nal...)
			}
		}
		return tracks[u.sound].WriteSample(sample)
	})
	t.Cleanup(func() { stop(func() { _ = pc.Close() }) })
}

// relayWHEP plays a WHEP URL with another maker's WebRTC, which hands the packets
// and reports on as plain RTP, and returns a description of it that ffmpeg reads.
func relayWHEP(t *testing.T, url string) (file string) {
	t.Helper()
	pc := peerConnection(t)
	ports := map[webrtc.RTPCodecType]int{webrtc.RTPCodecTypeVideo: freePair(t), webrtc.RTPCodecTypeAudio: freePair(t)}
	types := make(chan string, len(ports))
	for kind := range ports {
		_, err := pc.AddTransceiverFromKind(kind, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionRecvonly})
		if err != nil {
			t.Fatal(err)
		}
	}
	pc.OnTrack(func(track *webrtc.TrackRemote, r *webrtc.RTPReceiver) {
		port := ports[track.Kind()]
		types <- fmt.Sprintf("m=%s %d RTP/AVP %d\na=rtpmap:%d %s/%d%s\n", track.Kind(), port, track.PayloadType(), track.PayloadType(),
			track.Codec().MimeType[6:], track.Codec().ClockRate, map[bool]string{true: "/2"}[track.Kind() == webrtc.RTPCodecTypeAudio])
		go forward(port+1, func(b []byte) (int, error) { n, _, err := r.Read(b); return n, err })
		forward(port, func(b []byte) (int, error) { n, _, err := track.Read(b); return n, err })
	})
	offerTo(t, pc, url)
	sdp := "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=-\nc=IN IP4 127.0.0.1\nt=0 0\n"
	for range ports {
		select {
		case m := <-types:
			sdp += m
		case <-time.After(patience):
			t.Fatalf("WHEP has brought only this: %s", sdp)
		}
	}
	file = filepath.Join(t.TempDir(), "whep.sdp")
	if err := os.WriteFile(file, []byte(sdp), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// forward sends what read returns to a port of this machine until it fails.
func forward(port int, read func([]byte) (int, error)) {
	conn, err := net.Dial("udp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return
	}
	defer conn.Close()
	b := make([]byte, 2048)
	for {
		n, err := read(b)
		if err != nil {
			return
		}
		_, _ = conn.Write(b[:n]) // nobody listens yet
	}
}

// freePair returns an even port that is free, as the next one is: RTP and RTCP.
func freePair(t *testing.T) int {
	t.Helper()
	for {
		port := freePort(t)
		if port%2 == 0 && freePort(t) == port+1 {
			return port
		}
	}
}

// peerConnection is one of loopback that ends with the test.
func peerConnection(t *testing.T) *webrtc.PeerConnection {
	t.Helper()
	var settings webrtc.SettingEngine
	settings.SetIncludeLoopbackCandidate(true)
	pc, err := webrtc.NewAPI(webrtc.WithSettingEngine(settings)).NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pc.Close() })
	return pc
}

// offerTo posts the connection's offer, with all candidates, and takes the answer;
// it returns when it posted.
func offerTo(t *testing.T, pc *webrtc.PeerConnection, url string) (posted time.Time) {
	t.Helper()
	offer, err := pc.CreateOffer(nil)
	if err != nil {
		t.Fatal(err)
	}
	gathered := webrtc.GatheringCompletePromise(pc)
	if err := pc.SetLocalDescription(offer); err != nil {
		t.Fatal(err)
	}
	<-gathered
	posted = time.Now()
	res, err := http.Post(url, "application/sdp", bytes.NewReader([]byte(pc.LocalDescription().SDP)))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusCreated {
		t.Fatalf("%s: %s %s", url, res.Status, answer)
	}
	if err := pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: string(answer)}); err != nil {
		t.Fatal(err)
	}
	return posted
}
