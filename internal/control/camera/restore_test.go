package camera

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"glimpse/protocol"
)

// restored is a state after a restart of the process at the moment now.
func restored(t *testing.T, s State, now time.Time) State {
	t.Helper()
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var back State
	if err := json.Unmarshal(b, &back); err != nil {
		t.Fatal(err)
	}
	return Restore(back, DefaultTimes(), now)
}

func TestRestore(t *testing.T) {
	now := t0.Add(time.Minute)
	back := Device{PhoneUp: true, GlassesConnected: true, HasCamera: true}

	s := restored(t, live(), now)
	if !s.Stream.Interrupted() || len(s.Away) != 2 || !s.PhoneLost.Equal(now) {
		t.Errorf("live: %+v, away %v", s.Stream, s.Away)
	}
	if Next(s).IsZero() {
		t.Error("a restored stream waits for ever")
	}
	s, effects := Step(s, back, now.Add(time.Second))
	for _, e := range effects {
		if _, again := e.(StartGlasses); again {
			t.Error("glasses that may still publish were started again at once")
		}
	}
	s, effects = Step(s, AppBack{App: "com.a", SameProcess: true}, now.Add(2*time.Second))
	if len(effects) == 0 {
		t.Error("the same process is told nothing")
	}
	if s, _ = Step(s, MediaLive{StreamID: "m1"}, now.Add(3*time.Second)); s.Stream == nil || !s.Stream.Flowing {
		t.Errorf("media is back: %+v", s.Stream)
	}

	s, _ = Step(ready(), StartDirect{App: "com.a", IDs: IDs{StreamID: "d1"}, URL: "rtmp://h/live/k", Permitted: true, Running: true}, t0)
	limit := DefaultTimes().StartDeadline
	if h := restored(t, s, t0.Add(-time.Hour)).Stream.Holds[0]; !h.Deadline.Equal(t0.Add(limit - time.Hour)) {
		t.Errorf("after a clock that went back a pending start has the deadline %v", h.Deadline)
	}
	now = t0.Add(5 * time.Second)
	s = restored(t, s, now)
	if h := s.Stream.Holds[0]; !h.Deadline.Equal(t0.Add(limit)) {
		t.Errorf("a pending start has the deadline %v", h.Deadline)
	}
	s, _ = Step(s, back, now)
	for i := 0; s.Stream != nil && i < 20; i++ { // nobody answers
		due := Next(s)
		s, effects = Step(s, Tick{}, due)
	}
	if s.Stream != nil {
		t.Error("a restored start without an answer never ends")
	}
	var ended bool
	for _, e := range effects {
		if n, ok := e.(Note); ok && n.What == HoldEnded && n.Status != protocol.StatusStopped {
			ended = true
		}
	}
	if !ended {
		t.Errorf("the hold ended with %v", effects)
	}

	s, _ = Step(live(), Stop{App: "com.a", Kind: Managed}, t0)
	if s = restored(t, s, now); !s.Stream.Holds[0].StopAt.Equal(now) {
		t.Errorf("a stop that waited is forgotten: %+v", s.Stream.Holds)
	}

	for kind, want := range map[Kind]string{Managed: "TellManaged", Direct: "TellDirect"} {
		s := ready()
		if kind == Managed {
			s, _ = Step(s, StartManaged{App: "com.a", IDs: IDs{"m1", "k", "p"}, Permitted: true, Running: true}, t0)
		} else {
			s, _ = Step(s, StartDirect{App: "com.a", IDs: IDs{StreamID: "d1"}, URL: "rtmp://h/live/k", Permitted: true, Running: true}, t0)
		}
		s, _ = Step(s, AppAway{App: "com.a"}, t0)
		s, _ = Step(s, OperatorEnded{StreamID: s.Stream.ID}, t0)
		s = restored(t, restored(t, s, now), now) // twice: it has not come back in between
		_, effects := Step(s, AppBack{App: "com.a", SameProcess: true}, now)
		if len(effects) != 1 || !strings.Contains(fmt.Sprintf("%T %+v", effects[0], effects[0]), want) ||
			!strings.Contains(fmt.Sprintf("%+v", effects[0]), "stopped") {
			t.Errorf("who was away when its hold ended is told %+v", effects)
		}
	}

	if s := restored(t, ready(), now); s.Stream != nil || !Next(s).IsZero() {
		t.Error("a free camera has something to do")
	}
}

