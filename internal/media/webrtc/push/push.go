package push

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/interceptor"
	"github.com/pion/transport/v4"
	"github.com/pion/webrtc/v4"

	"glimpse/internal/media/codec"
	"glimpse/internal/media/frame"
	"glimpse/internal/media/webrtc/packets"
)

// Options of Dial.
type Options struct {
	// Tracks are published: one H.264 track and at most one Opus track.
	Tracks []*frame.Track
	// HTTP makes the requests; nil is http.DefaultClient.
	HTTP *http.Client
	// Net makes the sockets of the media; nil is the system's.
	Net transport.Net
}

// The errors of a Client, besides *RefusedError and those of the network.
var (
	ErrClosed = errors.New("whip: closed")
	ErrTracks = errors.New("whip: a stream is one H.264 track and at most one Opus track")
	errLost   = errors.New("whip: the connection was lost")
)

// Client publishes one stream. WriteFrame is for one goroutine at a time; the
// other methods may be called from anywhere.
type Client struct {
	pc       *webrtc.PeerConnection
	endpoint *endpoint
	video    *lane
	audio    *lane // nil without sound

	up     chan struct{} // closed when media can flow
	done   chan struct{} // closed when the connection is over
	upOnce sync.Once
	over   sync.Once
	ended  error // why; valid after done

	close   sync.Once
	readers sync.WaitGroup // of feedback
}

// lane is one track on its way.
type lane struct {
	track *webrtc.TrackLocalStaticRTP
	codec string // its name
	clock int64
	seq   uint16
	base  uint32 // timestamp of the stream's 0
}

// Dial publishes to an https or http URL. It returns when media can flow, or when
// ctx ends. Errors never show the URL.
func Dial(ctx context.Context, rawURL string, o Options) (*Client, error) {
	e, err := newEndpoint(rawURL, o.HTTP)
	if err != nil {
		return nil, err
	}
	c := &Client{endpoint: e, up: make(chan struct{}), done: make(chan struct{})}
	video, audio, err := codec.ForWebRTC(o.Tracks)
	if err != nil {
		return nil, fmt.Errorf("%w, not %w", ErrTracks, err)
	}
	if err := c.prepare(video, audio, o.Net); err != nil {
		return nil, err
	}
	if err := c.connect(ctx); err != nil {
		_ = c.Close()
		return nil, err
	}
	return c, nil
}

// A connection on which nothing is heard for silentAfter and lostAfter together is
// lost. The first packet waits for settle.
const (
	silentAfter = 5 * time.Second
	lostAfter   = 7 * time.Second
	checkEvery  = 2 * time.Second
	settle      = 20 * time.Millisecond
)

// The payload types of the offer.
const (
	videoPayload = 96
	audioPayload = 111
)

// prepare makes the connection with its tracks.
func (c *Client) prepare(video *codec.H264, audio *codec.Opus, net transport.Net) error {
	media, chain := &webrtc.MediaEngine{}, &interceptor.Registry{}
	h264 := webrtc.RTPCodecCapability{
		MimeType: webrtc.MimeTypeH264, ClockRate: packets.VideoClock,
		SDPFmtpLine:  fmt.Sprintf("level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=%x", video.SPS[1:4]),
		RTCPFeedback: []webrtc.RTCPFeedback{{Type: "nack"}, {Type: "nack", Parameter: "pli"}},
	}
	opus := webrtc.RTPCodecCapability{
		MimeType: webrtc.MimeTypeOpus, ClockRate: packets.AudioClock, Channels: 2, SDPFmtpLine: "minptime=10;useinbandfec=1",
	}
	if audio != nil && audio.Channels == 2 {
		opus.SDPFmtpLine += ";stereo=1;sprop-stereo=1"
	}
	err := errors.Join(
		media.RegisterCodec(webrtc.RTPCodecParameters{RTPCodecCapability: h264, PayloadType: videoPayload}, webrtc.RTPCodecTypeVideo),
		media.RegisterCodec(webrtc.RTPCodecParameters{RTPCodecCapability: opus, PayloadType: audioPayload}, webrtc.RTPCodecTypeAudio),
		webrtc.ConfigureNack(media, chain), webrtc.ConfigureRTCPReports(chain),
	)
	if err != nil {
		return fmt.Errorf("whip: %w", err)
	}
	var settings webrtc.SettingEngine
	settings.SetNet(net)
	settings.SetICETimeouts(silentAfter, lostAfter, checkEvery)
	settings.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	settings.SetIncludeLoopbackCandidate(true) // an endpoint on this machine may listen there only
	api := webrtc.NewAPI(webrtc.WithMediaEngine(media), webrtc.WithInterceptorRegistry(chain), webrtc.WithSettingEngine(settings))
	if c.pc, err = api.NewPeerConnection(webrtc.Configuration{BundlePolicy: webrtc.BundlePolicyMaxBundle}); err != nil {
		return fmt.Errorf("whip: %w", err)
	}
	c.pc.OnConnectionStateChange(c.changed)
	if c.video, err = c.lane(h264, video.Name(), "video", packets.VideoClock); err == nil && audio != nil {
		c.audio, err = c.lane(opus, audio.Name(), "audio", packets.AudioClock)
	}
	if err != nil {
		_ = c.pc.Close()
		return fmt.Errorf("whip: %w", err)
	}
	return nil
}

