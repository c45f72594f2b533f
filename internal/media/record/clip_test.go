package record

import (
	"errors"
	"io"
	"log/slog"
	"testing"
	"time"

	amp4 "github.com/abema/go-mp4"

	"glimpse/internal/media/cmaf"
	"glimpse/internal/media/hub"
)

// clipped reads a clip as a library of others does.
func (s *stage) clipped(id string) *amp4.ProbeInfo {
	s.Helper()
	f, size, err := s.disk.disk.Open(id + ".mp4")
	if err != nil {
		s.Fatal(err)
	}
	defer f.Close()
	p, err := amp4.Probe(io.NewSectionReader(f, 0, size))
	if err != nil {
		s.Fatal(err)
	}
	if !p.FastStart || len(p.Tracks) != 2 {
		s.Fatalf("%+v", p)
	}
	return p
}

// withWindow adds a packager to the stage's hub.
func (s *stage) withWindow(cfg cmaf.Config) *cmaf.Packager {
	s.Helper()
	s.hub.Close()
	packs := cmaf.New(cfg, slog.New(slog.DiscardHandler))
	s.hub = hub.New(hub.Config{}, slog.New(slog.DiscardHandler), packs.Output, s.rec.Output)
	var err error
	s.stream, err = s.hub.Open(hub.Spec{ID: "cam", IngestKey: "key", PlaybackID: "play", Name: "door", Standing: true, ResumeWindow: 20 * time.Second})
	if err != nil {
		s.Fatal(err)
	}
	return packs
}

// A clip of a stream that is not recorded comes out of memory, to the tenth of a
// second as it was asked for, wherever key frames are.
func TestClipOfWindow(t *testing.T) {
	play(t, Config{}, func(s *stage) {
		packs := s.withWindow(cmaf.Config{})
		src := s.publish(videoTrack(t, 0))
		src.run(30 * time.Second)
		now := time.Now()
		for _, c := range []struct {
			name   string
			span   Span
			length float64
		}{
			{"last", Span{Last: 7300 * time.Millisecond}, 7.3},
			{"between", Span{From: now.Add(-20 * time.Second), To: now.Add(-16500 * time.Millisecond)}, 3.5},
			{"all", Span{Last: 50 * time.Second}, 30},
			{"short", Span{From: now.Add(-10500 * time.Millisecond), To: now.Add(-10400 * time.Millisecond)}, 0.1},
		} {
			in, err := s.rec.Clip(s.Context(), packs, s.stream, c.span, "com.example")
			if err != nil {
				t.Errorf("%s: %v", c.name, err)
				continue
			}
			if in.Kind != Clip || in.By != "com.example" || in.Name != "door" || !near(in.Duration, c.length, 0.3) && c.length > 20 || !near(in.Duration, c.length, 0.001) && c.length < 20 {
				t.Errorf("%s: %+v", c.name, in)
			}
			p := s.clipped(in.ID)
			if c.span.Last == 0 && !withPicture(in, c.span) {
				t.Errorf("%s: begins at %v, want %v", c.name, in.Started, c.span.From)
			}
			if !near(float64(p.Duration)/90000, in.Duration, 0.001) {
				t.Errorf("%s: the movie lasts %d, want %v s", c.name, p.Duration, in.Duration)
			}
			video := p.Tracks[0]
			shown := video.EditList[len(video.EditList)-1]
			if before := float64(shown.MediaTime) / 90000; before < 0 || before >= 1.05 {
				t.Errorf("%s: %v s stand before the in-point, more than to the key frame", c.name, before)
			}
			if shown.MediaTime%(90000/25) != 0 {
				t.Errorf("%s: begins within a picture: %+v", c.name, shown)
			}
			if n := float64(len(video.Samples)) / 25; n < in.Duration-0.05 || n > in.Duration+1.1 {
				t.Errorf("%s: pictures of %v s for %v s", c.name, n, in.Duration)
			}
		}
		if n := len(s.told(EventClipped)); n != 4 {
			t.Errorf("told of %d clips, want 4", n)
		}
		s.wantNoEmpty()
	})
}

// withPicture reports whether a clip begins when it should, or with the picture that
// is shown then already.
func withPicture(in Info, span Span) bool {
	early := span.From.Sub(in.Started)
	return early > -time.Millisecond && early < time.Second/25+time.Millisecond
}

