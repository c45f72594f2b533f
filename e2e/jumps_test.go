package e2e

import (
	"bytes"
	"context"
	"net/url"
	"testing"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/formats/mpegts"
	tscodecs "github.com/bluenviron/mediacommon/v2/pkg/formats/mpegts/codecs"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mpegts/substructs"

	"glimpse/internal/media/srt/live"
)

// publishSRT sends the clip by SRT, in another maker's MPEG-TS, until the test ends.
func (e *enhanced) publishSRT(t *testing.T, target string) {
	t.Helper()
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	conn, err := live.Dial(ctx, u.Host, live.Options{StreamID: u.Query().Get("streamid")})
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	video, sound := &mpegts.Track{Codec: &tscodecs.H264{}}, &mpegts.Track{Codec: &tscodecs.Opus{Desc: &substructs.OpusAudioDescriptor{ChannelConfigCode: 2}}}
	w := &mpegts.Writer{W: &b, Tracks: []*mpegts.Track{video, sound}}
	if err := w.Initialize(); err != nil {
		t.Fatal(err)
	}
	ticks := func(d time.Duration) int64 {
		return int64(d/time.Second)*90000 + int64(d%time.Second)*90000/int64(time.Second)
	}
	stop := e.loop(t, func(base time.Duration, u enhancedUnit) error {
		pts, dts, ok := e.stamp(base, u)
		if !ok {
			return nil
		}
		var err error
		if u.sound {
			err = w.WriteOpus(sound, ticks(pts), u.au)
		} else {
			err = w.WriteH264(video, ticks(pts), ticks(dts), u.au)
		}
		for err == nil && b.Len() > 0 {
			_, err = conn.Write(bytes.Clone(b.Next(7 * 188)))
		}
		return err
	})
	t.Cleanup(func() { stop(func() { _ = conn.Close() }) })
}

// jumpy is an encoder's clock that goes wrong each 2 s: it jumps an hour ahead and
// back, stands still for six pictures at a time, goes back by half a second, and
// passes the end of its protocol's numbers. It stops after 14 s.
func jumpy(wrap time.Duration) func(time.Duration) time.Duration {
	const start = 2 * time.Hour
	return func(at time.Duration) time.Duration {
		switch at / (2 * time.Second) {
		case 1:
			return start + time.Hour + at
		case 3:
			return start + at.Truncate(200*time.Millisecond)
		case 4:
			return start - 500*time.Millisecond + at
		case 5, 6:
			return wrap - 12*time.Second + at
		case 0, 2:
			return start + at
		}
		return -1
	}
}

// An encoder's clock that jumps, stands still, steps back and wraps, through real
// sockets: every picture comes out, in order and at most a second apart, by RTMP,
// WebRTC and LL-HLS, whose playlists have no discontinuity for it.
//
// F4
func TestEncoderClockJumps(t *testing.T) {
	parallel(t, nil)
	clip := encodeOpus(t, beeping)
	for _, way := range []struct {
		name    string
		wrap    time.Duration
		last    int // pictures that are not known to be whole before the next one begins
		publish func(*enhanced, *testing.T, stream)
	}{
		{"rtmp", (1 << 32) * time.Millisecond, 0, func(e *enhanced, t *testing.T, s stream) { e.publish(t, s.Ingest["rtmp"]) }},
		{"srt", (1 << 33) * time.Second / 90000, 1, func(e *enhanced, t *testing.T, s stream) { e.publishSRT(t, s.Ingest["srt"]) }},
	} {
		t.Run(way.name, func(t *testing.T) {
			parallel(t, others)
			c := startCloud(t, withSRT)
			s := c.newStream()
			e := &enhanced{video: clip.video, length: clip.length, units: clip.units, clock: jumpy(way.wrap)}
			rtmp, whep, parts := &sight{}, &sight{}, &sight{}
			reader := start(t, "ffmpeg rtmp reader", nil, framecrc("-i", s.Play["rtmp"], "-c", "copy")...) // there before the second key frame
			way.publish(e, t, s)
			c.wantStatus(s.ID, "live")
			go rtmp.follow(reader)
			whep.watchPackets(t, s.Play["whep"])
			parts.watchParts(t, s.Play["hls"])
			list := watchPlaylist(t, s.Play["hls"][:len(s.Play["hls"])-len("index.m3u8")]+"video.m3u8")
			eventually(t, "the clock has stopped", func() bool { return e.sent.Load() == 14*30 })
			for name, r := range map[string]*sight{"rtmp": rtmp, "whep": whep, "ll-hls": parts} {
				want := 14*30 - way.last - 1 // from one to the next
				if name != "rtmp" {
					want = 200 // they came later
				}
				within(t, 4*time.Second, name+" has the pictures", func() bool {
					r.mu.Lock()
					defer r.mu.Unlock()
					return r.pictures >= want
				})
				t.Logf("%s: %d pictures, %v to %v apart", name, r.pictures, r.least, r.most)
				if r.least <= 0 || r.most > time.Second || name == "rtmp" && r.pictures != want {
					t.Errorf("%s: %d pictures, %v to %v apart", name, r.pictures, r.least, r.most)
				}
			}
			list.end()
			if len(list.faults) > 0 || list.asked < 20 {
				t.Errorf("the playlist, asked %d times: %q", list.asked, list.faults)
			}
		})
	}
}
