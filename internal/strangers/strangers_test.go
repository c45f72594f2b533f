package strangers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// addr is the address of the nth house.
func addr(n int) netip.Addr { return netip.AddrFrom4([4]byte{192, 0, 2, byte(n)}) }

// crowd are strangers and those of them who were sent away, in order.
type crowd struct {
	mu   sync.Mutex
	gone []string
}

func (c *crowd) enter(d *Door, name string, from int) *Place {
	return d.Enter(addr(from), func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.gone = append(c.gone, name)
	})
}

// Who finds no room makes some: at the fullest door goes whose
// bytes have waited for longest, whoever has
// said who they are never does, and an address that has its share makes room itself.
func TestWhoGoes(t *testing.T) {
	type step struct {
		name string // who enters, "" nobody
		from int    // which address; 0: one of its own
		door int    // 0 costs 10, 1 costs 20
		hold string // who says so much more
		more int
		meet string // who is known now
	}
	tests := []struct {
		name  string
		steps []step
		gone  []string
		held  int
	}{
		{"room for all", []step{{name: "a"}, {name: "b", door: 1}}, nil, 30},
		{"the oldest goes", []step{{name: "a", door: 1}, {name: "b", door: 1}, {name: "c", door: 1}, {name: "d", door: 1}, {name: "e", door: 1}, {name: "f", door: 1}},
			[]string{"a"}, 100},
		{"at the fullest door", []step{{name: "a"}, {name: "b", door: 1}, {name: "c", door: 1}, {name: "d", door: 1}, {name: "e", door: 1}, {name: "f"}, {name: "g"}},
			[]string{"b"}, 90},
		{"never who is known", []step{{name: "a", door: 1}, {meet: "a"}, {name: "b", door: 1}, {name: "c", door: 1}, {name: "d", door: 1}, {name: "e", door: 1}, {name: "f", door: 1}, {name: "g", door: 1}},
			[]string{"b"}, 100},
		{"of one's own address", []step{{name: "a"}, {name: "b", from: 9, door: 1}, {name: "c", from: 9, door: 1}, {name: "d", from: 9, door: 1}},
			[]string{"b"}, 50},
		{"for what is said", []step{{name: "a"}, {name: "b"}, {hold: "b", more: 18}, {name: "c", door: 1}, {hold: "c", more: 12}, {name: "d"}},
			[]string{"b"}, 10 + 44 + 10},
		{"who says nothing", []step{{name: "a", door: 1}, {name: "b", door: 1}, {hold: "a"}, {name: "c", door: 1}, {name: "d", door: 1}, {name: "e", door: 1}, {name: "f", door: 1}},
			[]string{"b"}, 100},
		{"who says too much", []step{{name: "a"}, {hold: "a", more: 26}}, []string{"a"}, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := New(Limits{All: 100, Addr: 50, Each: 60})
				doors := []*Door{g.Door(10), g.Door(20)}
				all, places := &crowd{}, map[string]*Place{}
				for i, s := range tt.steps {
					switch {
					case s.name != "":
						from := s.from
						if from == 0 {
							from = 100 + i
						}
						places[s.name] = all.enter(doors[s.door], s.name, from)
					case s.hold != "":
						gone := !places[s.hold].Hold(s.more)
						if gone != slices.Contains(all.gone, s.hold) {
							t.Errorf("%s was told to go: %v", s.hold, gone)
						}
					default:
						places[s.meet].Leave()
						places[s.meet].Leave()
					}
				}
				if !slices.Equal(all.gone, tt.gone) {
					t.Errorf("gone: %v, want %v", all.gone, tt.gone)
				}
				if st := g.Stats(); st.Bytes != tt.held || st.Evicted != uint64(len(tt.gone)) {
					t.Errorf("%+v; %d bytes expected", st, tt.held)
				}
				for _, p := range places {
					p.Leave()
				}
				if st := g.Stats(); st.Places != 0 || st.Bytes != 0 || len(g.byAddr) != 0 {
					t.Errorf("when all have left: %+v and %d addresses", st, len(g.byAddr))
				}
			})
		})
	}
}

