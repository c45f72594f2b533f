package webrtc

import (
	"encoding/binary"
	"math/rand/v2"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/webrtc/v4"

	"glimpse/internal/media/frame"
)

// join plays the stream. rtx is whether the client offers retransmission streams.
func (r *rig) join(rtx bool, change ...func(answer string) string) *watcher {
	r.t.Helper()
	w := &watcher{r: r, state: make(chan webrtc.PeerConnectionState, 16), gaps: &gaps{seen: map[uint16]bool{}}}
	media := &webrtc.MediaEngine{}
	if rtx {
		if err := media.RegisterDefaultCodecs(); err != nil {
			r.t.Fatal(err)
		}
	} else {
		h264 := webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeH264, ClockRate: 90000,
			SDPFmtpLine:  "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f",
			RTCPFeedback: []webrtc.RTCPFeedback{{Type: "nack"}, {Type: "nack", Parameter: "pli"}}}
		opus := webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeOpus, ClockRate: 48000, Channels: 2}
		for _, err := range []error{
			media.RegisterCodec(webrtc.RTPCodecParameters{RTPCodecCapability: h264, PayloadType: 102}, webrtc.RTPCodecTypeVideo),
			media.RegisterCodec(webrtc.RTPCodecParameters{RTPCodecCapability: opus, PayloadType: 111}, webrtc.RTPCodecTypeAudio),
		} {
			if err != nil {
				r.t.Fatal(err)
			}
		}
	}
	registry := &interceptor.Registry{}
	if err := webrtc.RegisterDefaultInterceptors(media, registry); err != nil {
		r.t.Fatal(err)
	}
	var settings webrtc.SettingEngine
	settings.SetIncludeLoopbackCandidate(true)
	settings.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4})
	api := webrtc.NewAPI(webrtc.WithMediaEngine(media), webrtc.WithInterceptorRegistry(registry), webrtc.WithSettingEngine(settings))
	var err error
	if w.pc, err = api.NewPeerConnection(webrtc.Configuration{}); err != nil {
		r.t.Fatal(err)
	}
	w.pc.OnConnectionStateChange(func(s webrtc.PeerConnectionState) { w.state <- s })
	w.pc.OnTrack(func(track *webrtc.TrackRemote, _ *webrtc.RTPReceiver) { w.read(track) })
	for _, kind := range []webrtc.RTPCodecType{webrtc.RTPCodecTypeVideo, webrtc.RTPCodecTypeAudio} {
		if _, err := w.pc.AddTransceiverFromKind(kind, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionRecvonly}); err != nil {
			r.t.Fatal(err)
		}
	}
	offer, err := w.pc.CreateOffer(nil)
	if err != nil {
		r.t.Fatal(err)
	}
	if err := w.pc.SetLocalDescription(offer); err != nil {
		r.t.Fatal(err)
	}
	res, answer := r.do("POST", "/live/play/whep", offer.SDP)
	if res.StatusCode != 201 || res.Header.Get("Content-Type") != "application/sdp" || res.Header.Get("ETag") == "" {
		r.t.Fatalf("%d %v %s", res.StatusCode, res.Header, answer)
	}
	w.location = res.Header.Get("Location")
	for _, f := range change {
		answer = f(answer)
	}
	if err := w.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: answer}); err != nil {
		r.t.Fatal(err)
	}
	w.wait(webrtc.PeerConnectionStateConnected)
	eventually(r.t, "the viewer", func() bool {
		r.server.mu.Lock()
		at := r.server.sessions[w.location[strings.LastIndex(w.location, "/")+1:]]
		r.server.mu.Unlock()
		return at != nil && at.viewer.Load() != nil
	})
	return w
}

// read counts packets, and notes when each picture's first packet came.
func (w *watcher) read(track *webrtc.TrackRemote) {
	for {
		p, _, err := track.ReadRTP()
		if err != nil {
			return
		}
		if track.Kind() == webrtc.RTPCodecTypeAudio {
			w.audio.Add(1)
			continue
		}
		w.ssrc.Store(p.SSRC)
		w.video.Add(1)
		w.gaps.add(p.SequenceNumber)
		if b := p.Payload; len(b) > 10 && b[0]&0x1f == 28 && b[1]&0x80 != 0 {
			n := binary.BigEndian.Uint64(b[2:])
			if _, known := w.frames.LoadOrStore(n, time.Now()); !known {
				w.newest.Store(max(n, w.newest.Load()))
			}
		}
	}
}

