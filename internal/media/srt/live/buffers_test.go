package live

import (
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Packets that come in any order, some twice and some never, are given out in
// order, each once, and what is missing is counted.
func TestReceiverModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		start := rapid.SampledFrom([]uint32{0, 5, seqMask - 20}).Draw(t, "start")
		r := newReceiver(start, &memory{})
		n := rapid.IntRange(1, 300).Draw(t, "packets")
		lost := map[int]bool{}
		var order []int
		for i := range n {
			if rapid.IntRange(0, 9).Draw(t, "fate") == 0 && i < n-1 {
				lost[i] = true
				continue
			}
			order = append(order, i)
		}
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "order"), 0))
		for i := range order { // within a reach of eight
			j := min(i+random.IntN(8), len(order)-1)
			order[i], order[j] = order[j], order[i]
		}
		for _, i := range append(order, order[:len(order)/2]...) {
			r.push((start+uint32(i))&seqMask, time.Duration(i), 0, []byte{byte(i)}, false)
		}
		var missing int
		r.missing(window, 5, 50, 4, func(uint32, uint32) { t.Fatal("told already") })
		r.missing(window, 5, 50, 60, func(from, to uint32) { missing += distance(to, from) + 1 })
		r.missing(window, 5, 50, 60, func(uint32, uint32) { t.Fatal("told already") })
		if missing != len(lost) || r.holes != len(lost) {
			t.Fatalf("%d of %d are reported missing, %d counted", missing, len(lost), r.holes)
		}
		for i := range n {
			if lost[i] {
				continue
			}
			if r.ripe(time.Duration(i)-1, time.Duration(i)-1) {
				t.Fatalf("packet %d is early", i)
			}
			b, ok := r.pop(time.Duration(i), time.Duration(i))
			if !ok || b[0] != byte(i) {
				t.Fatalf("packet %d: %v %v", i, b, ok)
			}
			r.release(b)
		}
		if r.lost != uint64(len(lost)) || r.holes != 0 || r.room() != window || r.have != r.end {
			t.Fatalf("%d lost of %d, %d holes", r.lost, len(lost), r.holes)
		}
	})
}

// What is reported lost is sent again, once in the time that an answer takes; what
// is acknowledged or too old is not. A peer that reports everything all the time
// gets no more than was sent before, and a little.
func TestSender(t *testing.T) {
	s := newSender(seqMask-2, &memory{})
	for i := range 10 {
		s.push(make([]byte, 20), time.Duration(i)*time.Second)
	}
	again := func(from, to uint32, now time.Duration) (n int) {
		s.nak(from&seqMask, to&seqMask, now-100*time.Millisecond, now, func(b []byte) {
			if b[4]&flagResent == 0 {
				t.Error("not marked")
			}
			n++
		})
		return n
	}
	s.ack(seqMask, 0) // two
	if n := again(seqMask-2, 1, time.Minute); n != 3 {
		t.Errorf("%d of 3 sent again", n)
	}
	if n := again(0, 3, time.Minute); n != 2 {
		t.Errorf("%d of the 2 that were not", n)
	}
	s.ack(1000, 0) // never sent
	s.expire(5 * time.Second)
	if s.dropped != 3 || s.waiting() != 5 {
		t.Errorf("%d dropped, %d wait", s.dropped, s.waiting())
	}
	total := 0
	for i := range 1000 {
		total += again(0, seqMask/2, 2*time.Minute+time.Duration(i)*time.Second)
	}
	if total > spareMax+10 {
		t.Errorf("%d packets for 10", total)
	}
	for range 2 * window {
		s.push(make([]byte, maxPacket), time.Hour)
	}
	if s.waiting() > window || s.bytes > maxKept || s.dropped == 3 {
		t.Errorf("%d packets, %d bytes", s.waiting(), s.bytes)
	}
}