// Those who come at once do not push each other out: who finds no room waits for
// a moment. Later, the oldest has had its time.
func TestStay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New(Limits{All: 100, Addr: 100, Stay: time.Second})
		d, all := g.Door(50), &crowd{}
		all.enter(d, "a", 1)
		time.Sleep(300 * time.Millisecond)
		all.enter(d, "b", 2)
		began := time.Now()
		all.enter(d, "c", 3)
		if took := time.Since(began); took != 700*time.Millisecond || !slices.Equal(all.gone, []string{"a"}) {
			t.Errorf("after %v gone: %v", took, all.gone)
		}
	})
}

// Who says more has its place to itself for a shorter time: the bytes times the
// time are the same for all.
func TestStayOfWhoSaysMuch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New(Limits{All: 240, Addr: 240, Stay: time.Second})
		d, all := g.Door(60), &crowd{}
		if !all.enter(d, "a", 1).Hold(60) { // with what it cost to come three times as much
			t.Fatal("no room")
		}
		all.enter(d, "b", 2).Hold(0)
		began := time.Now()
		all.enter(d, "c", 3)
		if took := time.Since(began); took.Round(time.Millisecond) != 1333*time.Millisecond || !slices.Equal(all.gone, []string{"a"}) {
			t.Errorf("after %v gone: %v", took, all.gone)
		}
	})
}

// Who has said something waits for our answer and has a round trip's time for the next
// word: who has only come goes before.
func TestStayOfWhoSpoke(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New(Limits{All: 100, Addr: 100, Stay: 50 * time.Millisecond})
		d, all := g.Door(40), &crowd{}
		all.enter(d, "a", 1).Hold(1)
		time.Sleep(150 * time.Millisecond)
		all.enter(d, "b", 2)
		for _, want := range []struct {
			name string
			took time.Duration
			gone []string
		}{{"c", 40 * time.Millisecond, []string{"a"}}, {"d", 10 * time.Millisecond, []string{"a", "b"}}} {
			began := time.Now()
			all.enter(d, want.name, 3)
			if took := time.Since(began).Round(10 * time.Millisecond); took != want.took || !slices.Equal(all.gone, want.gone) {
				t.Errorf("%s: after %v gone: %v", want.name, took, all.gone)
			}
		}
	})
}

// An eighth of the room is for words. When that is full too and nobody has stayed beyond
// its time, nobody goes for who would say more than the others: that one goes itself. For
// few words goes who has said most, at whichever door.
func TestWhoGoesForWords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New(Limits{All: 80, Addr: 80, Stay: 50 * time.Millisecond})
		d, all := g.Door(20), &crowd{}
		var places []*Place
		for i := range 4 {
			places = append(places, all.enter(d, "one of four", i))
		}
		if !places[0].Hold(5) || len(all.gone) != 0 {
			t.Errorf("those who come leave no room for words: %v", all.gone)
		}
		for _, p := range places {
			p.Leave()
		}
		g = New(Limits{All: 134, Addr: 134, Stay: 50 * time.Millisecond})
		d, other := g.Door(20), g.Door(8)
		first, second, third := all.enter(d, "first", 1), all.enter(d, "second", 2), all.enter(d, "third", 3)
		if !first.Hold(2) || !second.Hold(20) || !third.Hold(20) { // 24, 60, 60
			t.Fatal("no room")
		}
		time.Sleep(20 * time.Millisecond)
		if third.Hold(20) || !slices.Equal(all.gone, []string{"third"}) {
			t.Fatalf("gone for many words: %v", all.gone)
		}
		all.enter(other, "fourth", 4).Hold(24) // 56, seven times what it cost to come
		if !first.Hold(10) || !slices.Equal(all.gone, []string{"third", "fourth"}) {
			t.Errorf("gone for few: %v", all.gone)
		}
	})
}

