package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/bluenviron/gortmplib"
	"github.com/bluenviron/gortmplib/pkg/message"
	"github.com/pion/webrtc/v4"
)

// reader plays a URL until ctx ends and calls seen with the age of each picture
// when it arrives.
type reader func(ctx context.Context, url string, seen func(time.Duration)) error

// readRTMP plays by RTMP.
func readRTMP(ctx context.Context, rawURL string, seen func(time.Duration)) error {
	u, err := url.Parse(rawURL)
	if err != nil {
		return err
	}
	// The library takes the stream's name as the fragment.
	app, name := path.Split(u.Path)
	u.Path, u.Fragment = strings.TrimSuffix(app, "/"), name
	c := &gortmplib.Client{URL: u}
	if err := c.Initialize(ctx); err != nil {
		return err
	}
	defer context.AfterFunc(ctx, c.Close)()
	defer c.Close()
	for {
		m, err := c.Read()
		if err != nil {
			return ended(ctx, err)
		}
		if v, ok := m.(*message.Video); ok && v.Type == message.VideoTypeAU {
			stamps(v.AU, time.Now(), seen)
		}
	}
}

// ended hides the error of a reader that was stopped.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// readHLS plays the pictures' playlist of LL-HLS: a held list, then the part it
// announces, as hls.js does.
func readHLS(ctx context.Context, master string, seen func(time.Duration)) error {
	list, err := fetch(ctx, master)
	if err != nil {
		return err
	}
	at := master
	for line := range strings.Lines(string(list)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			at = resolve(master, line)
			break
		}
	}
	done, query := "", ""
	for ctx.Err() == nil {
		list, err := fetch(ctx, at+query)
		if err != nil {
			return ended(ctx, err)
		}
		parts, msn, part := parseParts(string(list))
		if len(parts) == 0 {
			continue
		}
		last := parts[len(parts)-1]
		if last != done {
			body, err := fetch(ctx, resolve(at, last))
			if err != nil {
				return ended(ctx, err)
			}
			stamps(body, time.Now(), seen)
			done = last
		}
		query = fmt.Sprintf("?_HLS_msn=%d&_HLS_part=%d", msn, part)
	}
	return nil
}

// parseParts returns the URIs of a media playlist's parts and the number of the
// next one.
func parseParts(list string) (uris []string, msn, part int) {
	for line := range strings.Lines(list) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "#EXT-X-MEDIA-SEQUENCE:"):
			_, _ = fmt.Sscanf(line, "#EXT-X-MEDIA-SEQUENCE:%d", &msn)
		case strings.HasPrefix(line, "#EXT-X-PART:"):
			if _, rest, ok := strings.Cut(line, `URI="`); ok {
				uri, _, _ := strings.Cut(rest, `"`)
				uris = append(uris, uri)
				part++
			}
		case line != "" && !strings.HasPrefix(line, "#"):
			msn, part = msn+1, 0
		}
	}
	return uris, msn, part
}

func resolve(base, ref string) string {
	b, err := url.Parse(base)
	if err != nil {
		return ref
	}
	r, err := b.Parse(ref)
	if err != nil {
		return ref
	}
	return r.String()
}

// fetch retries while the stream is not live.
func fetch(ctx context.Context, at string) ([]byte, error) {
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
		if err != nil {
			return nil, err
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return nil, err
		}
		body, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if err != nil || res.StatusCode == http.StatusOK {
			return body, err
		}
		if res.StatusCode != http.StatusServiceUnavailable {
			return nil, fmt.Errorf("GET %s: %s", at, res.Status)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// readWHEP plays by WebRTC.
func readWHEP(ctx context.Context, at string, seen func(time.Duration)) error {
	pc, err := webrtc.NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		return err
	}
	defer func() { _ = pc.Close() }()
	for _, kind := range []webrtc.RTPCodecType{webrtc.RTPCodecTypeVideo, webrtc.RTPCodecTypeAudio} {
		init := webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionRecvonly}
		if _, err := pc.AddTransceiverFromKind(kind, init); err != nil {
			return err
		}
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	defer func() { _ = pc.Close() }()
	pc.OnTrack(func(t *webrtc.TrackRemote, _ *webrtc.RTPReceiver) {
		if t.Kind() == webrtc.RTPCodecTypeVideo {
			wg.Go(func() { readTrack(t, seen) })
		}
	})
	if err := negotiate(ctx, pc, at); err != nil {
		return ended(ctx, err)
	}
	<-ctx.Done()
	return nil
}

// readTrack looks for stamps at the end of each picture: in its last packet, or
// cut in two by the one before.
func readTrack(t *webrtc.TrackRemote, seen func(time.Duration)) {
	var tail []byte
	for {
		p, _, err := t.ReadRTP()
		if err != nil {
			return
		}
		payload := p.Payload
		if len(payload) > 2 && payload[0]&0x1f == 28 { // FU-A: the rest of the unit follows its two bytes
			payload = payload[2:]
		}
		tail = append(tail, payload...)
		tail = tail[max(0, len(tail)-4096):]
		if p.Marker {
			stamps(tail, time.Now(), seen)
			tail = tail[:0]
		}
	}
}

func negotiate(ctx context.Context, pc *webrtc.PeerConnection, at string) error {
	offer, err := pc.CreateOffer(nil)
	if err != nil {
		return err
	}
	gathered := webrtc.GatheringCompletePromise(pc)
	if err := pc.SetLocalDescription(offer); err != nil {
		return err
	}
	<-gathered
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, at, strings.NewReader(pc.LocalDescription().SDP))
		if err != nil {
			return err
		}
		req.Header.Set("Content-Type", "application/sdp")
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		answer, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		switch {
		case err != nil:
			return err
		case res.StatusCode == http.StatusCreated:
			return pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: string(answer)})
		case res.Header.Get("Retry-After") == "":
			return fmt.Errorf("POST %s: %s: %s", at, res.Status, answer)
		}
		time.Sleep(5 * time.Millisecond)
	}
}