// Clocks that run apart by 100 in a million stay within a few milliseconds over
// ten hours.
func TestDrift(t *testing.T) {
	var d drift
	var base time.Duration
	for i := range 10 * 3600 * 100 { // an answer each 10 ms
		now := time.Duration(i) * 10 * time.Millisecond
		peer := now - now/10000
		base += d.sample(now - (peer + base) + 3*time.Millisecond)
		if off := now - (peer + base); off.Abs() > 8*time.Millisecond {
			t.Fatalf("after %v off by %v", now, off)
		}
	}
}

// Keys change while packets flow, and none is lost for it.
func TestKeysChange(t *testing.T) {
	l := listen(t, Config{})
	accepted := make(chan *Conn, 1)
	go func() {
		r, err := l.Accept()
		if err != nil {
			return
		}
		c, err := r.Accept("correct horse")
		if err != nil {
			t.Error(err)
		}
		accepted <- c
	}()
	caller, err := Dial(t.Context(), l.Addr().String(), Options{Passphrase: "correct horse"})
	if err != nil {
		t.Fatal(err)
	}
	defer caller.Close()
	called := <-accepted
	for _, c := range []*Conn{caller, called} {
		c.mu.Lock()
		c.crypto.every = 60
		c.mu.Unlock()
	}
	const n = 600
	for i := range n {
		for _, c := range []*Conn{caller, called} {
			if _, err := c.Write([]byte{byte(i), byte(i >> 8)}); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Millisecond) // for the keys' announcements
	}
	for _, c := range []*Conn{called, caller} {
		for i := range n {
			if got, err := c.Read(); err != nil || got[0] != byte(i) || got[1] != byte(i>>8) {
				t.Fatalf("payload %d: %v, %x", i, err, got)
			}
		}
	}
	for _, c := range []*Conn{caller, called} {
		c.mu.Lock()
		if c.stats.Undecrypted != 0 || c.crypto.used >= n {
			t.Errorf("%d packets under one key, %d not decrypted", c.crypto.used, c.stats.Undecrypted)
		}
		c.mu.Unlock()
	}
}

// A peer has handed out everything when its buffer is as free as it ever was, or must have
// been before it held anything, and got no emptier for a moment; one that says nothing of
// it, when it was never heard.
func TestRoom(t *testing.T) {
	const ms = time.Millisecond
	type report struct {
		at         time.Duration
		free, held int
	}
	for _, tt := range []struct {
		name string
		said []report
		at   time.Duration
		want bool
	}{
		{"says nothing", nil, 0, true},
		{"full", []report{{10 * ms, 90, 0}, {20 * ms, 40, 0}}, time.Second, false},
		{"as free as before", []report{{10 * ms, 90, 0}, {20 * ms, 40, 0}, {500 * ms, 90, 0}}, 600 * ms, true},
		{"only just", []report{{10 * ms, 90, 0}, {20 * ms, 40, 0}, {500 * ms, 90, 0}}, 560 * ms, false},
		{"still getting emptier", []report{{10 * ms, 60, 0}, {20 * ms, 40, 0}, {500 * ms, 80, 0}, {550 * ms, 100, 0}}, 610 * ms, false},
		{"no emptier any more", []report{{10 * ms, 60, 0}, {20 * ms, 40, 0}, {500 * ms, 80, 0}, {550 * ms, 100, 0}, {600 * ms, 100, 0}}, 650 * ms, true},
		{"all came before its first word", []report{{10 * ms, 60, 40}}, time.Second, false},
		{"and was handed out", []report{{10 * ms, 60, 40}, {500 * ms, 60, 0}, {900 * ms, 100, 0}}, time.Second, true},
		{"not all of it", []report{{10 * ms, 90, 10}, {20 * ms, 60, 40}, {500 * ms, 90, 0}}, time.Second, false},
		{"always says the same", []report{{10 * ms, 90, 10}, {20 * ms, 90, 40}, {500 * ms, 90, 0}}, time.Second, true},
	} {
		var r room
		for _, s := range tt.said {
			r.hear(s.free, s.held, s.at)
		}
		if got := r.empty(tt.at); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}
