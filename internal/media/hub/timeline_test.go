package hub

import (
	"math/rand/v2"
	"testing"
	"time"
)

// FAULTS F4: jumps of the source's clock leave the output strictly monotonic
// and near real time; a second track that jumps too stays with the first.
func TestTimelineJumps(t *testing.T) {
	for _, jump := range []time.Duration{time.Hour, -time.Hour} {
		var l timeline
		const start = 2 * time.Hour
		step := 40 * time.Millisecond
		l.begin(start, start, 0)
		lastV, lastA := time.Duration(-1), time.Duration(-1)
		for i := range 200 {
			now := time.Duration(i) * step
			raw := start + now
			if i >= 100 {
				raw += jump
			}
			rawA := start + time.Duration(i)*step
			if i >= 103 { // sound jumps a little later
				rawA += jump
			}
			_, v := l.picture(raw, raw, now)
			a := l.sound(audioTrack, nil, rawA, now)
			if v <= lastV || a <= lastA {
				t.Fatalf("jump %v: frame %d goes back", jump, i)
			}
			if i > 0 && v-lastV > time.Second {
				t.Fatalf("jump %v: frame %d leaves a gap of %v", jump, i, v-lastV)
			}
			if d := v - a; d > 300*time.Millisecond || d < -300*time.Millisecond {
				t.Fatalf("jump %v: frame %d: picture and sound are %v apart", jump, i, d)
			}
			lastV, lastA = v, a
		}
	}
}

// MEDIA T2: sound whose times were rounded to milliseconds comes out exactly
// 1024 samples apart.
func TestSoundIsCountedInSamples(t *testing.T) {
	var l timeline
	l.begin(0, 0, 0)
	for i := range 100_000 {
		exact := time.Duration(i) * 1024 * time.Second / 44100
		got := l.sound(audioTrack, nil, exact.Round(time.Millisecond), exact)
		samples := (int64(got)*44100 + int64(time.Second)/2) / int64(time.Second)
		if samples != int64(i)*1024 {
			t.Fatalf("frame %d at sample %d, want %d", i, samples, i*1024)
		}
	}
	// A gap of 200 ms is kept.
	at := l.audio.last
	if got := l.sound(audioTrack, nil, l.audio.raw+223*time.Millisecond, l.audio.came+223*time.Millisecond); got-at < 200*time.Millisecond {
		t.Errorf("a gap of 223 ms became %v", got-at)
	}
}

// MEDIA T2: equal decoding times are told apart by a millisecond, B-frames keep their
// composition offset.
func TestEqualTimes(t *testing.T) {
	var l timeline
	l.begin(time.Second, time.Second, 0)
	_, first := l.picture(time.Second, time.Second, 0)
	pts, dts := l.picture(time.Second+80*time.Millisecond, time.Second, 0)
	if dts != first+tick || pts != dts+80*time.Millisecond {
		t.Errorf("pts %v dts %v after %v", pts, dts, first)
	}
}

// MEDIA T1: an epoch begins near real time and never before what was sent.
func TestEpochs(t *testing.T) {
	for _, test := range []struct {
		name    string
		elapsed time.Duration
		want    time.Duration
		hole    bool
	}{
		{"after a hole", 5 * time.Second, 5 * time.Second, true},
		{"the source ran ahead", 500 * time.Millisecond, 1033 * time.Millisecond, false},
		{"at once", 1100 * time.Millisecond, 1100 * time.Millisecond, false},
	} {
		var l timeline
		l.begin(0, 0, 0)
		for at := time.Duration(0); at <= time.Second; at += 33 * time.Millisecond {
			l.picture(at, at, at)
		}
		l.picture(time.Second, time.Second, time.Second)
		l.video.step = 33 * time.Millisecond
		hole := l.begin(99*time.Hour, 99*time.Hour, test.elapsed)
		_, got := l.picture(99*time.Hour, 99*time.Hour, test.elapsed)
		if got != test.want || hole != test.hole {
			t.Errorf("%s: at %v, hole %v; want %v, %v", test.name, got, hole, test.want, test.hole)
		}
	}
}

// A publisher that stalled and then came back by a new connection does not push
// the timeline ahead of the wall clock by as much as it had stalled.
func TestStallBeforeEpoch(t *testing.T) {
	var l timeline
	l.begin(0, 0, 0)
	l.picture(0, 0, 0)
	l.picture(4*time.Second, 4*time.Second, 4*time.Second)
	l.begin(0, 0, 4200*time.Millisecond)
	if _, at := l.picture(0, 0, 4200*time.Millisecond); at > 4600*time.Millisecond {
		t.Errorf("goes on at %v, want near 4.2 s", at)
	}
}

