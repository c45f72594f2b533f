package cmaf

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"glimpse/internal/media/codec"
	"glimpse/internal/media/frame"
	"glimpse/internal/media/hub"
)

// toAAC is a converter that needs 100 ms to start, or never gives anything.
type toAAC struct {
	mute    bool
	running atomic.Int32
	recalls atomic.Int32 // calls of ConvertAll
}

func (*toAAC) Available() error { return nil }

// ConvertAll needs 100 ms, and says in each packet when it was sent.
func (c *toAAC) ConvertAll(ctx context.Context, sound []*frame.Frame, _ hub.Sound) (made []*frame.Frame, err error) {
	c.recalls.Add(1)
	if c.mute {
		return nil, errors.New("mute")
	}
	select {
	case <-time.After(100 * time.Millisecond):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	first, last := sound[0].PTS, sound[len(sound)-1].PTS
	for n := int64(0); ; n++ {
		at := first + time.Duration(n)*time.Second*codec.AACFrameSamples/48000
		if at > last {
			return made, nil
		}
		made = append(made, &frame.Frame{PTS: at, DTS: at, Payload: fmt.Appendf(nil, "at %d", at.Milliseconds())})
	}
}

func (*toAAC) Straighten(context.Context, *hub.Run, *hub.PictureSink) error { return nil }

func (c *toAAC) Convert(ctx context.Context, run *hub.Run, sink *hub.SoundSink) error {
	c.running.Add(1)
	defer func() { c.running.Add(-1) }()
	rd := run.Subscribe(hub.ReaderOptions{SoundOnly: true, Back: hub.SoundPast})
	defer rd.Close()
	time.Sleep(100 * time.Millisecond)
	fed, next, begun := time.Duration(0), int64(0), false
	for {
		frames, err := rd.Next(ctx, nil)
		if err != nil {
			return err
		}
		for _, f := range frames {
			if !begun {
				next, begun = int64(f.PTS)*48000/int64(time.Second), true
			}
			fed = f.PTS
		}
		for !c.mute {
			at := time.Duration(next) * time.Second / 48000
			if at > fed {
				break
			}
			sink.Write(&frame.Frame{PTS: at, DTS: at, Payload: []byte("sound")})
			next += codec.AACFrameSamples
		}
	}
}

// withOpus publishes pictures for some time, from source time 0, and Opus that is
// heard of so much later.
func withOpus(t *testing.T, h *hub.Hub, d, later time.Duration, each func(at time.Duration)) {
	t.Helper()
	pub, err := h.Publish("key", hub.PublisherInfo{})
	if err != nil {
		t.Fatal(err)
	}
	if err := pub.SetTrack(videoTrack(t, 1)); err != nil {
		t.Fatal(err)
	}
	for i := range int(d / (20 * time.Millisecond)) {
		at := time.Duration(i) * 20 * time.Millisecond
		if at == later {
			if err := pub.SetTrack(&frame.Track{Codec: &codec.Opus{Channels: 2}}); err != nil {
				t.Fatal(err)
			}
		}
		if i%2 == 0 {
			err = pub.Video(at, at, i%100 == 0, payload(300, i%100 == 0))
		} else if at >= later {
			err = pub.Audio(at, []byte{0xfc, 0xff, 0xfe})
		}
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond)
		synctest.Wait()
		each(at)
	}
	pub.Close()
}

// Sound that has to be converted is there, 2 s back, when the first viewer's
// request returns, and is converted only while somebody asks.
func TestFirstViewerFindsSound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := slog.New(slog.DiscardHandler)
		p, conv := New(Config{}, log), &toAAC{}
		h := hub.New(hub.Config{Converter: conv}, log, p.Output)
		defer h.Close()
		stream, err := h.Open(hub.Spec{ID: "s1", IngestKey: "key", PlaybackID: "pb"})
		if err != nil {
			t.Fatal(err)
		}
		var waited time.Duration
		withOpus(t, h, 60*time.Second, 0, func(at time.Duration) {
			store := p.Store(stream.Run())
			switch {
			case at == 10*time.Second:
				if conv.running.Load() != 0 {
					t.Error("converted before anybody asked")
				}
				go func() {
					begun := time.Now()
					store.Watch(t.Context())
					waited = time.Since(begun)
					a := store.Audio().Snapshot()
					last := a.Segments[len(a.Segments)-1]
					for _, seg := range a.Segments { // the first picture stands at 10 s, so this is 20 s
						for i, s := range parse(t, &Snapshot{Segments: []*Segment{seg}}) {
							if isSilence(s.Payload) && duration(seg.Time, 48000)+time.Duration(i)*21*time.Millisecond > 20*time.Second-hub.SoundPast+100*time.Millisecond {
								t.Errorf("silence at sample %d of segment %d", i, seg.Number)
							}
						}
					}
					v := store.Video().Snapshot()
					video := v.Segments[len(v.Segments)-1]
					end := func(s *Segment, rate uint32) time.Duration { return duration(s.Time+s.Ticks, rate) }
					if d := end(video, videoTimescale) - end(last, 48000); d > 500*time.Millisecond {
						t.Errorf("sound ends %v before the pictures", d)
					}
				}()
			case at > 10*time.Second && at < 20*time.Second:
				store.Watch(t.Context())
			case at == 50*time.Second:
				if conv.running.Load() != 0 {
					t.Error("still converted 30 s after the last request")
				}
				v, a := store.Video().Snapshot(), store.Audio().Snapshot()
				parse(t, a)
				if d := int(v.NextNumber) - int(a.NextNumber); d < 2 || d > 4 {
					t.Errorf("unwatched sound is %d segments behind", d)
				}
			}
		})
		if waited < 100*time.Millisecond || waited > 300*time.Millisecond {
			t.Errorf("the first viewer waited for %v", waited)
		}
		stream.Close("test")
	})
}

