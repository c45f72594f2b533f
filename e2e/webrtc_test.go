package e2e

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"
)

// lossy is a network between a browser and the server's WebRTC port that loses
// packets of every kind, both ways.
type lossy struct {
	client, server *net.UDPConn // our ends towards them
	to             netip.AddrPort

	mu          sync.Mutex
	percent     int
	rate        int // bytes a second towards the client; 0 is no limit
	room        int // of them now
	at          time.Time
	peer        netip.AddrPort
	lost, total int
}

// newLossy makes one in front of the server, without losses so far.
func newLossy(t *testing.T, to string) *lossy {
	t.Helper()
	at, err := netip.ParseAddrPort(to)
	if err != nil {
		t.Fatal(err)
	}
	l := &lossy{to: at}
	var tasks sync.WaitGroup
	for _, conn := range []**net.UDPConn{&l.client, &l.server} {
		if *conn, err = net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}); err != nil {
			t.Fatal(err)
		}
		_ = (*conn).SetReadBuffer(4 << 20)
	}
	t.Cleanup(func() { _, _ = l.client.Close(), l.server.Close(); tasks.Wait() })
	tasks.Go(func() {
		l.carry(l.client, func(b []byte, from netip.AddrPort) {
			l.mu.Lock()
			l.peer = from
			l.mu.Unlock()
			_, _ = l.server.WriteToUDPAddrPort(b, l.to)
		})
	})
	tasks.Go(func() {
		l.carry(l.server, func(b []byte, _ netip.AddrPort) {
			l.mu.Lock()
			peer, pass := l.peer, l.admit(len(b))
			l.mu.Unlock()
			if !pass {
				return
			}
			_, _ = l.client.WriteToUDPAddrPort(b, peer)
		})
	})
	return l
}

func (l *lossy) carry(from *net.UDPConn, send func([]byte, netip.AddrPort)) {
	buf := make([]byte, 2000)
	for {
		n, addr, err := from.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		l.mu.Lock()
		l.total++
		drop := rand.IntN(100) < l.percent
		if drop {
			l.lost++
		}
		l.mu.Unlock()
		if !drop {
			send(buf[:n], addr)
		}
	}
}

// admit says whether the way to the client has room for n bytes; it queues a
// quarter of a second.
func (l *lossy) admit(n int) bool {
	if l.rate == 0 {
		return true
	}
	now := time.Now()
	l.room = min(l.rate/4, l.room+int(now.Sub(l.at).Seconds()*float64(l.rate)))
	l.at = now
	if n > l.room {
		l.lost++
		return false
	}
	l.room -= n
	return true
}

// lose begins to lose so much.
func (l *lossy) lose(percent int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.percent = percent
}

// through are a page's options: its candidates lead here.
func (l *lossy) through() map[string]any {
	port := l.client.LocalAddr().(*net.UDPAddr).Port
	return map[string]any{"answer": []string{
		"(a=candidate:\\S+ \\d+ )\\S+ (\\d+) \\S+ \\d+ typ host.*", fmt.Sprintf("$1udp $2 127.0.0.1 %d typ host", port),
	}}
}

// onlyTCP are a page's options: no candidate for UDP is left.
var onlyTCP = map[string]any{"answer": []string{"a=candidate:\\S+ \\d+ udp .*\\r\\n", ""}}

// received is what browser.mjs says of a connection.
type received struct {
	Received, Decoded, Dropped, Packets, Lost, Again, Nacks, Plis, Width, Bytes int
	Longest                                                                     float64
	Protocol                                                                    string
}

// FAULTS F9: with 5 % of all packets lost both ways, 99 % of the pictures are decoded,
// none stands still for more than half a second, the losses are made good and
// the viewer does not have to ask for key frames. Not in parallel: what a browser
// without a processor shows says nothing of the network.
func TestWebRTCWithLoss(t *testing.T) {
	alone(t)
	c := startCloud(t, "")
	s := c.newStream()
	publish(t, s.Ingest["rtmp"])
	c.wantStatus(s.ID, "live")
	m, _ := c.waitLine(`WebRTC\s+(127\.0\.0\.1:\d+)`, 0)
	network := newLossy(t, m[1])
	b := startBrowser(t)
	b.do(nil, "open", "lossy", s.Play["page"]+"?protocol=webrtc", network.through())
	b.waitPlayer("lossy", "glimpse.state === 'live' && glimpse.protocol === 'webrtc' && glimpse.framesDecoded > 60")
	network.lose(5)
	const seconds = 15
	var r received
	b.do(&r, "received", "lossy", seconds)
	network.mu.Lock()
	t.Logf("%+v; the network lost %d of %d packets", r, network.lost, network.total)
	lost := network.lost
	network.mu.Unlock()
	if lost < 100 || r.Nacks == 0 {
		t.Fatal("not enough was lost")
	}
	if r.Received < seconds*25 || (r.Decoded+3)*100 < r.Received*99 { // some are on their way
		t.Errorf("%d of %d pictures decoded", r.Decoded, r.Received)
	}
	if r.Longest > 500 {
		t.Errorf("a picture stood still for %.0f ms", r.Longest)
	}
	if r.Plis > seconds {
		t.Errorf("%d requests for key frames", r.Plis)
	}
	if r.Again*100 < r.Lost*95 {
		t.Errorf("%d of %d lost packets came again", r.Again, r.Lost)
	}
}

