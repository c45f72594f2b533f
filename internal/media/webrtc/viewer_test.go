package webrtc

import (
	"bytes"
	"encoding/binary"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/srtp/v3"

	"glimpse/internal/media/frame"
	"glimpse/internal/media/hub"
	"glimpse/internal/media/webrtc/packets"
	"glimpse/internal/media/webrtc/transport"
)

// bareViewer is a viewer on a feed that the test fills, and the socket on which
// its packets arrive.
type bareViewer struct {
	*viewer
	t       *testing.T
	peer    *net.UDPConn
	scratch *batch
	theirs  *srtp.Context // what the peer opens packets with
	sealer  *srtp.Context // what it seals RTCP with
}

func newBareViewer(t testing.TB, pt payloadTypes, profile srtp.ProtectionProfile) *bareViewer {
	t.Helper()
	return newBareViewerOf(t, pt, profile, hub.PublisherInfo{Protocol: "test"})
}

// newBareViewerOf has a publisher of its own.
func newBareViewerOf(t testing.TB, pt payloadTypes, profile srtp.ProtectionProfile, info hub.PublisherInfo) *bareViewer {
	t.Helper()
	s, err := New(Config{Addr: "127.0.0.1:0"}, hub.New(hub.Config{}, slog.New(slog.DiscardHandler)), nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	h := hub.New(hub.Config{}, slog.New(slog.DiscardHandler))
	run := liveRun(t, h, info)
	peer, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	_ = peer.SetReadBuffer(8 << 20)
	t.Cleanup(func() { s.cancel(); _ = s.mux.Close(); _ = peer.Close(); h.Close() })
	var cfg srtp.Config
	cfg.Profile = profile
	key, _ := profile.KeyLen()
	salt, _ := profile.SaltLen()
	cfg.Keys.LocalMasterKey, cfg.Keys.LocalMasterSalt = bytes.Repeat([]byte{1}, key), bytes.Repeat([]byte{2}, salt)
	cfg.Keys.RemoteMasterKey, cfg.Keys.RemoteMasterSalt = bytes.Repeat([]byte{3}, key), bytes.Repeat([]byte{4}, salt)
	k, err := transport.NewKeys(cfg)
	if err != nil {
		t.Fatal(err)
	}
	b := &bareViewer{peer: peer, scratch: new(batch)}
	b.t, _ = t.(*testing.T)
	if b.theirs, err = srtp.CreateContext(cfg.Keys.LocalMasterKey, cfg.Keys.LocalMasterSalt, profile); err != nil {
		t.Fatal(err)
	}
	if b.sealer, err = srtp.CreateContext(cfg.Keys.RemoteMasterKey, cfg.Keys.RemoteMasterSalt, profile); err != nil {
		t.Fatal(err)
	}
	to := peer.LocalAddr().(*net.UDPAddr).AddrPort()
	b.viewer = newViewer(newFeed(s, run), pt, k, s.mux.To(netip.AddrPortFrom(to.Addr().Unmap(), to.Port())))
	return b
}

// liveRun opens a stream and brings it live.
func liveRun(t testing.TB, h *hub.Hub, info hub.PublisherInfo) *hub.Run {
	t.Helper()
	stream, err := h.Open(hub.Spec{ID: "s", IngestKey: "k", PlaybackID: "p", Standing: true, ResumeWindow: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	pub, err := h.Publish("k", info)
	if err != nil {
		t.Fatal(err)
	}
	if err := pub.SetTrack(testTrack); err != nil {
		t.Fatal(err)
	}
	if err := pub.Video(0, 0, true, picturePayload(true, 100)); err != nil {
		t.Fatal(err)
	}
	return stream.Run()
}

// pumpAll pumps until nothing is left, letting paced time pass.
func (b *bareViewer) pumpAll(now *time.Time) {
	for {
		more, wait := b.pump(b.scratch, *now)
		*now = now.Add(wait)
		if !more && wait == 0 {
			return
		}
	}
}

// received reads what has arrived: count datagrams of media.
func (b *bareViewer) received(count uint64) [][]byte {
	b.t.Helper()
	var list [][]byte
	buf := make([]byte, 1600)
	_ = b.peer.SetReadDeadline(time.Now().Add(5 * time.Second))
	for uint64(len(list)) < count {
		n, err := b.peer.Read(buf)
		if err != nil {
			b.t.Fatalf("%d of %d packets: %v", len(list), count, err)
		}
		if buf[1] >= 192 && buf[1] <= 223 {
			continue // RTCP
		}
		list = append(list, bytes.Clone(buf[:n]))
	}
	return list
}

// nack sends a NACK as the peer would.
func (b *bareViewer) nack(now time.Time, seqs ...uint16) {
	b.t.Helper()
	b.rtcp(now, &rtcp.TransportLayerNack{MediaSSRC: b.feed.video.SSRC(), Nacks: rtcp.NackPairsFromSequenceNumbers(seqs)})
}

func (b *bareViewer) rtcp(now time.Time, p rtcp.Packet) {
	b.t.Helper()
	raw, err := p.Marshal()
	if err != nil {
		b.t.Fatal(err)
	}
	sealed, err := b.sealer.EncryptRTCP(nil, raw, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	b.feedback(sealed, now)
}

// MEDIA W2: whatever viewers ask for, one index of one SSRC is never sealed with
// other bytes: that would give the key stream away.
func TestNoIndexIsSealedTwice(t *testing.T) {
	for _, test := range []struct {
		name    string
		pt      payloadTypes
		profile srtp.ProtectionProfile
	}{
		{"gcm", payloadTypes{video: 108}, srtp.ProtectionProfileAeadAes128Gcm},
		{"gcm with rtx", payloadTypes{video: 108, rtx: 109}, srtp.ProtectionProfileAeadAes128Gcm},
		{"hmac-sha1", payloadTypes{video: 96}, srtp.ProtectionProfileAes128CmHmacSha1_80},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := newBareViewer(t, test.pt, test.profile)
			random := rand.New(rand.NewPCG(1, 2))
			now := time.Now()
			fill(b.feed.video, 20, 15, 6000)
			b.join(now)
			sealed := map[[2]uint32][]byte{} // by SSRC and sequence
			again, total := 0, uint64(0)
			for range 1500 {
				now = now.Add(time.Duration(random.IntN(120)) * time.Millisecond)
				switch random.IntN(10) {
				case 0:
					b.rtcp(now, &rtcp.PictureLossIndication{MediaSSRC: b.feed.video.SSRC()})
				case 1, 2, 3:
					seq := uint16(b.video.Seq)
					b.nack(now, seq-uint16(random.IntN(300)), seq-uint16(random.IntN(30)), seq+uint16(random.IntN(5)))
				case 4:
					if random.IntN(40) == 0 {
						fillAt(b.feed.video, 900, 15, 6000, now) // the viewer falls out of the history
					}
				default:
					fillAt(b.feed.video, 1+random.IntN(3), 15, 500+random.IntN(8000), now)
				}
				b.pumpAll(&now)
				count := b.stats.packets.Load() - total
				total += count
				for _, p := range b.received(count) {
					id := [2]uint32{uint32(p[8])<<24 | uint32(p[9])<<16 | uint32(p[10])<<8 | uint32(p[11]), uint32(p[2])<<8 | uint32(p[3])}
					if old, ok := sealed[id]; ok {
						if !bytes.Equal(old, p) {
							t.Fatalf("ssrc %d sequence %d was sealed with other bytes", id[0], id[1])
						}
						again++
					}
					sealed[id] = p
				}
				if b.video.Seq > 60_000 {
					break // before sequence numbers begin anew, rightly with other bytes
				}
			}
			if b.stats.restarts.Load() < 5 || b.stats.retransmitted.Load() < 100 || b.stats.nackRefused.Load() < 10 {
				t.Errorf("%d restarts, %d retransmissions, %d refused: not enough happened",
					b.stats.restarts.Load(), b.stats.retransmitted.Load(), b.stats.nackRefused.Load())
			}
			if (again > 0) != (test.pt.rtx == 0) {
				t.Errorf("%d packets came twice to the byte", again)
			}
		})
	}
}

// What arrives opens to the packets of the history, in order, without a gap.
func TestViewerSendsTheHistory(t *testing.T) {
	b := newBareViewer(t, payloadTypes{video: 108}, srtp.ProtectionProfileAeadAes128Gcm)
	now := time.Now()
	fill(b.feed.video, 40, 30, 5000)
	b.join(now)
	b.pumpAll(&now)
	fill(b.feed.video, 5, 30, 5000)
	b.pumpAll(&now)
	h := b.feed.video
	first, _, _ := h.Picture(30)
	if got, want := b.stats.packets.Load(), h.End()-first; got != want {
		t.Fatalf("%d packets sent, want %d", got, want)
	}
	var before uint16
	for i, raw := range b.received(h.End() - first) {
		plain, err := b.theirs.DecryptRTP(nil, raw, nil)
		if err != nil {
			t.Fatal(err)
		}
		p := packetAt(t, h, first+uint64(i))
		if !bytes.Equal(plain[packets.HeaderSize:], p.Data[packets.HeaderSize:]) || plain[1]&^packets.MarkerBit != 108 || plain[1]&packets.MarkerBit != p.Data[1]&packets.MarkerBit {
			t.Fatalf("packet %d differs", i)
		}
		seq := uint16(plain[2])<<8 | uint16(plain[3])
		if i > 0 && seq != before+1 {
			t.Fatalf("sequence %d after %d", seq, before)
		}
		before = seq
		// From the live picture's timestamp on, in steps of a third.
		want := max(packets.Timestamp(p.Data), 39*3000+uint32(p.Picture-30)*1000)
		if packets.Timestamp(plain) != want {
			t.Fatalf("picture %d: timestamp %d, want %d", p.Picture, packets.Timestamp(plain), want)
		}
	}
}

// MEDIA J: catching up goes at three times the stream's rate.
func TestCatchUpIsPaced(t *testing.T) {
	b := newBareViewer(t, payloadTypes{video: 108}, srtp.ProtectionProfileAeadAes128Gcm)
	fill(b.feed.video, 60, 60, 10_000) // 2 s
	start := time.Now()
	now := start
	b.join(now)
	b.pumpAll(&now)
	if took := now.Sub(start); took < 500*time.Millisecond || took > 900*time.Millisecond {
		t.Errorf("2 s were caught up with in %v", took)
	}
}

// MEDIA J: what all newcomers together are sent to catch up is bounded by bytes a
// second; who finds nothing left gets the key frame alone, and the next all again.
func TestCatchUpsAreBounded(t *testing.T) {
	for name, left := range map[string]bool{"enough is left": true, "nothing is left": false} {
		t.Run(name, func(t *testing.T) {
			b := newBareViewer(t, payloadTypes{video: 108}, srtp.ProtectionProfileAeadAes128Gcm)
			now := time.Now()
			fill(b.feed.video, 30, 120, 3000)
			_, key, _ := b.feed.video.Picture(0)
			want := b.feed.video.End()
			if !left {
				b.feed.server.catchUps.take(now, catchUpRate-1000)
				want = key
			}
			b.join(now)
			b.pumpAll(&now)
			if got := b.stats.packets.Load(); got != want || (b.stats.keyFrameAlone.Load() == 1) == left {
				t.Errorf("%d packets, want %d; alone: %d", got, want, b.stats.keyFrameAlone.Load())
			}
		})
	}
}

// MEDIA J: a group of pictures that is too long is not replayed: the key
// picture alone, and then the next one.
func TestLongGroupGivesKeyFrameAlone(t *testing.T) {
	b := newBareViewer(t, payloadTypes{video: 108}, srtp.ProtectionProfileAeadAes128Gcm)
	now := time.Now()
	fill(b.feed.video, 100, 120, 3000) // 3.3 s
	b.join(now)
	b.pumpAll(&now)
	_, key, _ := b.feed.video.Picture(0)
	if got := b.stats.packets.Load(); got != key || b.stats.keyFrameAlone.Load() != 1 {
		t.Errorf("%d packets, want those of the key picture: %d", got, key)
	}
	fill(b.feed.video, 21, 120, 3000)
	b.pumpAll(&now)
	first, end, _ := b.feed.video.Picture(120)
	if got := b.stats.packets.Load(); got != key+end-first {
		t.Errorf("%d packets after the next key picture", got)
	}
}

// A PLI restarts at most once a second; a huge NACK is answered the same way,
// and so is one for what has left the history.
func TestRestarts(t *testing.T) {
	b := newBareViewer(t, payloadTypes{video: 108}, srtp.ProtectionProfileAeadAes128Gcm)
	now := time.Now()
	live := func(n int) {
		fillAt(b.feed.video, n, 15, 3000, now)
		b.pumpAll(&now)
	}
	fill(b.feed.video, 20, 15, 3000)
	b.join(now)
	live(1)
	want := func(step string, restarts uint64) {
		t.Helper()
		if got := b.stats.restarts.Load(); got != restarts {
			t.Fatalf("%s: %d restarts, want %d", step, got, restarts)
		}
	}
	pli := &rtcp.PictureLossIndication{MediaSSRC: b.feed.video.SSRC()}
	b.rtcp(now, pli)
	want("first PLI", 1)
	now = now.Add(300 * time.Millisecond)
	live(3)
	b.rtcp(now, pli)
	want("PLI 300 ms later", 1)
	now = now.Add(time.Second)
	live(3)
	b.rtcp(now, &rtcp.PictureLossIndication{MediaSSRC: 12345})
	want("PLI for somebody else", 1)
	seqs := make([]uint16, 400)
	for i := range seqs {
		seqs[i] = uint16(i)
	}
	b.nack(now, seqs...)
	want("huge NACK", 2)
	now = now.Add(2 * time.Second)
	live(1)
	lost := uint16(b.video.Seq - 1)
	for range 15 {
		live(100)
	}
	b.nack(now, lost)
	want("NACK for what is gone", 3)
	// The publisher stalls: no restart into the past, but with the next picture.
	now = now.Add(2 * time.Second)
	b.rtcp(now, pli)
	want("PLI while nothing comes", 3)
	live(1)
	want("and then something", 4)
}

// MEDIA J: what viewers ask for reaches a publisher that can be asked, at most once
// a second from each; and a group that is too long has it asked for another.
func TestKeyRequestsAreForwarded(t *testing.T) {
	asked := 0
	b := newBareViewerOf(t, payloadTypes{video: 108}, srtp.ProtectionProfileAeadAes128Gcm,
		hub.PublisherInfo{Protocol: "test", AskKey: func() { asked++ }})
	now := time.Now()
	fill(b.feed.video, 100, 120, 3000) // 3.3 s
	b.join(now)
	if asked != 1 || b.stats.keyFrameAlone.Load() != 1 {
		t.Fatalf("asked %d times at the join", asked)
	}
	for i := range 30 { // 3 s
		b.rtcp(now.Add(time.Duration(i)*100*time.Millisecond), &rtcp.PictureLossIndication{MediaSSRC: b.feed.video.SSRC()})
	}
	if asked-1 < 3 || asked-1 > 6 { // each once by itself, and once by a restart that is too long
		t.Errorf("asked %d times in 3 s", asked-1)
	}
}

// MEDIA W3: a level leaves out whole pictures, and what comes has no gap. Of 30
// pictures a second every second one is disposable.
func TestLevels(t *testing.T) {
	b := newBareViewer(t, payloadTypes{video: 108}, srtp.ProtectionProfileAeadAes128Gcm)
	now := time.Now()
	h := b.feed.video
	seq := uint16(0)
	var got []uint64
	second := func() {
		got = nil
		for range 30 {
			next, _ := h.Newest()
			key, pts := next%30 == 0, time.Duration(next)*time.Second/30
			nal := unit(0x41, 3000)
			if key {
				nal[0] = 0x65
			} else if next%2 == 1 {
				nal[0] = 0x01 // nal_ref_idc 0
			}
			nal[1] = byte(next)
			f := frame.Frame{Track: testTrack, Key: key, Payload: payload(nal)}
			h.Add(packets.Packetise(nil, &f, h.SSRC(), packets.Ticks(pts, packets.VideoClock)), pts, key, now)
			if next == 0 {
				b.join(now)
				seq = uint16(b.video.Seq)
			}
			before := b.stats.packets.Load()
			b.pumpAll(&now)
			for _, raw := range b.received(b.stats.packets.Load() - before) {
				plain, err := b.theirs.DecryptRTP(nil, raw, nil)
				if err != nil {
					t.Fatal(err)
				}
				if s := binary.BigEndian.Uint16(plain[2:]); s != seq {
					t.Fatalf("sequence %d, want %d", s, seq)
				}
				seq++
				if plain[1]&packets.MarkerBit != 0 { // whole
					got = append(got, uint64(packets.Timestamp(plain)/3000%30))
				}
			}
		}
	}
	second()
	second()
	if len(got) != 30 {
		t.Fatalf("full: %v", got)
	}
	b.control.level = qualityNeeded
	second()
	if len(got) != 15 {
		t.Fatalf("without what nobody needs: %v", got)
	}
	again := b.stats.retransmitted.Load()
	b.nack(now, seq-1, seq-30)
	if b.stats.retransmitted.Load() != again+2 {
		t.Error("what was sent before pictures were left out cannot be asked for again")
	}
	b.received(2)
	b.control.level = qualityKeys
	second()
	if len(got) != 1 || got[0] != 0 {
		t.Fatalf("key pictures: %v", got)
	}
	b.control.level = qualityNeeded
	second()
	if len(got) != 15 {
		t.Fatalf("up again: %v", got)
	}
	b.control.level = qualityFull
	second()
	if len(got) != 30 {
		t.Fatalf("full again: %v", got)
	}
}

// FAULTS F10: a viewer whose reports say that most is lost is given less and less,
// and at last let go; what it asks next is refused with the reason, once.
func TestSlowViewer(t *testing.T) {
	b := newBareViewer(t, payloadTypes{video: 108}, srtp.ProtectionProfileAeadAes128Gcm)
	now := time.Now()
	fill(b.feed.video, 30, 30, 5000)
	b.join(now)
	b.pumpAll(&now)
	highest, lost := uint32(1000), uint32(0)
	for range 12 {
		b.rtcp(now, &rtcp.ReceiverReport{Reports: []rtcp.ReceptionReport{
			{SSRC: b.feed.video.SSRC(), LastSequenceNumber: highest, TotalLost: lost},
		}})
		now, highest, lost = now.Add(time.Second), highest+100, lost+60
	}
	if !b.slow || !b.over() || b.stats.degraded.Load() != 3 {
		t.Fatalf("level %d, %d times lowered", b.control.level, b.stats.degraded.Load())
	}
	s := b.feed.server
	at := &session{id: "x", server: s, feed: b.feed, offer: &offer{}, playback: "p", client: netip.MustParseAddr("192.0.2.1"), log: s.log, leave: func() {}}
	at.viewer.Store(b.viewer)
	peer, err := s.mux.Open(transport.Spec{Client: at.client, Handler: at, Log: s.log})
	if err != nil {
		t.Fatal(err)
	}
	at.peer = peer
	s.sessions["x"] = at
	s.dropSlow(now)
	if len(s.sessions) != 0 {
		t.Fatal("the session stays")
	}
	for i, want := range []bool{false, false, true, false} {
		client, playback := at.client, "p"
		if i < 2 {
			client, playback = netip.MustParseAddr([]string{"192.0.2.2", "192.0.2.1"}[i]), []string{"p", "q"}[i]
		}
		if err := s.slowHere(playback, client); (err != nil) != want {
			t.Errorf("request %d: %v", i, err)
		}
	}
}

// MEDIA W2: retransmissions take at most a fifth of the stream's rate.
func TestRetransmissionBudget(t *testing.T) {
	b := newBareViewer(t, payloadTypes{video: 108, rtx: 109}, srtp.ProtectionProfileAeadAes128Gcm)
	now := time.Now()
	fill(b.feed.video, 30, 30, 10_000)
	b.join(now)
	b.pumpAll(&now)
	rate := b.feed.video.Rate()
	var asked int
	for range 50 { // 5 s
		now = now.Add(100 * time.Millisecond)
		for i := range 40 {
			b.nack(now, uint16(b.video.Seq)-uint16(i)-1)
			asked++
		}
	}
	sent := int(b.stats.retransmitted.Load())
	if limit := (max(rate/5, retransmitBurst) + rate) / 1000; sent > limit || sent < limit/3 {
		t.Errorf("%d of %d retransmitted, at most %d are due", sent, asked, limit)
	}
	if b.stats.dropBudget.Load() == 0 {
		t.Error("nothing was over the budget")
	}
}

// MEDIA W4: what the socket does not take is lost, its sequence numbers are used
// up, and it can be asked for again.
func TestLostSendsUseTheirIndices(t *testing.T) {
	b := newBareViewer(t, payloadTypes{video: 108}, srtp.ProtectionProfileAeadAes128Gcm)
	now := time.Now()
	fill(b.feed.video, 2, 30, 3000)
	b.join(now)
	b.pumpAll(&now)
	sent := b.stats.packets.Load()
	b.received(sent)
	good := b.to
	b.to = b.feed.server.mux.To(netip.MustParseAddrPort("127.0.0.1:0"))
	if b.to.Send([]byte{1}) == nil {
		t.Fatal("port 0 can be sent to")
	}
	first := uint16(b.video.Seq)
	fill(b.feed.video, 1, 30, 3000)
	b.pumpAll(&now)
	lost := uint64(uint16(b.video.Seq) - first)
	if lost < 3 || b.stats.dropFull.Load() != lost {
		t.Fatalf("%d packets lost, %d counted", lost, b.stats.dropFull.Load())
	}
	b.to = good
	fill(b.feed.video, 1, 30, 3000)
	b.pumpAll(&now)
	after := b.received(b.stats.packets.Load() - sent - lost)
	if got := uint16(after[0][2])<<8 | uint16(after[0][3]); got != first+uint16(lost) {
		t.Errorf("sequence %d after the loss, want %d", got, first+uint16(lost))
	}
	b.rtcp(now, &rtcp.TransportLayerNack{MediaSSRC: b.feed.video.SSRC(), Nacks: []rtcp.NackPair{{PacketID: first}}})
	again := b.received(1)[0]
	plain, err := b.theirs.DecryptRTP(nil, again, nil)
	if err != nil {
		t.Fatal(err)
	}
	third, _, _ := b.feed.video.Picture(2)
	if want := packetAt(t, b.feed.video, third).Data; !bytes.Equal(plain[packets.HeaderSize:], want[packets.HeaderSize:]) {
		t.Error("something else came")
	}
}

// FAULTS F7: what no socket on the way holds at once is spread, a key picture of 4 MB
// over a quarter of a second, and arrives whole; a usual one goes out at once.
func TestLargePicturesAreSpread(t *testing.T) {
	b := newBareViewer(t, payloadTypes{video: 108}, srtp.ProtectionProfileAeadAes128Gcm)
	now := time.Now()
	fill(b.feed.video, 1, 1, 500)
	b.join(now)
	b.pumpAll(&now)
	b.received(b.stats.packets.Load())
	for _, tt := range []struct {
		size int
		took time.Duration
	}{{60_000, 0}, {4_000_000, 235 * time.Millisecond}, {60_000, 0}} {
		now = now.Add(time.Second)
		began, before := now, b.stats.packets.Load()
		fill(b.feed.video, 1, 1, tt.size)
		for at, sent := now, b.stats.bytes.Load(); ; {
			more, wait := b.pump(b.scratch, now)
			if now = now.Add(wait); now != at {
				at, sent = now, b.stats.bytes.Load()
			} else if n := b.stats.bytes.Load() - sent; n > trainBytes*11/10 { // sealed
				t.Fatalf("%d bytes at once", n)
			}
			if !more && wait == 0 {
				break
			}
		}
		if took := now.Sub(began); took < tt.took || took > tt.took*3/2 {
			t.Errorf("%d bytes in %v, want %v", tt.size, took, tt.took)
		}
		count := b.stats.packets.Load() - before
		if got := b.received(count); count < uint64(tt.size)/1200 || len(got) != int(count) {
			t.Errorf("%d packets for %d bytes", count, tt.size)
		}
	}
}

// MEDIA W4: a key picture goes out in turns over all viewers, and each time another
// one is the last to have it whole, whatever is sent between two of them.
func TestKeyPicturesGoInTurns(t *testing.T) {
	const first, count = 100, 3
	b := newBareViewer(t, payloadTypes{video: first}, srtp.ProtectionProfileAeadAes128Gcm)
	now := time.Now()
	fill(b.feed.video, 1, 1, 500)
	viewers := []*viewer{b.viewer}
	for i := 1; i < count; i++ {
		viewers = append(viewers, newViewer(b.feed, payloadTypes{video: first + uint8(i)}, b.keys, b.to))
	}
	list := b.feed.shards[0]
	for _, v := range viewers {
		v.train = bucket{rate: 1 << 30, burst: 1 << 30} // else it waits, and that is not the turn
		v.join(now)
		(&bareViewer{viewer: v, scratch: b.scratch}).pumpAll(&now) // it has caught up
		list.replace(func(all []*viewer) []*viewer { return append(all, v) })
	}
	b.received(b.stats.packets.Load())
	sent := b.stats.packets.Load()
	pump := func(size int) []uint8 {
		fill(b.feed.video, 1, 1, size)
		if work, _ := list.pump(b.scratch, nil); len(work) != 0 {
			t.Fatalf("%d viewers have more to send", len(work))
		}
		total := b.stats.packets.Load()
		var of []uint8
		for _, p := range b.received(total - sent) {
			of = append(of, p[1]&^packets.MarkerBit-first)
		}
		sent = total
		return of
	}
	last := map[uint8]int{}
	for range 2 * count {
		pump(500) // with the key picture as many wakes as there are viewers
		pump(500)
		of := pump(3 * transport.MaxBatch * 1200)
		each := len(of) / count
		if each <= 2*transport.MaxBatch {
			t.Fatalf("a key picture of %d packets", each)
		}
		last[of[len(of)-1]]++
		had := map[uint8]int{}
		for i, v := range of {
			had[v]++
			for _, other := range of[:i+1] {
				if had[v]-had[other] > transport.MaxBatch {
					t.Fatalf("viewer %d has %d packets of a key picture, viewer %d has %d", v, had[v], other, had[other])
				}
			}
			if i >= count*transport.MaxBatch && len(had) < count {
				t.Fatalf("only %d viewers had a turn in %d packets", len(had), i)
			}
		}
	}
	for v := range uint8(count) {
		if last[v] != 2 {
			t.Errorf("viewer %d was the last with %d of %d key pictures", v, last[v], 2*count)
		}
	}
}