// MEDIA T2: a source clock that runs too fast or too slow is slewed by at most
// one in a thousand, both tracks alike; one that is right is left alone, however
// unsteady the network.
func TestDrift(t *testing.T) {
	for _, test := range []struct {
		name  string
		ppm   int64
		moved bool
	}{{"fast", 400, true}, {"slow", -400, true}, {"exact", 0, false}, {"nearly exact", 10, false}} {
		t.Run(test.name, func(t *testing.T) {
			var l timeline
			l.begin(0, 0, 0)
			const step = 40 * time.Millisecond
			rng := rand.New(rand.NewPCG(1, 2))
			var last, lastRaw, apart time.Duration
			for i := range 3600 * 25 { // an hour
				raw := time.Duration(i) * step
				exact := raw - raw*time.Duration(test.ppm)/1_000_000
				elapsed := exact + time.Duration(rng.IntN(200))*time.Millisecond
				_, at := l.picture(raw, raw, elapsed)
				sound := l.sound(audioTrack, nil, raw, elapsed)
				if i > 0 {
					if off := (at - last - (raw - lastRaw)).Abs(); off > step/slewRate+time.Microsecond {
						t.Fatalf("picture %d is moved by %v", i, off)
					}
				}
				if (at - sound).Abs() > maxAudioDrift+30*time.Millisecond {
					t.Fatalf("picture %d: sound is %v apart", i, at-sound)
				}
				apart = max(apart, (at - exact).Abs())
				last, lastRaw = at, raw
			}
			if apart > 150*time.Millisecond {
				t.Errorf("the timeline goes up to %v away from the wall clock", apart)
			}
			if moved := l.offset != 0; moved != test.moved {
				t.Errorf("moved by %v", l.offset)
			}
		})
	}
}

// FAULTS F4: a clock that steps ahead of the time that passed has jumped, by
// little or much; a pause in which that time passed has not.
func TestSmallJumpsAndPauses(t *testing.T) {
	for _, test := range []struct {
		name          string
		ahead, passed time.Duration
		want          time.Duration
	}{
		{"5 s at once", 5 * time.Second, 40 * time.Millisecond, 40 * time.Millisecond},
		{"a pause of 5 s", 5 * time.Second, 5 * time.Second, 5 * time.Second},
		{"a backlog after a stall", 40 * time.Millisecond, 5 * time.Second, 40 * time.Millisecond},
		{"500 ms at once", 500 * time.Millisecond, 40 * time.Millisecond, 500 * time.Millisecond},
		{"back by 5 s", -5 * time.Second, 40 * time.Millisecond, 40 * time.Millisecond},
		{"back by 500 ms", -500 * time.Millisecond, 40 * time.Millisecond, tick},
	} {
		var l timeline
		l.begin(time.Hour, time.Hour, 0)
		var last time.Duration
		for at := time.Duration(0); at <= time.Second; at += 40 * time.Millisecond {
			_, last = l.picture(time.Hour+at, time.Hour+at, at)
		}
		at := time.Hour + time.Second + test.ahead
		if _, got := l.picture(at, at, time.Second+test.passed); got-last != test.want {
			t.Errorf("%s: a step of %v, want %v", test.name, got-last, test.want)
		}
	}
}

// Whatever times a source sends, pictures and sound rise and stay near each
// other's places.
func TestAnySourceTimes(t *testing.T) {
	for seed := range uint64(32) {
		rng := rand.New(rand.NewPCG(seed, 7))
		var l timeline
		var elapsed, raw, soundRaw time.Duration
		lastV, lastA := time.Duration(-1), -time.Hour // sound may begin before the picture
		for i := range 4000 {
			elapsed += time.Duration(rng.IntN(50)) * time.Millisecond
			raw += time.Duration(rng.IntN(60)-5) * time.Millisecond
			soundRaw += time.Duration(rng.IntN(60)-5) * time.Millisecond
			if rng.IntN(100) == 0 {
				raw += time.Duration(rng.Int64N(int64(4*time.Hour)) - int64(2*time.Hour))
			}
			if rng.IntN(100) == 0 {
				soundRaw = raw
			}
			cts := time.Duration(rng.IntN(400)-100) * time.Millisecond
			if i == 0 || rng.IntN(500) == 0 {
				l.begin(raw+cts, raw, elapsed)
			}
			_, v := l.picture(raw+cts, raw, elapsed)
			a := l.sound(audioTrack, nil, soundRaw, elapsed)
			if v <= lastV || a <= lastA {
				t.Fatalf("seed %d, frame %d: %v after %v, sound %v after %v", seed, i, v, lastV, a, lastA)
			}
			if v-lastV > 2*time.Second+50*time.Millisecond {
				t.Fatalf("seed %d, frame %d: a step of %v", seed, i, v-lastV)
			}
			lastV, lastA = v, a
		}
	}
}
