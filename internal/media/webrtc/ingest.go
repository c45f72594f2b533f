package webrtc

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	"glimpse/internal/media/hub"
	"glimpse/internal/media/webrtc/receive"
	"glimpse/internal/media/webrtc/transport"
)

// publisher is one WHIP resource: an encoder from its POST to its end. The
// transport's goroutines bring its packets and ask for its feedback; one of its own
// waits for its end.
type publisher struct {
	server *Server
	out    *hub.Publisher
	log    *slog.Logger
	id     string
	key    [32]byte // SHA-256
	bearer bool     // the key came as a token
	offer  *offer
	peer   *transport.Peer

	ctx   context.Context // ends with the publisher
	end   context.CancelCauseFunc
	over  chan struct{} // closed when serve is over
	asked chan struct{} // a viewer wants a key frame

	link atomic.Pointer[hub.Link]

	mu       sync.Mutex
	keys     *transport.Keys // nil until the handshake is over
	to       transport.Destination
	receiver *receive.Receiver
	header   rtp.Header
	scratch  []byte
}

var _ transport.Handler = (*publisher)(nil)

func newPublisher(s *Server, key [32]byte, bearer bool) *publisher {
	p := &publisher{
		server: s, key: key, bearer: bearer, id: rand.Text(),
		over: make(chan struct{}), asked: make(chan struct{}, 1), scratch: make([]byte, 0, 2048),
	}
	p.log = s.log.With("session", p.id[:8])
	p.ctx, p.end = context.WithCancelCause(s.ctx)
	return p
}

// reason is why a publisher left, in words for the log.
type reason string

func (r reason) Error() string { return string(r) }

// status is how the network treats the publisher, as of the newest feedback.
func (p *publisher) status() hub.Link {
	if l := p.link.Load(); l != nil {
		return *l
	}
	return hub.Link{}
}

// leave makes serve end.
func (p *publisher) leave(why string) { p.end(reason(why)) }

// askKey asks for a key frame; never blocks.
func (p *publisher) askKey() {
	select {
	case p.asked <- struct{}{}:
	default:
	}
}

// formats are the payload types that were agreed on.
func (p *publisher) formats() receive.Formats {
	video := p.offer.accepted("video")
	f := receive.Formats{Video: video.pt, RTX: video.rtx}
	if video.twcc {
		f.Sequence = video.seq
	}
	if a := p.offer.accepted("audio"); a != nil {
		f.Audio = a.pt
	}
	return f
}

// Connected begins receiving.
func (p *publisher) Connected(k *transport.Keys, to transport.Destination) {
	var ssrc [4]byte
	_, _ = rand.Read(ssrc[:])
	f, now := p.formats(), time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	if f.Audio != 0 {
		p.out.ExpectAudio()
	}
	p.keys, p.to = k, to
	p.receiver = receive.New(f, p.out, p.log, binary.BigEndian.Uint32(ssrc[:]), now)
	p.server.stats.publishers.Add(1)
	p.log.Info("whip publisher connected", "after", now.Sub(p.peer.Since()).Round(time.Millisecond), "tcp", to.Reliable())
}

// Moved sends feedback to another address from now on.
func (p *publisher) Moved(to transport.Destination) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.to = to
}

// Missed needs nothing: what the client sends first is media.
func (p *publisher) Missed(time.Time) {}

// Ended lets the publisher go.
func (p *publisher) Ended(why string) { p.leave(why) }

// Received takes media and reports into the stream.
func (p *publisher) Received(b []byte, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.keys == nil || p.ctx.Err() != nil {
		return
	}
	if isControl(b) {
		plain, err := p.keys.OpenControl(b)
		if err != nil {
			p.server.stats.dropForged.Add(1)
			return
		}
		p.out.Heard()
		p.receiver.Control(plain, now)
		return
	}
	p.header = rtp.Header{CSRC: p.header.CSRC[:0], Extensions: p.header.Extensions[:0]} // their memory alone is used again
	plain, err := p.keys.OpenMedia(p.scratch[:0], b, &p.header)
	if err != nil {
		p.server.stats.dropForged.Add(1)
		return
	}
	payload := plain[p.header.MarshalSize():]
	if n := len(payload); p.header.Padding && n > 0 {
		payload = payload[:max(0, n-int(payload[n-1]))]
	}
	if err := p.receiver.Media(&p.header, payload, now); err != nil {
		p.end(err)
	}
}

// serve waits until the publisher leaves or is let go, and then clears up. For the
// server's goroutine.
func (p *publisher) serve() {
	defer close(p.over)
	for p.ctx.Err() == nil {
		select {
		case <-p.ctx.Done():
		case <-p.out.Done():
			p.end(p.out.Err())
		case <-p.asked:
			p.mu.Lock()
			if p.receiver != nil {
				p.receiver.WantKey(time.Now())
			}
			p.mu.Unlock()
		}
	}
	p.finish(context.Cause(p.ctx))
}

// feedback tells the publisher what is due.
func (p *publisher) feedback(now time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.receiver == nil {
		return nil
	}
	due, err := p.receiver.Feedback(now)
	if err != nil {
		return err
	}
	if len(due) > 0 {
		st := p.receiver.Stats()
		p.link.Store(&hub.Link{Lost: st.Lost, Resent: st.Recovered, Latency: receive.Patience})
	}
	for _, compound := range due {
		raw, err := rtcp.Marshal(compound)
		if err != nil {
			return err
		}
		sealed, err := p.keys.SealControl(raw)
		if err != nil {
			return err
		}
		_ = p.to.Send(sealed) // what goes wrong is as good as lost
	}
	return nil
}

// finish ends the publisher; the peer is told.
func (p *publisher) finish(why error) {
	s := p.server
	s.mu.Lock()
	delete(s.publishers, p.id)
	s.mu.Unlock()
	p.peer.Close()
	p.out.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.receiver == nil {
		p.log.Info("whip session ended before it connected", "reason", why)
		return
	}
	s.stats.publishers.Add(-1)
	st := p.receiver.Stats()
	p.log.Info("whip publisher left", "reason", why, "packets", st.Packets, "lost", st.Lost,
		"recovered", st.Recovered, "pictures_dropped", st.Dropped, "keys_asked", st.KeyAsked)
}