// Where no UDP gets through, the same port plays and takes publishers by TCP.
func TestWebRTCByTCP(t *testing.T) {
	parallel(t, browsers)
	c := startCloud(t, "")
	s := c.newStream()
	b := startBrowser(t)
	b.do(nil, "open", "camera", c.url+"/healthz", onlyTCP)
	b.do(nil, "publish", "camera", s.Ingest["whip"])
	c.wantStatus(s.ID, "live")
	b.do(nil, "open", "tcp", s.Play["page"]+"?protocol=webrtc", onlyTCP)
	b.waitPlayer("tcp", "glimpse.state === 'live' && glimpse.protocol === 'webrtc'")
	b.wantPlaying("tcp")
	var r received
	for range 4 { // as many attempts as to play
		if b.do(&r, "received", "tcp", 3); r.Decoded >= 45 {
			break
		}
	}
	if r.Protocol != "tcp" || r.Decoded < 45 || r.Lost != 0 || r.Nacks != 0 {
		t.Errorf("%+v", r)
	}
}

// FAULTS F10: a viewer with a quarter of the room that the stream needs gets less and less
// by WebRTC, and then LL-HLS; the others are not harmed. Beside no other test: how long
// the other one's picture stands still is judged.
func TestSlowViewerGetsHLS(t *testing.T) {
	alone(t)
	c := startCloud(t, "")
	s := c.newStream()
	publish(t, s.Ingest["rtmp"])
	c.wantStatus(s.ID, "live")
	m, _ := c.waitLine(`WebRTC\s+(127\.0\.0\.1:\d+)`, 0)
	network := newLossy(t, m[1])
	b := startBrowser(t)
	b.do(nil, "open", "slow", s.Play["page"], network.through())
	b.do(nil, "open", "other", s.Play["page"], map[string]any{"answer": []string{"nothing", ""}})
	for _, page := range []string{"slow", "other"} {
		b.waitPlayer(page, "glimpse.state === 'live' && glimpse.protocol === 'webrtc' && glimpse.framesDecoded > 60")
	}
	var before received
	b.do(&before, "received", "other", 3)
	network.mu.Lock()
	network.rate = before.Bytes / 3 / 4
	network.mu.Unlock()
	b.waitPlayer("slow", "glimpse.state === 'live' && glimpse.protocol === 'hls'")
	b.wantPlaying("slow")
	var r received
	b.do(&r, "received", "other", 3)
	if r.Lost != 0 || r.Plis != 0 || r.Longest > 500 || r.Decoded < 60 {
		t.Errorf("the other viewer: %+v", r)
	}
	c.waitLine("quality changed.*to=2", 0)
}

// MEDIA J: two seconds after it joined, a viewer is at most 300 ms behind, whatever
// the phase of the group of pictures that it came in.
func TestLatencyAfterJoin(t *testing.T) {
	alone(t)
	c := startCloud(t, "")
	s := c.newStream()
	publish(t, s.Ingest["rtmp"])
	c.wantStatus(s.ID, "live")
	b := startBrowser(t)
	for i := range 4 {
		page := fmt.Sprintf("page %d", i)
		b.do(nil, "open", page, s.Play["page"]+"?protocol=webrtc")
		b.waitPlayer(page, "glimpse.state === 'live' && glimpse.framesDecoded > 0")
		var ms float64
		b.do(&ms, "eval", page, "new Promise((done) => setTimeout(() => done(glimpse.latencyMs), 2000))")
		t.Logf("join %d: %.0f ms behind", i, ms)
		if ms <= 0 || ms > 300 {
			t.Errorf("join %d: %.0f ms behind after 2 s", i, ms)
		}
		b.do(nil, "close", page)
		time.Sleep(time.Duration(370*(i+1)) * time.Millisecond) // another phase, which is all that it is for
	}
}

// The server adds at most 80 ms between a picture's arrival and its place on the
// screen of Chromium, by the sender reports: not by the page's guess without them.
// Not in parallel: what a browser without a processor shows says nothing of the server.
// An encoder that could not keep up when it began is late for good, by as much, and so
// one of three streams must be shown in time.
func TestServerAdds(t *testing.T) {
	alone(t)
	c := startCloud(t, "")
	b := startBrowser(t)
	const measured = `(async () => {
		const stats = [...(await window.connection.getStats()).values()];
		const video = stats.find((s) => s.type === 'inbound-rtp' && s.kind === 'video');
		return {Reports: Boolean(video?.estimatedPlayoutTimestamp), Ms: glimpse.latencyMs ?? 0};
	})()`
	var got struct {
		Reports bool
		Ms      float64
	}
	for range 3 {
		s := c.newStream()
		publisher := publish(t, s.Ingest["rtmp"])
		c.wantStatus(s.ID, "live")
		b.do(nil, "open", "page", s.Play["page"]+"?protocol=webrtc", map[string]any{"answer": []string{"(?!)", ""}})
		looks := 0 // in a row, so that it has settled
		settled := became(15*time.Second, func() bool {
			if b.try(&got, "eval", "page", measured) == "" && got.Reports && got.Ms > 0 && got.Ms <= 80 {
				looks++
			} else {
				looks = 0
			}
			return looks == 20 // at least 1 s
		})
		if t.Logf("%.0f ms", got.Ms); settled {
			return
		}
		b.do(nil, "close", "page")
		publisher.stop()
	}
	t.Errorf("the server adds %.0f ms, 80 at most", got.Ms)
}
