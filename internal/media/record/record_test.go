package record

import (
	"errors"
	"math"
	"os"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"glimpse/internal/media/hub"
	"glimpse/internal/media/mp4"
)

func near(got, want, by float64) bool { return math.Abs(got-want) <= by }

// A stream that is always recorded is one file from its first key frame to its
// end, over a drop of its publisher, which is listed as a gap.
//
// C27 E41
func TestOneRecordingOverDrops(t *testing.T) {
	play(t, Config{Policy: Always}, func(s *stage) {
		src := s.publish(videoTrack(t, 0))
		src.run(10 * time.Second)
		src.p.Close()
		time.Sleep(5 * time.Second)
		src = s.publish(videoTrack(t, 1)) // comes back with other parameters
		src.run(10 * time.Second)
		now, ok := s.rec.Current("cam")
		if !ok || now.State != Active || !near(now.Duration, 25, 2) {
			t.Errorf("while it is recorded: %+v, %v", now, ok)
		}
		if err := s.rec.Delete(now.ID); !errors.Is(err, ErrBusy) {
			t.Errorf("deleting a recording in progress: %v", err)
		}
		src.p.Close()
		time.Sleep(time.Minute) // the window is over
		in := s.only()
		if in.State != Finished || in.Name != "door" || in.Stream != "cam" || in.Video != "H.264" || in.Sound != "AAC" {
			t.Errorf("%+v", in)
		}
		if len(in.Gaps) != 2 || !near(in.Gaps[0].From, 10, 0.1) || !near(in.Gaps[0].To, 15, 0.1) || in.Gaps[0].Reason != gapAway {
			t.Errorf("gaps %+v", in.Gaps)
		}
		found := s.scan(in.ID)
		if !found.Sealed || len(found.Inits) != 2 || len(found.Tables[video].Entries) != 2 {
			t.Errorf("sealed %v, %d inits, %d entries", found.Sealed, len(found.Inits), len(found.Tables[video].Entries))
		}
		for i, fr := range found.Fragments[1:] {
			if fr.To-fr.From > 600*time.Millisecond || fr.From < found.Fragments[i].To-time.Millisecond {
				t.Errorf("fragment %d of %v to %v follows one to %v", i+1, fr.From, fr.To, found.Fragments[i].To)
			}
		}
		if n, m := len(s.told(EventStarted)), len(s.told(EventStopped)); n != 1 || m != 1 || len(s.told(EventGap)) != 2 {
			t.Errorf("told of %d starts, %d ends", n, m)
		}
		video, sound := found.Tables[video], found.Tables[audio]
		if d := video.Time(video.End()) - sound.Time(sound.End()); d.Abs() > 300*time.Millisecond {
			t.Errorf("pictures end %v after the sound", d)
		}
	})
}

// Recording begins and ends when somebody asks, each time in a file of its own;
// a wish made before the stream is live counts.
func TestOnDemand(t *testing.T) {
	play(t, Config{}, func(s *stage) {
		if _, ok, err := s.rec.Start(s.Context(), s.stream, "com.example"); ok || err != nil {
			t.Fatalf("before it is live: %v, %v", ok, err)
		}
		src := s.publish(videoTrack(t, 0))
		src.run(2 * time.Second)
		first, ok := s.rec.Current("cam")
		if !ok || first.By != "com.example" {
			t.Fatalf("%+v, %v", first, ok)
		}
		done := make(chan struct{})
		go func() { defer close(done); src.run(10 * time.Second) }()
		stopped, ok, err := s.rec.Stop(s.Context(), "cam")
		if !ok || err != nil || stopped.ID != first.ID || stopped.State != Finished || stopped.Duration < 1.9 {
			t.Errorf("stopped %+v, %v, %v", stopped, ok, err)
		}
		if _, ok, err := s.rec.Stop(s.Context(), "cam"); ok || err != nil {
			t.Errorf("stopping nothing: %v, %v", ok, err)
		}
		second, ok, err := s.rec.Start(s.Context(), s.stream, "")
		if !ok || err != nil || second.ID == first.ID || second.State != Active {
			t.Errorf("started %+v, %v, %v", second, ok, err)
		}
		again, _, _ := s.rec.Start(s.Context(), s.stream, "")
		if again.ID != second.ID {
			t.Error("a second start made another recording")
		}
		<-done
		src.p.Close()
		time.Sleep(30 * time.Second)
		if err := s.rec.Delete(first.ID); err != nil {
			t.Error(err)
		}
		if names := s.files(); !slices.Equal(names, []string{second.ID + ".json", second.ID + ".mp4"}) {
			t.Errorf("files %v", names)
		}
		s.publish(videoTrack(t, 0)).run(2 * time.Second) // the wish was for one run
		if _, ok := s.rec.Current("cam"); ok {
			t.Error("the next run is recorded too")
		}
	})
}