// FAULTS F22: a clock that was set back while the process was away prolongs nothing.
func TestRestoreWithAClockThatWentBack(t *testing.T) {
	s, _ := Step(ready(), StartDirect{
		App: "com.a", IDs: IDs{StreamID: "d1"}, URL: "rtmp://h/live/k", Permitted: true, Running: true,
		Options: Options{Stream: json.RawMessage(`{"durationLimit":30}`)},
	}, t0)
	s, _ = Step(s, StartDirect{
		App: "com.a", IDs: IDs{StreamID: "d2"}, URL: "rtmp://h/live/k", Permitted: true, Running: true,
		Options: Options{Stream: json.RawMessage(`{"durationLimit":30}`)},
	}, t0)
	s, _ = Step(s, GlassesSaid{StreamID: "d2", Status: protocol.StatusStreaming}, t0)
	now := t0.Add(-time.Hour)
	s = restored(t, s, now)
	s, _ = Step(s, Device{PhoneUp: true, GlassesConnected: true, HasCamera: true}, now)
	after := now.Add(DefaultTimes().Settle + time.Second)
	if ended, _ := Step(s, GlassesSaid{Status: protocol.StatusStopped}, after); ended.Stream != nil {
		t.Error("the end of the stream is taken for that of one which was replaced long ago")
	}
	for s.Stream != nil && now.Before(t0) {
		now = Next(s)
		var effects []Effect
		s, effects = Step(s, Tick{}, now)
		for _, e := range effects {
			if k, ok := e.(KeepAlive); ok {
				s, _ = Step(s, KeepAliveAcked(k), now)
			}
		}
	}
	if took := now.Sub(t0.Add(-time.Hour)); took != 30*time.Second {
		t.Errorf("a limit of 30 s ended the stream after %v", took)
	}
}

// What was written may be older than what the glasses were told last: a direct
// stream that they do not run, because they run another one, ends at once and its
// app may start again. One that they have spoken of is left alone, and a managed
// one is started again.
func TestRestoreOlderThanTheGlasses(t *testing.T) {
	back := Device{PhoneUp: true, GlassesConnected: true, HasCamera: true}
	for name, c := range map[string]struct {
		state State
		known bool // the glasses have spoken of the restored stream before
		ends  bool
	}{
		"direct": {directLive(t), false, true}, "direct, proved": {directLive(t), true, false}, "managed": {live(), false, false},
	} {
		now := t0.Add(time.Minute)
		s := restored(t, c.state, now)
		s, _ = Step(s, back, now)
		if c.known {
			s, _ = Step(s, GlassesSaid{StreamID: s.Stream.ID, Status: protocol.StatusStreaming}, now)
		}
		s, _ = Step(s, AppBack{App: "com.a", SameProcess: true}, now)
		s, effects := Step(s, GlassesSaid{StreamID: "newer", Status: protocol.StatusStreaming}, now.Add(time.Second))
		said := fmt.Sprintf("%+v", effects)
		if !strings.Contains(said, "StreamID:newer") {
			t.Errorf("%s: the unknown stream is not stopped: %s", name, said)
		}
		if ended := s.Stream == nil; ended != c.ends || ended != strings.Contains(said, "run another one") {
			t.Errorf("%s: ended %v: %s", name, ended, said)
		}
		if s.Stream == nil {
			continue
		}
		if c.state.Stream.Kind == Managed {
			again := false
			for range 10 {
				s, effects = Step(s, Tick{}, Next(s))
				for _, e := range effects {
					_, start := e.(StartGlasses)
					again = again || start
				}
			}
			if !again {
				t.Errorf("%s: not started again", name)
			}
		}
	}
}

// directLive is a state with a direct stream of com.a that runs.
func directLive(t *testing.T) State {
	t.Helper()
	s, _ := Step(ready(), StartDirect{App: "com.a", IDs: IDs{StreamID: "d1"}, URL: "rtmp://h/live/k", Permitted: true, Running: true}, t0)
	s, _ = Step(s, GlassesSaid{StreamID: "d1", Status: protocol.StatusStreaming}, t0)
	return s
}
