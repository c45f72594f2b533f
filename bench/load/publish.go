package load

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"glimpse/internal/glasses/clip"
	"glimpse/internal/glasses/source"
	"glimpse/internal/media/frame"
	"glimpse/internal/media/rtmp"
	"glimpse/internal/media/srt"
	"glimpse/internal/media/webrtc/push"
)

// Film is what publishers send: the project's clip, its pictures made longer to a
// bitrate.
type Film struct {
	aac, opus *source.File
	scale     float64 // length of a picture, in its own
}

// clipBitrate of the clip's pictures, in bits a second.
const clipBitrate = 1_175_000

// Open reads the clip. bitrate is in bits a second; the clip's own is the least.
func Open(bitrate int) (*Film, error) {
	r := clip.Open()
	file, err := source.Read(r, r.Size())
	if err != nil {
		return nil, err
	}
	return &Film{aac: file, opus: file.WithSound("Opus"), scale: max(1, float64(bitrate)/clipBitrate)}, nil
}

// client is a publisher of one protocol.
type client interface {
	WriteFrame(*frame.Frame) error
	io.Closer
}

// Publisher feeds the film to a URL until Stop.
type Publisher struct {
	Began  time.Time // when it began to connect
	cancel context.CancelFunc
	wg     sync.WaitGroup
	client client

	mu  sync.Mutex
	err error
}

// Publish connects to an rtmp, srt, http or https URL (the last two by WHIP, with
// Opus; the others with AAC) and plays the film from its beginning, in real time.
func (f *Film) Publish(ctx context.Context, url string) (*Publisher, error) {
	p := &Publisher{Began: time.Now()}
	scheme, _, _ := strings.Cut(url, "://")
	film := f.aac
	var err error
	switch scheme {
	case "rtmp":
		p.client, err = rtmp.Dial(ctx, url, rtmp.Options{Tracks: film.Tracks()})
	case "srt":
		p.client, err = srt.Dial(ctx, url, srt.Options{Tracks: film.Tracks()})
	case "http", "https":
		film = f.opus
		p.client, err = push.Dial(ctx, url, push.Options{Tracks: film.Tracks()})
	default:
		return nil, fmt.Errorf("publish: no way to %q", scheme)
	}
	if err != nil {
		return nil, err
	}
	ctx, p.cancel = context.WithCancel(ctx)
	p.wg.Go(func() { p.fail(p.play(ctx, film.Player(), f.scale)) })
	return p, nil
}

// play writes frames when they are due.
func (p *Publisher) play(ctx context.Context, player *source.Player, scale float64) error {
	began, number := time.Now(), uint32(0)
	due := time.NewTimer(0)
	defer due.Stop()
	var buf []byte
	for {
		f, err := player.Next()
		if err != nil {
			return err
		}
		due.Reset(time.Until(began.Add(f.DTS)))
		select {
		case <-due.C:
		case <-ctx.Done():
			return nil
		}
		if f.IsVideo() {
			pad := int(float64(len(f.Payload)) * (scale - 1))
			buf = appendStamped(buf[:0], f.Payload, pad, Stamp{number, time.Now()})
			f.Payload = buf
			number++
		}
		if err := p.client.WriteFrame(f); err != nil {
			return ended(ctx, err)
		}
	}
}

func (p *Publisher) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.err = err
}

// Stop ends publishing and returns what went wrong before.
func (p *Publisher) Stop() error {
	p.cancel()
	p.wg.Wait()
	_ = p.client.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}