func TestNever(t *testing.T) {
	play(t, Config{}, func(s *stage) {
		s.rec.SetPolicy("cam", Never)
		if _, _, err := s.rec.Start(s.Context(), s.stream, ""); !errors.Is(err, ErrNever) {
			t.Errorf("%v, want ErrNever", err)
		}
		s.publish(videoTrack(t, 0)).run(time.Second)
		if names := s.files(); len(names) != 0 {
			t.Errorf("files %v", names)
		}
	})
}

// While the disk is full the stream goes on; it is told at once, nothing empty is
// left, and the same recording goes on when there is room, at most 10 s later.
//
// F15
func TestDiskFull(t *testing.T) {
	for name, full := range map[string]func(*faulty, bool){
		"no space": func(d *faulty, on bool) {
			d.set(nil)
			if on {
				d.set(errIO)
			}
		},
		"floor": func(d *faulty, on bool) {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.free = 50
			if on {
				d.free = 4
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, Config{Policy: Always}, func(s *stage) {
				full(s.disk, true)
				time.Sleep(2 * time.Second)
				src := s.publish(videoTrack(t, 0))
				src.size = 40 << 10 // 1 MB/s
				src.run(4 * time.Second)
				s.wantNoEmpty()
				if n := len(s.told(EventFailed)); n != 1 {
					t.Fatalf("told %d times that it fails", n)
				}
				full(s.disk, false)
				src.run(5 * time.Second)
				if n := len(s.told(EventStarted)); n != 1 {
					t.Fatalf("told %d times that it began", n)
				}
				full(s.disk, true)
				src.run(4 * time.Second)
				if now, _ := s.rec.Current("cam"); now.State != Paused || now.Problem == "" || len(s.told(EventFailed)) != 2 {
					t.Errorf("with a full disk: %+v", now)
				}
				src.run(36 * time.Second) // more than fits into memory
				full(s.disk, false)
				src.run(10 * time.Second)
				now, ok := s.rec.Current("cam")
				if !ok || now.State != Active || len(s.told(EventResumed)) != 2 {
					t.Errorf("with room again: %+v", now)
				}
				src.p.Close()
				time.Sleep(time.Minute)
				in := s.only()
				if lost := s.stream.Stats().Dropped; lost != 0 {
					t.Errorf("the stream's readers lost %d frames", lost)
				}
				holes := 0.0
				for _, g := range in.Gaps {
					if g.Reason == gapDisk {
						holes += g.To - g.From
					}
				}
				if holes < 20 || holes > 40 {
					t.Errorf("holes of %.1f s: %+v", holes, in.Gaps)
				}
				found := s.scan(in.ID)
				if !found.Sealed || !near(in.Duration, 79, 2) {
					t.Errorf("sealed %v, %v s", found.Sealed, in.Duration)
				}
				v, a := found.Tables[video], found.Tables[audio]
				if d := v.Time(v.End()) - a.Time(a.End()); d.Abs() > 300*time.Millisecond {
					t.Errorf("pictures end %v after the sound", d)
				}
			})
		})
	}
}

// Each n-th write fails, alone or with those after it, for every n: nothing of the
// stream is lost, and the file is whole.
//
// F16
func TestFailingDisk(t *testing.T) {
	for _, every := range []int{2, 3, 4, 5, 7, 11, 13, 16, 19, 23} {
		play(t, Config{Policy: Always}, func(s *stage) {
			s.disk.every, s.disk.burst = every, 1
			if every > 12 {
				s.disk.burst = 4
			}
			src := s.publish(videoTrack(t, 0))
			src.run(15 * time.Second)
			src.p.Close()
			time.Sleep(time.Minute)
			in := s.only()
			if n := len(s.told(EventFailed)); in.State != Finished || (n > 0) != (s.disk.burst > 1) {
				t.Errorf("every %d: %+v", every, in)
			}
			found := s.scan(in.ID)
			if n := found.Tables[video].Samples(); n < 15*25 || !found.Sealed {
				t.Errorf("every %d: %d pictures, sealed %v", every, n, found.Sealed)
			}
			s.wantNoEmpty()
		})
	}
}

// A recording that could not be finished is, once its disk takes data again.
func TestFinishedLater(t *testing.T) {
	play(t, Config{Policy: Always}, func(s *stage) {
		src := s.publish(videoTrack(t, 0))
		src.run(5 * time.Second)
		s.disk.set(errIO)
		src.p.Close()
		time.Sleep(30 * time.Second)
		if in := s.only(); in.State != Unfinished || in.Problem == "" {
			t.Errorf("%+v", in)
		}
		s.disk.set(nil)
		time.Sleep(3 * time.Second)
		in := s.only()
		if in.State != Finished || !s.scan(in.ID).Sealed || len(s.told(EventRecovered)) != 1 {
			t.Errorf("%+v", in)
		}
	})
}