// Of older times a clip comes out of the recording, in progress or finished, and
// is as exact.
func TestClipOfRecording(t *testing.T) {
	play(t, Config{Policy: Always}, func(s *stage) {
		packs := s.withWindow(cmaf.Config{Window: 4 * time.Second})
		src := s.publish(videoTrack(t, 0))
		began := time.Now()
		src.run(30 * time.Second)
		span := Span{From: began.Add(5300 * time.Millisecond), To: began.Add(9 * time.Second)}
		check := func(in Info, err error) {
			t.Helper()
			if err != nil || !near(in.Duration, 3.7, 0.001) || !withPicture(in, span) {
				t.Fatalf("%+v, %v", in, err)
			}
			p := s.clipped(in.ID)
			if v := p.Tracks[0]; !near(float64(v.EditList[0].MediaTime)/90000, 0.28, 0.001) || len(v.Samples) != 100 {
				t.Errorf("%+v, %d pictures", v.EditList, len(v.Samples))
			}
			if a := p.Tracks[1]; !near(float64(len(a.Samples))*1024/48000, 3.7, 0.05) {
				t.Errorf("%d frames of sound", len(a.Samples))
			}
		}
		check(s.rec.Clip(s.Context(), packs, s.stream, span, ""))
		src.p.Close()
		time.Sleep(30 * time.Second)
		var id string
		for _, in := range s.rec.Library().List() {
			if in.Kind == Recording {
				id = in.ID
			}
		}
		check(s.rec.Clip(s.Context(), packs, s.stream, span, ""))
		check(s.rec.ClipRecording(s.Context(), id, span, ""))
	})
}

// A clip begins after the last change of parameters in its time.
func TestClipAtChange(t *testing.T) {
	play(t, Config{Policy: Always}, func(s *stage) {
		packs := s.withWindow(cmaf.Config{})
		src := s.publish(videoTrack(t, 0))
		src.run(10 * time.Second)
		src.p.Close()
		src = s.publish(videoTrack(t, 1))
		src.run(5 * time.Second)
		rec, _ := s.rec.Current("cam")
		for name, clip := range map[string]func() (Info, error){
			"window": func() (Info, error) {
				return s.rec.Clip(s.Context(), packs, s.stream, Span{Last: 12 * time.Second}, "")
			},
			"recording": func() (Info, error) {
				return s.rec.ClipRecording(s.Context(), rec.ID, Span{From: rec.Started.Add(3 * time.Second), To: rec.Started.Add(14 * time.Second)}, "")
			},
		} {
			in, err := clip()
			if err != nil || in.Duration < 3.5 || in.Duration > 5.2 {
				t.Errorf("%s: %+v, %v", name, in, err)
				continue
			}
			s.clipped(in.ID)
		}
	})
}

func TestClipRefusals(t *testing.T) {
	play(t, Config{Retention: Retention{Quota: 100_000}}, func(s *stage) {
		packs := s.withWindow(cmaf.Config{})
		clip := func(span Span) error {
			_, err := s.rec.Clip(s.Context(), packs, s.stream, span, "")
			return err
		}
		now := time.Now()
		if err := clip(Span{Last: time.Second}); !errors.Is(err, ErrNotLive) {
			t.Errorf("not live: %v", err)
		}
		if err := clip(Span{From: now, To: now.Add(time.Second)}); !errors.Is(err, ErrRange) {
			t.Errorf("nothing of the time: %v", err)
		}
		src := s.publish(videoTrack(t, 0))
		src.run(5 * time.Second)
		for name, c := range map[string]struct {
			span Span
			want error
		}{
			"too long":     {Span{Last: time.Hour}, ErrTooLong},
			"backwards":    {Span{From: time.Now(), To: now}, ErrRange},
			"of tomorrow":  {Span{From: now.Add(24 * time.Hour), To: now.Add(24*time.Hour + time.Second)}, ErrRange},
			"of yesterday": {Span{From: now.Add(-24 * time.Hour), To: now.Add(time.Second - 24*time.Hour)}, ErrRange},
		} {
			if err := clip(c.span); !errors.Is(err, c.want) {
				t.Errorf("%s: %v, want %v", name, err, c.want)
			}
		}
		s.disk.set(errIO)
		if err := clip(Span{Last: time.Second}); !errors.Is(err, errIO) {
			t.Errorf("failing disk: %v", err)
		}
		s.wantNoEmpty()
		s.disk.set(nil)
		s.disk.leave(1)
		time.Sleep(2 * time.Second)
		if err := clip(Span{Last: time.Second}); !errors.Is(err, ErrDiskFull) {
			t.Errorf("full disk: %v", err)
		}
		s.disk.leave(0)
		time.Sleep(2 * time.Second)
		src.run(5 * time.Second)
		if err := clip(Span{Last: 5 * time.Second}); err != nil {
			t.Error(err)
		}
		if err := clip(Span{Last: time.Second}); !errors.Is(err, ErrQuota) {
			t.Errorf("over the quota: %v", err)
		}
		if list := s.rec.Library().List(); len(list) != 1 {
			t.Errorf("%d clips, want 1", len(list))
		}
	})
}
