package push

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"
	"go.uber.org/goleak"

	"glimpse/internal/media/codec"
	"glimpse/internal/media/frame"
	"glimpse/internal/media/webrtc/packets"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// endpoint is a WHIP endpoint made of somebody else's library.
type testEndpoint struct {
	t       *testing.T
	answer  func(w http.ResponseWriter, r *http.Request) bool // true: answered already
	packets chan *rtp.Packet
	deleted chan struct{}

	mu sync.Mutex
	pc *webrtc.PeerConnection
}

func newTestEndpoint(t *testing.T) (*testEndpoint, string) {
	e := &testEndpoint{t: t, packets: make(chan *rtp.Packet, 1000), deleted: make(chan struct{}, 2)}
	srv := httptest.NewServer(e)
	t.Cleanup(func() {
		srv.Close()
		if e.pc != nil {
			e.pc.GracefulClose()
		}
	})
	return e, srv.URL + "/whip/secret-key"
}

func (e *testEndpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if e.answer != nil && e.answer(w, r) {
		return
	}
	switch {
	case r.Method == http.MethodDelete && r.URL.Path == "/resource/1":
		e.deleted <- struct{}{}
		return
	case r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/sdp":
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	offer, _ := io.ReadAll(r.Body)
	pc, err := webrtc.NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		e.t.Error(err)
		return
	}
	e.mu.Lock()
	e.pc = pc
	e.mu.Unlock()
	pc.OnTrack(func(t *webrtc.TrackRemote, _ *webrtc.RTPReceiver) {
		for {
			p, _, err := t.ReadRTP()
			if err != nil {
				return
			}
			e.packets <- p
		}
	})
	gathered := webrtc.GatheringCompletePromise(pc)
	err = pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: string(offer)})
	answer, err2 := pc.CreateAnswer(nil)
	if err := errors.Join(err, err2, pc.SetLocalDescription(answer)); err != nil {
		e.t.Error(err)
		return
	}
	<-gathered
	w.Header().Set("Location", "/resource/1")
	w.WriteHeader(http.StatusCreated)
	io.WriteString(w, pc.LocalDescription().SDP)
}

func tracks() (video, audio *frame.Track) {
	sps := []byte{0x67, 0x42, 0xc0, 0x1f, 0x8c, 0x8d, 0x40, 0x50, 0x1e, 0xd0, 0x0f, 0x08, 0x84, 0x6a}
	return &frame.Track{Codec: &codec.H264{SPS: sps, PPS: []byte{0x68, 0xce, 0x3c, 0x80}}},
		&frame.Track{Codec: &codec.Opus{Channels: 1}}
}

func picture(n int) []byte {
	b := append([]byte{0, 0, byte(n >> 8), byte(n)}, 0x65)
	for len(b) < n+4 {
		b = append(b, byte(len(b)))
	}
	return b
}