// What a killed process leaves is finished by the next one, whatever it was
// writing: a fragment, the index, or what is known of it.
//
// F13
func TestRecovery(t *testing.T) {
	play(t, Config{Policy: Always}, func(s *stage) {
		src := s.publish(videoTrack(t, 0))
		src.run(5 * time.Second)
		id := s.only().ID
		f, size, err := s.disk.disk.Open(id + ".mp4")
		if err != nil {
			t.Fatal(err)
		}
		raw := make([]byte, size)
		if _, err := f.ReadAt(raw, 0); err != nil {
			t.Fatal(err)
		}
		f.Close()
		beside := s.read(id + ".json")
		found := s.scan(id)
		moov := mp4.AppendMovie(nil, found.Tables, time.Time{}, nil, 0)
		for name, left := range map[string]struct {
			media, beside []byte
			pictures      int
		}{
			"whole":                 {raw, beside, 125},
			"half a fragment":       {raw[:len(raw)-700], beside, 110},
			"zeros":                 {append(slices.Clone(raw), make([]byte, 4096)...), beside, 110},
			"half an index":         {append(slices.Clone(raw), moov[:len(moov)/2]...), beside, 110},
			"an index":              {append(slices.Clone(raw), moov...), beside, 110},
			"nothing known":         {raw, nil, 110},
			"half of what is known": {raw, beside[:len(beside)/2], 110},
			"no media":              {raw[:600], beside, 0},
			"nothing":               {nil, beside, 0},
		} {
			dir := t.TempDir()
			for name, b := range map[string][]byte{".mp4": left.media, ".json": left.beside} {
				if b == nil && name == ".json" {
					continue
				}
				if err := os.WriteFile(dir+"/"+id+name, b, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			d, err := openFolder(dir)
			if err != nil {
				t.Fatal(err)
			}
			rec, err := New(Config{disk: d})
			if err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			list := rec.Library().List()
			rec.Close()
			d.root.Close()
			if left.pictures == 0 {
				if names, _ := os.ReadDir(dir); len(list) != 0 || len(names) != 0 {
					t.Errorf("%s: %v, %d files", name, list, len(names))
				}
				continue
			}
			if len(list) != 1 || list[0].State != Finished || list[0].Duration < 4 {
				t.Errorf("%s: %+v", name, list)
				continue
			}
			if left.beside != nil && len(left.beside) == len(beside) && list[0].Stream != "cam" {
				t.Errorf("%s: %+v", name, list)
			}
			file, err := os.Open(dir + "/" + id + ".mp4")
			if err != nil {
				t.Fatal(err)
			}
			st, _ := file.Stat()
			again, err := mp4.Scan(file, st.Size())
			file.Close()
			if err != nil || !again.Sealed || again.Tables[video].Samples() < 100 {
				t.Errorf("%s: %+v, %v", name, again, err)
			}
		}
	})
}

func (s *stage) read(name string) []byte {
	s.Helper()
	f, size, err := s.disk.disk.Open(name)
	if err != nil {
		s.Fatal(err)
	}
	defer f.Close()
	b := make([]byte, size)
	if _, err := f.ReadAt(b, 0); err != nil {
		s.Fatal(err)
	}
	return b
}

// A quota ends a recording, and the next start is refused until something goes.
func TestQuota(t *testing.T) {
	play(t, Config{Retention: Retention{Quota: 500_000}}, func(s *stage) {
		src := s.publish(videoTrack(t, 0))
		src.size = 4000 // 100 kB/s
		src.run(time.Second)
		go s.rec.Start(s.Context(), s.stream, "")
		src.run(20 * time.Second)
		in := s.only()
		if in.State != Finished || in.Bytes > 800_000 || len(s.told(EventFailed)) != 1 {
			t.Errorf("%+v", in)
		}
		if _, _, err := s.rec.Start(s.Context(), s.stream, ""); !errors.Is(err, ErrQuota) {
			t.Errorf("%v, want ErrQuota", err)
		}
		if err := s.rec.Delete(in.ID); err != nil {
			t.Error(err)
		}
		src.run(3 * time.Second)
		if _, ok := s.rec.Current("cam"); !ok {
			t.Error("it does not go on when there is room")
		}
	})
}

func TestExpired(t *testing.T) {
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	list := []Info{ // the newest first, as the library has them
		{ID: "now", State: Active, Started: now.Add(-300 * time.Hour), Duration: 300 * 3600, Bytes: 100},
		{ID: "d", State: Finished, Started: now.Add(-1 * time.Hour), Bytes: 10},
		{ID: "c", State: Finished, Started: now.Add(-30 * time.Hour), Bytes: 20},
		{ID: "b", State: Unfinished, Started: now.Add(-50 * time.Hour), Bytes: 30},
		{ID: "a", State: Finished, Started: now.Add(-99 * time.Hour), Duration: 48 * 3600, Bytes: 40},
	}
	for _, c := range []struct {
		name string
		r    Retention
		want []string
	}{
		{"for ever", Retention{}, nil},
		{"a quota deletes nothing", Retention{Quota: 1}, nil},
		{"age counts from the end", Retention{MaxAge: 60 * time.Hour}, nil},
		{"age", Retention{MaxAge: 40 * time.Hour}, []string{"a", "b"}},
		{"size", Retention{MaxBytes: 170}, []string{"a"}},
		{"size exactly", Retention{MaxBytes: 200}, nil},
		{"what is in progress counts and stays", Retention{MaxBytes: 50}, []string{"a", "b", "c", "d"}},
		{"both", Retention{MaxAge: 40 * time.Hour, MaxBytes: 120}, []string{"a", "b", "c"}},
	} {
		if got := c.r.expired(list, now); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// Names stay different and files whole when the clock steps, F22.
func TestClockSteps(t *testing.T) {
	var step atomic.Int64
	play(t, Config{Policy: Always, now: func() time.Time { return time.Now().Add(time.Duration(step.Load())) }}, func(s *stage) {
		for i, by := range []time.Duration{0, 0, -10 * time.Minute, 10 * time.Minute} {
			step.Add(int64(by))
			src := s.publish(videoTrack(t, i%2))
			src.run(2 * time.Second)
			step.Add(int64(by)) // also in the middle
			src.run(2 * time.Second)
			src.p.Close()
			time.Sleep(25 * time.Second)
		}
		list := s.rec.Library().List()
		if len(list) != 4 {
			t.Fatalf("%d recordings, want 4", len(list))
		}
		for _, in := range list {
			if !near(in.Duration, 24, 1) || in.State != Finished {
				t.Errorf("%+v", in)
			}
		}
	})
}

var _ hub.Output = (*Recorder)(nil).Output

// What is older than it may be goes by itself, with all its files, and that is told;
// what is over the size goes next, the oldest first.
func TestRetentionDeletes(t *testing.T) {
	play(t, Config{Policy: Always, Retention: Retention{MaxAge: time.Hour, MaxBytes: 600_000}}, func(s *stage) {
		record := func() string {
			src := s.publish(videoTrack(t, 0))
			src.size = 2000 // 50 kB/s
			src.run(4 * time.Second)
			src.p.Close()
			time.Sleep(time.Minute)
			return s.rec.Library().List()[0].ID
		}
		first := record()
		time.Sleep(50 * time.Minute)
		if n := len(s.rec.Library().List()); n != 1 {
			t.Fatalf("%d recordings before their time", n)
		}
		time.Sleep(15 * time.Minute)
		if told := s.told(EventDeleted); len(told) != 1 || told[0].Info.ID != first || len(s.rec.Library().List()) != 0 {
			t.Errorf("an hour later: %+v, %+v", told, s.rec.Library().List())
		}
		if _, _, err := s.disk.disk.Open(first + ".mp4"); err == nil {
			t.Error("the file is left")
		}
		second, third := record(), record()
		list := s.rec.Library().List()
		if told := s.told(EventDeleted); len(told) != 2 || told[1].Info.ID != second || len(list) != 1 || list[0].ID != third {
			t.Errorf("over the size: %+v, %+v", told, list)
		}
	})
}

// A name stands for one number only, within the limit, and every number has a name.
func FuzzNumbered(f *testing.F) {
	f.Add("i0.mp4", 3, true)
	f.Add("+1.m4s", 9, false)
	f.Add("018446744073709551616.m4s", 1<<30, false)
	f.Add("../1.m4s", -1, false)
	f.Fuzz(func(t *testing.T, name string, limit int, initial bool) {
		prefix, suffix := "", ".m4s"
		if initial {
			prefix, suffix = "i", ".mp4"
		}
		if n, ok := numbered(name, prefix, suffix, limit); ok && (n < 0 || n >= limit || name != prefix+strconv.Itoa(n)+suffix) {
			t.Errorf("%q is %d of %d", name, n, limit)
		}
		if limit > 0 {
			if n, ok := numbered(prefix+strconv.Itoa(limit-1)+suffix, prefix, suffix, limit); !ok || n != limit-1 {
				t.Errorf("the last of %d is %d, %v", limit, n, ok)
			}
		}
	})
}
