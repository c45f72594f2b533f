package record

import (
	"slices"
	"testing"
	"time"
)

// What is wished for a run goes on after the server was restarted or killed, when
// the stream is back in time: recorded in a file that continues the other, or not
// recorded although it always is. What nobody came back for lapses.
func TestWishesOutliveTheServer(t *testing.T) {
	t.Run("wanted", func(t *testing.T) {
		play(t, Config{}, func(s *stage) {
			src := s.publish(videoTrack(t, 0))
			src.run(2 * time.Second)
			done := make(chan struct{})
			go func() { defer close(done); src.run(4 * time.Second) }()
			first, ok, err := s.rec.Start(s.Context(), s.stream, "com.example")
			if !ok || err != nil {
				t.Fatal(ok, err)
			}
			<-done
			s.rec.Stopping()
			s.stop()
			if files := s.files(); !slices.Contains(files, keptName) {
				t.Fatalf("files %v", files)
			}
			s.resume(Config{})
			time.Sleep(keptFor - time.Minute)
			s.publish(videoTrack(t, 0)).run(3 * time.Second)
			second, ok := s.rec.Current("cam")
			if !ok || second.After != first.ID || second.By != "com.example" {
				t.Errorf("%+v continues %s", second, first.ID)
			}
		})
	})
	t.Run("lapsed", func(t *testing.T) {
		play(t, Config{}, func(s *stage) {
			src := s.publish(videoTrack(t, 0))
			if _, _, err := s.rec.Start(s.Context(), s.stream, ""); err != nil {
				t.Fatal(err)
			}
			src.run(2 * time.Second)
			s.rec.Stopping()
			s.stop()
			s.resume(Config{})
			time.Sleep(keptFor + 2*time.Second)
			if files := s.files(); slices.Contains(files, keptName) {
				t.Errorf("files %v", files)
			}
			s.publish(videoTrack(t, 0)).run(3 * time.Second)
			if now, ok := s.rec.Current("cam"); ok {
				t.Errorf("recorded: %+v", now)
			}
		})
	})
	t.Run("asked for anew", func(t *testing.T) {
		play(t, Config{}, func(s *stage) {
			src := s.publish(videoTrack(t, 0))
			if _, _, err := s.rec.Start(s.Context(), s.stream, ""); err != nil {
				t.Fatal(err)
			}
			src.run(2 * time.Second)
			s.rec.Stopping()
			s.stop()
			s.resume(Config{})
			if _, _, err := s.rec.Start(s.Context(), s.stream, ""); err != nil {
				t.Fatal(err)
			}
			time.Sleep(keptFor + 2*time.Second)
			s.publish(videoTrack(t, 0)).run(3 * time.Second)
			if now, ok := s.rec.Current("cam"); !ok {
				t.Errorf("the next run is not recorded: %+v", now)
			}
		})
	})
	t.Run("unwanted", func(t *testing.T) {
		play(t, Config{Policy: Always}, func(s *stage) {
			src := s.publish(videoTrack(t, 0))
			src.run(3 * time.Second)
			if _, ok, err := s.rec.Stop(s.Context(), "cam"); !ok || err != nil {
				t.Fatal(ok, err)
			}
			s.rec.Stopping()
			s.stop()
			s.resume(Config{Policy: Always})
			again := s.publish(videoTrack(t, 0))
			again.run(3 * time.Second)
			if now, ok := s.rec.Current("cam"); ok {
				t.Errorf("recorded although somebody stopped it: %+v", now)
			}
			again.p.Close()
			time.Sleep(30 * time.Second) // the run is over
			s.publish(videoTrack(t, 0)).run(3 * time.Second)
			if _, ok := s.rec.Current("cam"); !ok {
				t.Error("the next run is not recorded")
			}
		})
	})
	t.Run("for the next run", func(t *testing.T) {
		play(t, Config{}, func(s *stage) {
			if _, ok, err := s.rec.Start(s.Context(), s.stream, ""); ok || err != nil {
				t.Fatal(ok, err)
			}
			s.rec.Stopping()
			s.stop()
			s.resume(Config{})
			time.Sleep(24 * time.Hour)
			s.publish(videoTrack(t, 0)).run(3 * time.Second)
			if _, ok := s.rec.Current("cam"); !ok {
				t.Error("it is not recorded")
			}
		})
	})
}