// Pictures and sound arrive whole, in order and in time; the end is told.
func TestPush(t *testing.T) {
	e, url := newTestEndpoint(t)
	video, audio := tracks()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	c, err := Dial(ctx, url, Options{Tracks: []*frame.Track{video, audio}})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		pts := time.Duration(i) * 40 * time.Millisecond
		if err := errors.Join(
			c.WriteFrame(&frame.Frame{Track: video, PTS: pts, DTS: pts, Key: true, Payload: picture(5000)}),
			c.WriteFrame(&frame.Frame{Track: audio, PTS: pts, DTS: pts, Payload: []byte{0xf8, 0xff, 0xfe}}),
		); err != nil {
			t.Fatal(err)
		}
	}
	var pictures, sounds []*rtp.Packet
	for len(pictures) < 18 || len(sounds) < 3 { // parameter sets and five fragments a picture
		select {
		case p := <-e.packets:
			if p.PayloadType == videoPayload {
				pictures = append(pictures, p)
			} else {
				sounds = append(sounds, p)
			}
		case <-ctx.Done():
			t.Fatalf("%d packets of pictures and %d of sound", len(pictures), len(sounds))
		}
	}
	for i, p := range pictures {
		if p.SequenceNumber != pictures[0].SequenceNumber+uint16(i) || p.Marker != (i%6 == 5) ||
			p.Timestamp != pictures[0].Timestamp+uint32(i/6)*40*packets.VideoClock/1000 {
			t.Errorf("packet %d: number %d, marker %v, time %d", i, p.SequenceNumber, p.Marker, p.Timestamp)
		}
	}
	for i, p := range sounds {
		if p.Timestamp != sounds[0].Timestamp+uint32(i)*40*packets.AudioClock/1000 || len(p.Payload) != 3 {
			t.Errorf("sound %d: time %d, %d bytes", i, p.Timestamp, len(p.Payload))
		}
	}
	if err := c.WriteFrame(&frame.Frame{Track: &frame.Track{Codec: &codec.AAC{}}}); !errors.Is(err, ErrTracks) {
		t.Errorf("AAC: %v", err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	select {
	case <-e.deleted:
	case <-ctx.Done():
		t.Fatal("the resource was not deleted")
	}
	if err := c.WriteFrame(&frame.Frame{Track: video, Payload: picture(10)}); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	if err := c.Close(); err != nil || len(e.deleted) != 0 {
		t.Errorf("the second Close: %v, deleted %d times more", err, len(e.deleted))
	}
}

// An endpoint that goes away ends the publication.
func TestPushLost(t *testing.T) {
	e, url := newTestEndpoint(t)
	video, _ := tracks()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	c, err := Dial(ctx, url, Options{Tracks: []*frame.Track{video}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for got := false; !got; { // its side is ready, and will say goodbye
		if err := c.WriteFrame(&frame.Frame{Track: video, Key: true, Payload: picture(10)}); err != nil {
			t.Fatal(err)
		}
		select {
		case <-e.packets:
			got = true
		case <-time.After(50 * time.Millisecond):
		}
	}
	e.mu.Lock()
	e.pc.GracefulClose()
	e.mu.Unlock()
	select {
	case <-c.Done():
	case <-ctx.Done():
		t.Fatal("nothing noticed")
	}
	if err := c.WriteFrame(&frame.Frame{Track: video, Payload: picture(10)}); !errors.Is(err, errLost) {
		t.Errorf("WriteFrame: %v", err)
	}
}

// What endpoints may answer instead of taking the stream.
func TestPushRefused(t *testing.T) {
	video, _ := tracks()
	for _, c := range []struct {
		name    string
		status  int
		body    string
		refused bool
		want    string
	}{
		{"unknown key", 404, "no such stream\nand more", true, "404 Not Found no such stream"},
		{"denied", 401, "", true, "401 Unauthorized"},
		{"broken", 503, "later", false, "answered 503"},
		{"wrong success", 200, "", false, "answered 200"},
		{"no answer", 201, "this is no SDP", false, "the answer cannot be used"},
		{"endless", 201, strings.Repeat("v", maxAnswer+1), false, "answered 201"},
	} {
		t.Run(c.name, func(t *testing.T) {
			e, url := newTestEndpoint(t)
			e.answer = func(w http.ResponseWriter, _ *http.Request) bool {
				w.WriteHeader(c.status)
				io.WriteString(w, c.body)
				return true
			}
			_, err := Dial(t.Context(), url, Options{Tracks: []*frame.Track{video}})
			var refused *RefusedError
			if err == nil || !strings.Contains(err.Error(), c.want) || errors.As(err, &refused) != c.refused || strings.Contains(err.Error(), "secret-key") {
				t.Errorf("%v", err)
			}
		})
	}
	t.Run("nobody", func(t *testing.T) {
		_, err := Dial(t.Context(), "http://127.0.0.1:1/whip/secret-key", Options{Tracks: []*frame.Track{video}})
		if err == nil || strings.Contains(err.Error(), "secret-key") {
			t.Errorf("%v", err)
		}
	})
	t.Run("silent", func(t *testing.T) {
		e, url := newTestEndpoint(t)
		e.answer = func(_ http.ResponseWriter, r *http.Request) bool {
			io.Copy(io.Discard, r.Body) // else the server does not notice that the client has gone
			<-r.Context().Done()
			return true
		}
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if _, err := Dial(ctx, url, Options{Tracks: []*frame.Track{video}}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
	})
}

func TestPushNeedsWhatWebRTCCarries(t *testing.T) {
	video, audio := tracks()
	aac := &frame.Track{Codec: &codec.AAC{}}
	for _, set := range [][]*frame.Track{nil, {audio}, {video, video}, {video, audio, audio}, {video, aac}} {
		if _, err := Dial(t.Context(), "http://127.0.0.1:1/", Options{Tracks: set}); !errors.Is(err, ErrTracks) {
			t.Errorf("%d tracks: %v", len(set), err)
		}
	}
	for _, url := range []string{"", "rtmp://host/live/key", "https://", "http://%zz"} {
		if _, err := Dial(t.Context(), url, Options{Tracks: []*frame.Track{video}}); !errors.Is(err, ErrAddress) {
			t.Errorf("%q: %v", url, err)
		}
	}
}