// A viewer that comes before the second key frame finds sound too, up to the newest
// part: nobody had said that it must be converted when the first one came.
func TestFirstViewerInFirstGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := slog.New(slog.DiscardHandler)
		p := New(Config{}, log)
		h := hub.New(hub.Config{Converter: &toAAC{}}, log, p.Output)
		defer h.Close()
		stream, err := h.Open(hub.Spec{ID: "s1", IngestKey: "key", PlaybackID: "pb"})
		if err != nil {
			t.Fatal(err)
		}
		found := false
		withOpus(t, h, 2*time.Second, 100*time.Millisecond, func(at time.Duration) {
			if at != 1500*time.Millisecond {
				return
			}
			go func() {
				store := p.Store(stream.Run())
				store.Watch(t.Context())
				heard := parse(t, store.Audio().Snapshot())
				found = true
				for i, s := range heard[len(heard)-48:] { // of the last second
					if isSilence(s.Payload) {
						t.Errorf("silence at sample %d", i)
					}
				}
			}()
		})
		if !found {
			t.Error("there is no sound when the viewer is told so")
		}
		stream.Close("test")
	})
}

// A conversion that gives nothing costs the first viewer 1.5 s, once.
func TestViewerDoesNotWaitForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := slog.New(slog.DiscardHandler)
		p := New(Config{}, log)
		h := hub.New(hub.Config{Converter: &toAAC{mute: true}}, log, p.Output)
		defer h.Close()
		stream, err := h.Open(hub.Spec{ID: "s1", IngestKey: "key", PlaybackID: "pb"})
		if err != nil {
			t.Fatal(err)
		}
		withOpus(t, h, 8*time.Second, 0, func(at time.Duration) {
			if at != 5*time.Second {
				return
			}
			go func() {
				store := p.Store(stream.Run())
				for _, most := range []time.Duration{1600 * time.Millisecond, 0} {
					begun := time.Now()
					store.Watch(t.Context())
					if d := time.Since(begun); d > most {
						t.Errorf("waited for %v", d)
					}
				}
				if a, v := store.Audio().Snapshot(), store.Video().Snapshot(); a.NextNumber != v.NextNumber {
					t.Errorf("sound is at segment %d, pictures at %d", a.NextNumber, v.NextNumber)
				}
			}()
		})
		stream.Close("test")
	})
}

// FAULTS F6: sound that comes 30 s late, of whatever codec and parameters, takes the place of
// silence without a new init and without a discontinuity: players have read the
// tracks already.
func TestLateSoundHasTheFormOfSilence(t *testing.T) {
	for name, late := range map[string]*frame.Track{
		"AAC": audioTrack(t, "1208"), "Opus": {Codec: &codec.Opus{Channels: 2}}, // 44.1 kHz mono
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, h, stream := packaged(t, &toAAC{})
				pub, err := h.Publish("key", hub.PublisherInfo{})
				if err != nil {
					t.Fatal(err)
				}
				defer pub.Close()
				if err := pub.SetTrack(videoTrack(t, 1)); err != nil {
					t.Fatal(err)
				}
				for i := range 2000 {
					at := time.Duration(i) * 20 * time.Millisecond
					if at == 30*time.Second {
						if err := pub.SetTrack(late); err != nil {
							t.Fatal(err)
						}
					}
					if i%2 == 0 {
						err = pub.Video(at, at, i%100 == 0, payload(300, i%100 == 0))
					} else if at > 30*time.Second {
						err = pub.Audio(at, []byte{0xfc, 0xff, 0xfe})
					}
					if err != nil {
						t.Fatal(err)
					}
					time.Sleep(20 * time.Millisecond)
					synctest.Wait()
					if i%50 == 1 {
						go p.Store(stream.Run()).Watch(t.Context())
					}
				}
				a := p.Store(stream.Run()).Audio().Snapshot()
				heard := 0
				for _, s := range parse(t, a) {
					if !isSilence(s.Payload) {
						heard++
					}
				}
				if want := 9 * 48000 / 1024; heard < want {
					t.Errorf("%d packets of sound in 10 s", heard)
				}
				for _, seg := range a.Segments {
					if seg.Init.Number != 0 || seg.Discontinuity {
						t.Errorf("segment %d has init %d, discontinuity %t", seg.Number, seg.Init.Number, seg.Discontinuity)
					}
				}
			})
		})
	}
}