// lane adds a track and reads its feedback, which the interceptors act on.
func (c *Client) lane(capability webrtc.RTPCodecCapability, codec, name string, clock int64) (*lane, error) {
	track, err := webrtc.NewTrackLocalStaticRTP(capability, name, "glimpse")
	if err != nil {
		return nil, err
	}
	t, err := c.pc.AddTransceiverFromTrack(track, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionSendonly})
	if err != nil {
		return nil, err
	}
	c.readers.Go(func() {
		buf := make([]byte, 1500)
		for {
			if _, _, err := t.Sender().Read(buf); err != nil {
				return
			}
		}
	})
	return &lane{track: track, codec: codec, clock: clock, seq: uint16(rand.Uint32()), base: rand.Uint32()}, nil
}

// connect offers, takes the answer and waits until media can flow.
func (c *Client) connect(ctx context.Context) error {
	offer, err := c.pc.CreateOffer(nil)
	if err != nil {
		return fmt.Errorf("whip: %w", err)
	}
	gathered := webrtc.GatheringCompletePromise(c.pc)
	if err := c.pc.SetLocalDescription(offer); err != nil {
		return fmt.Errorf("whip: %w", err)
	}
	select {
	case <-gathered:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	answer, err := c.endpoint.offer(ctx, c.pc.LocalDescription().SDP)
	if err != nil {
		return err
	}
	if err := c.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: answer}); err != nil {
		return fmt.Errorf("whip: the answer cannot be used: %w", err)
	}
	select {
	case <-c.up:
	case <-c.done:
		return c.ended
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	time.Sleep(settle) // the other side may still be at its end of the handshake: a key frame lost is a second lost
	return nil
}

// changed follows the connection's state.
func (c *Client) changed(s webrtc.PeerConnectionState) {
	switch s {
	case webrtc.PeerConnectionStateConnected:
		c.upOnce.Do(func() { close(c.up) })
	case webrtc.PeerConnectionStateFailed, webrtc.PeerConnectionStateClosed:
		c.end(errLost)
	}
}

func (c *Client) end(why error) {
	c.over.Do(func() {
		c.ended = why
		close(c.done)
	})
}

// WriteFrame sends a frame; it does not wait for the network, which loses what it
// cannot take. Frames of other codecs than the tracks' are ErrTracks. The payload
// is not kept. Errors otherwise: those of a connection that is over, ErrClosed
// after Close.
func (c *Client) WriteFrame(f *frame.Frame) error {
	select {
	case <-c.done:
		return c.ended
	default:
	}
	switch name := f.Track.Codec.Name(); {
	case name == c.video.codec:
		return c.send(c.video, packets.Packetise(nil, f, 0, c.video.timestamp(f.PTS)))
	case c.audio != nil && name == c.audio.codec:
		return c.send(c.audio, [][]byte{packets.Sound(f.Payload, 0, c.audio.timestamp(f.PTS))})
	}
	return ErrTracks
}

func (l *lane) timestamp(pts time.Duration) uint32 { return l.base + packets.Ticks(pts, l.clock) }

func (c *Client) send(l *lane, all [][]byte) error {
	for _, p := range all {
		if p == nil { // an Opus packet that is larger than any path
			continue
		}
		packets.SetSequence(p, l.seq)
		l.seq++
		if _, err := l.track.Write(p); err != nil {
			select {
			case <-c.done:
				return c.ended
			default:
				return fmt.Errorf("whip: send: %w", err)
			}
		}
	}
	return nil
}

// Done is closed when the connection is over.
func (c *Client) Done() <-chan struct{} { return c.done }

// Close tells the endpoint, within 2 s, and ends the connection. A WriteFrame
// under way returns. Idempotent; its error is the endpoint's answer to the end.
func (c *Client) Close() error {
	var err error
	c.close.Do(func() {
		c.end(ErrClosed)
		err = c.endpoint.delete()
		_ = c.pc.GracefulClose()
		c.readers.Wait()
	})
	return err
}