// Until the server listens, for a second at most, nobody goes for a newcomer: that the
// server is slow is not the peer's fault.
func TestStayOfWhoIsNotHeardYet(t *testing.T) {
	for _, heard := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			g := New(Limits{All: 100, Addr: 100, Stay: 50 * time.Millisecond})
			d, all := g.Door(40), &crowd{}
			early, _ := d.try(addr(1), func() { all.gone = append(all.gone, "early") }, true)
			all.enter(d, "b", 2)
			time.Sleep(900 * time.Millisecond)
			want, first := 150*time.Millisecond, "early" // a second and the usual time after it came
			if heard {
				early.Wait()
				want, first = 0, "b"
			}
			began := time.Now()
			all.enter(d, "c", 3)
			if took := time.Since(began); took != want || !slices.Equal(all.gone, []string{first}) {
				t.Errorf("heard %v: after %v gone: %v", heard, took, all.gone)
			}
		})
	}
}

// What was said is given back when it was dealt with, and costs nothing once its
// sender is known.
func TestRest(t *testing.T) {
	g := New(Limits{All: 1000, Each: 100})
	p := g.Door(10).Enter(addr(1), func() { t.Error("sent away") })
	for range 100 {
		if !p.Hold(40) {
			t.Fatal("no room")
		}
		p.Rest()
	}
	p.Leave()
	if p.Rest(); !p.Hold(1<<30) || g.Stats().Bytes != 0 {
		t.Errorf("a known one counts: %+v", g.Stats())
	}
}

// A door and a place that are nil bound nothing.
func TestNoDoor(t *testing.T) {
	var d *Door
	p := d.Enter(addr(1), nil)
	if p.Rest(); !p.Hold(1 << 30) {
		t.Error("no door, but no room")
	}
	p.Leave()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if d.Listener(l) != l {
		t.Error("no door, but another listener")
	}
	Known(With(t.Context(), nil))
}

// A connection that says too much is closed, unless its peer was known before.
func TestListener(t *testing.T) {
	for _, known := range []bool{false, true} {
		t.Run(fmt.Sprint(known), func(t *testing.T) {
			g := New(Limits{})
			inner, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			l := g.Door(1 << 10).Listener(inner)
			defer l.Close()
			peer, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer peer.Close()
			c, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			if st := g.Stats(); st.Places != 1 || st.Bytes != 1<<10 {
				t.Errorf("%+v", st)
			}
			if known {
				Known(With(context.Background(), c))
			}
			var sending sync.WaitGroup
			sending.Go(func() { _, _ = peer.Write(make([]byte, 1<<20)) })
			n, err := io.CopyN(io.Discard, c, 1<<20)
			if known != (err == nil) || (!known && (!errors.Is(err, errCrowded) || n > 128<<10)) {
				t.Errorf("%d bytes, %v", n, err)
			}
			_ = c.Close()
			sending.Wait()
			if st := g.Stats(); st.Places != 0 || st.Bytes != 0 {
				t.Errorf("after it was closed: %+v", st)
			}
		})
	}
}

// Any number of goroutines may come, talk and leave; the count is exact.
func TestManyAtOnce(t *testing.T) {
	g := New(Limits{All: 5000, Stay: time.Nanosecond})
	doors := []*Door{g.Door(100), g.Door(300)}
	var silent []*Place // more than there is room for
	for i := range 20 {
		silent = append(silent, doors[1].Enter(addr(i), func() {}))
	}
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() {
			for n := range 200 {
				p := doors[(i+n)%2].Enter(addr(i%10), func() {})
				p.Hold(n)
				p.Rest()
				p.Hold(n)
				p.Leave()
			}
		})
	}
	all.Wait()
	for _, p := range silent {
		p.Leave()
	}
	if st := g.Stats(); st.Places != 0 || st.Bytes != 0 || st.Evicted == 0 || len(g.byAddr) != 0 {
		t.Errorf("%+v", st)
	}
}