// wait waits for a state of the connection.
func (w *watcher) wait(want webrtc.PeerConnectionState) {
	w.r.t.Helper()
	await(w.r.t, w.state, want)
}

func await(t *testing.T, states <-chan webrtc.PeerConnectionState, want webrtc.PeerConnectionState) {
	t.Helper()
	deadline := time.NewTimer(15 * time.Second)
	defer deadline.Stop()
	for {
		select {
		case s := <-states:
			if s == want {
				return
			}
		case <-deadline.C:
			t.Fatalf("the connection never was %v", want)
		}
	}
}

func (w *watcher) close() { _ = w.pc.GracefulClose() }

// B21 C43 D2: pictures and sound arrive, from the cached key picture on, and
// within 300 ms two seconds after joining, at any phase of the group (MEDIA J).
func TestPlay(t *testing.T) {
	sound := &tones{}
	r := newRig(t, sound)
	r.publish()
	for i := range 3 {
		eventually(t, "the phase", func() bool { return r.count.Load()%50 == uint64(10+15*i) })
		posted := r.count.Load()
		w := r.join(true)
		eventually(t, "first picture", func() bool { return w.newest.Load() > 0 })
		if got := r.count.Load() - posted; got > 25 {
			t.Errorf("the first picture came %d pictures after the request", got)
		}
		eventually(t, "two seconds of pictures", func() bool { return w.newest.Load() > posted+100 })
		newest := w.newest.Load()
		sent, _ := r.sent.Load(newest)
		came, _ := w.frames.Load(newest)
		if d := came.(time.Time).Sub(sent.(time.Time)); d > 300*time.Millisecond {
			t.Errorf("latency %v", d)
		}
		first := newest
		w.frames.Range(func(n, _ any) bool { first = min(first, n.(uint64)); return true })
		if first%50 != 1 {
			t.Errorf("the first picture is %d, no key picture", first)
		}
		for n := first; n < newest-5; n++ {
			if _, ok := w.frames.Load(n); !ok {
				t.Fatalf("picture %d of %d to %d is missing", n, first, newest)
			}
		}
		if w.audio.Load() < 50 {
			t.Errorf("%d sound packets", w.audio.Load())
		}
		if got := r.stream.Stats().Viewers["whep"]; got != 1 {
			t.Errorf("%d viewers counted", got)
		}
		w.close() // close_notify
		eventually(t, "leaving", func() bool { return r.stream.Stats().Viewers["whep"] == 0 })
	}
	if sound.begun.Load() != 1 || sound.running.Load() != 1 {
		t.Errorf("%d conversions begun, %d running; one lingers", sound.begun.Load(), sound.running.Load())
	}
	r.server.sweep(time.Now().Add(linger))
	eventually(t, "the conversion's end", func() bool { return sound.running.Load() == 0 })
	if len(r.server.feeds) != 0 {
		t.Error("a feed outlives its linger time")
	}
}

// lossy is a relay between a client and the server that swallows the first
// sending of some packets to the client.
type lossy struct {
	conn    *net.UDPConn // towards the client
	server  netip.AddrPort
	percent int
	flights int // last flights of the handshake to swallow
	mu      sync.Mutex
	client  netip.AddrPort
	out     *net.UDPConn // towards the server
	lost    int

	upPercent, upLost int // of media that the client sends
	tasks             sync.WaitGroup
}

func newLossy(t *testing.T, server netip.AddrPort, percent int) *lossy {
	t.Helper()
	l := &lossy{conn: loopback(t), out: loopback(t), server: server, percent: percent}
	l.tasks.Go(l.up)
	l.tasks.Go(l.down)
	t.Cleanup(func() { _, _ = l.conn.Close(), l.out.Close(); l.tasks.Wait() })
	return l
}

// loopback opens a socket that the test closes.
func loopback(t *testing.T) *net.UDPConn {
	t.Helper()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// up carries what the client sends.
func (l *lossy) up() {
	buf := make([]byte, 2000)
	for {
		n, from, err := l.conn.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		l.mu.Lock()
		l.client = from
		drop := l.upPercent > 0 && buf[0] >= 128 && (buf[1] < 192 || buf[1] > 223) && rand.IntN(100) < l.upPercent
		if drop {
			l.upLost++
		}
		l.mu.Unlock()
		if drop {
			continue
		}
		_, _ = l.out.WriteToUDPAddrPort(buf[:n], l.server)
	}
}

// down carries what the server sends.
func (l *lossy) down() {
	buf := make([]byte, 2000)
	once := map[string]bool{}
	for {
		n, _, err := l.out.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		l.mu.Lock()
		to := l.client
		media := n > 12 && buf[0] >= 128 && (buf[1] < 192 || buf[1] > 223)
		if n > 0 && buf[0] == 20 && l.flights > 0 {
			l.flights--
			to = netip.AddrPort{}
		}
		if id := string(buf[2:12]); media && !once[id] {
			once[id] = true
			if rand.IntN(100) < l.percent {
				l.lost++
				to = netip.AddrPort{}
			}
		}
		l.mu.Unlock()
		if to.IsValid() {
			_, _ = l.conn.WriteToUDPAddrPort(buf[:n], to)
		}
	}
}

// through sends the client to the relay.
func (l *lossy) through(answer string) string {
	port := strconv.Itoa(int(l.conn.LocalAddr().(*net.UDPAddr).Port))
	return strings.ReplaceAll(answer, " "+strconv.Itoa(int(l.server.Port()))+" typ host", " "+port+" typ host")
}

// FAULTS F9: 5 % loss is made good from the shared history, with and without a
// retransmission stream.
func TestLossIsMadeGood(t *testing.T) {
	for _, rtx := range []bool{true, false} {
		t.Run("rtx "+strconv.FormatBool(rtx), func(t *testing.T) {
			t.Parallel()
			r := newRig(t, nil)
			r.publish()
			relay := newLossy(t, r.server.Addr(), 5)
			w := r.join(rtx, relay.through)
			defer w.close()
			eventually(t, "packets", func() bool { return w.video.Load() > 900 })
			var holes, total int
			eventually(t, "repair", func() bool { holes, total = w.gaps.missing(200); return total > 600 && holes*100 <= total })
			relay.mu.Lock()
			defer relay.mu.Unlock()
			if s := r.server.Stats(); relay.lost < 15 || s.Retransmitted < 15 {
				t.Errorf("%d lost, %d retransmitted", relay.lost, s.Retransmitted)
			}
		})
	}
}

// A client that missed the end of the handshake, which is parked by then, gets
// it again, and the pictures from the key picture on.
func TestLostLastFlight(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.publish()
	relay := newLossy(t, r.server.Addr(), 0)
	relay.mu.Lock()
	relay.flights = 1
	relay.mu.Unlock()
	w := r.join(true, relay.through)
	defer w.close()
	eventually(t, "pictures", func() bool { return w.newest.Load() > 0 })
	relay.mu.Lock()
	defer relay.mu.Unlock()
	if s := r.server.Stats(); relay.flights != 0 || s.Restarts != 1 {
		t.Errorf("%d flights left to lose, %d restarts", relay.flights, s.Restarts)
	}
}

// What fills a silence of 5 s is left out, up to the hold's newest key frame or one of
// the publisher's; nothing is left out of a publisher that is late.
func TestSilenceIsNotMadeUpFor(t *testing.T) {
	at := time.Now()
	var p past
	for i, test := range []struct {
		hold, key bool
		age       time.Duration
		left      bool
	}{
		{false, true, 3 * time.Second, false},
		{false, false, 3 * time.Second, false},
		{true, true, 5 * time.Second, true},
		{true, false, 4800 * time.Millisecond, true},
		{true, true, 3 * time.Second, true},
		{true, false, 200 * time.Millisecond, true}, // refers to one that is left out
		{true, true, 1800 * time.Millisecond, false},
		{true, false, 1600 * time.Millisecond, false},
		{true, true, 4 * time.Second, true},
		{false, false, 0, true},
		{false, true, 0, false},
		{false, false, 0, false},
	} {
		if got := p.has(&frame.Frame{Hold: test.hold, Key: test.key, Wall: at.Add(-test.age)}, at); got != test.left {
			t.Errorf("picture %d is left out: %v", i, got)
		}
	}
}

// A conversion begins with a burst of the past, which is left out.
func TestSoundBeginsLive(t *testing.T) {
	at := time.Now()
	tone := tone{begun: at}
	for i, test := range []struct {
		after time.Duration
		live  bool
	}{{300 * time.Millisecond, false}, {0, false}, {2 * time.Millisecond, false}, {20 * time.Millisecond, true}, {0, true}} {
		at = at.Add(test.after)
		if got := tone.caughtUp(at); got != test.live {
			t.Errorf("packet %d: live %v", i, got)
		}
	}
	at = at.Add(5 * time.Second) // of silence, which is filled all at once
	for i, test := range []struct {
		after time.Duration
		live  bool
	}{{0, false}, {time.Millisecond, false}, {2 * time.Millisecond, false}, {20 * time.Millisecond, true}} {
		at = at.Add(test.after)
		if got := tone.caughtUp(at); got != test.live {
			t.Errorf("packet %d after a silence: live %v", i, got)
		}
	}
	dense := time.Now()
	tone.live, tone.begun, tone.last = false, dense, time.Time{}
	for range 200 { // never apart: a second is enough
		dense = dense.Add(6 * time.Millisecond)
		tone.caughtUp(dense)
	}
	if !tone.live {
		t.Error("sound in steady bursts never began")
	}
}

// DELETE ends the session, PATCH is accepted; both only on the right stream.
func TestPatchAndDelete(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.publish()
	w := r.join(true)
	defer w.close()
	if res, _ := r.do("PATCH", w.location, "a=ice-ufrag:x\r\n"); res.StatusCode != 204 {
		t.Errorf("PATCH: %d", res.StatusCode)
	}
	if res, _ := r.do("DELETE", strings.Replace(w.location, "/play/", "/other/", 1), ""); res.StatusCode != 404 {
		t.Errorf("DELETE on another stream: %d", res.StatusCode)
	}
	if res, _ := r.do("DELETE", w.location, ""); res.StatusCode != 200 {
		t.Errorf("DELETE: %d", res.StatusCode)
	}
	w.wait(webrtc.PeerConnectionStateClosed) // it is told
	if s := r.server.Stats(); s.Viewers != 0 {
		t.Errorf("%d viewers", s.Viewers)
	}
	if res, _ := r.do("DELETE", w.location, ""); res.StatusCode != 404 {
		t.Errorf("DELETE again: %d", res.StatusCode)
	}
}

// A viewer that does not check for 30 s is gone.
func TestIdleViewer(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.publish()
	w := r.join(true)
	defer w.close()
	r.server.sweep(time.Now().Add(30*time.Second - 5*time.Second))
	if s := r.server.Stats(); s.Viewers != 1 {
		t.Fatalf("%d viewers after 25 s", s.Viewers)
	}
	r.server.sweep(time.Now().Add(30 * time.Second))
	if s := r.server.Stats(); s.Viewers != 0 {
		t.Errorf("%d viewers after 30 s", s.Viewers)
	}
	w.wait(webrtc.PeerConnectionStateClosed)
}

// FAULTS F1: viewers stay through the publisher's absence and go on by
// themselves; when the run is over they are told.
func TestResumeAndEnd(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	stop := r.publish()
	w := r.join(true)
	defer w.close()
	eventually(t, "pictures", func() bool { return w.newest.Load() > 0 })
	stop()
	last := r.count.Load()
	stop = r.publish()
	eventually(t, "pictures of the second connection", func() bool { return w.newest.Load() > last+20 })
	if holes, total := w.gaps.missing(1); holes > 0 || total == 0 {
		t.Errorf("%d of %d sequence numbers are missing", holes, total)
	}
	stop()
	r.stream.Close("over")
	w.wait(webrtc.PeerConnectionStateClosed)
	eventually(t, "leaving", func() bool { return r.server.Stats().Viewers == 0 })
}
