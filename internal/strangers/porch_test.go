package strangers

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"glimpse/internal/memnet"
)

// Behind a crowd for which there is no room comes in at once who has spoken, also
// when it does so later, and the others in their order, when there is room. Who has
// come past has no place. In the end nobody is left.
func TestPorch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		speaks, asked := map[net.Conn]bool{}, map[net.Conn]int{}
		say := func(c net.Conn, past bool) {
			mu.Lock()
			defer mu.Unlock()
			speaks[c] = past
		}
		g := New(Limits{All: 20, Addr: 20, Stay: time.Second})
		below := memnet.New(0)
		var mine []net.Conn // the server's ends
		l := g.Door(10).Porch(noting{below, &mine}, func(c net.Conn) (past, known bool) {
			mu.Lock()
			defer mu.Unlock()
			bare := Bare(c)
			asked[bare]++
			past, known = speaks[bare]
			return past, known
		})
		in := make(chan net.Conn, 20)
		var accepting sync.WaitGroup
		accepting.Go(func() {
			for {
				c, err := l.Accept()
				if err != nil {
					if !errors.Is(err, net.ErrClosed) {
						t.Error(err)
					}
					return
				}
				PlaceOf(c).Wait()
				in <- c
			}
		})
		came := func() (server net.Conn) {
			if _, err := below.Dial(context.Background(), "", ""); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			return mine[len(mine)-1]
		}
		wantIn := func(who net.Conn, past bool, within time.Duration) {
			t.Helper()
			began := time.Now()
			c := <-in
			if Bare(c) != who || IsPast(c) != past || (PlaceOf(c) == nil) != past || time.Since(began) > within {
				t.Errorf("after %v another, or not as it should: past %v", time.Since(began), IsPast(c))
			}
		}
		wantIn(came(), false, 0)
		wantIn(came(), false, 0)
		third, loud, fourth, probe := came(), came(), came(), came()
		say(loud, false) // it has said something else
		say(probe, true)
		wantIn(probe, true, porchLook)
		time.Sleep(100 * time.Millisecond)
		mu.Lock()
		if n := asked[loud]; n != 2 {
			t.Errorf("asked %d times who had spoken", n)
		}
		mu.Unlock()
		wantIn(third, false, time.Second)
		wantIn(loud, false, time.Second)
		wantIn(fourth, false, time.Second)
		wantIn(came(), false, 0)
		last := came()
		if st := g.Stats(); st.Places != 2 || st.Evicted != 4 {
			t.Errorf("%+v", st)
		}
		_ = l.Close()
		accepting.Wait()
		if _, err := last.Write([]byte("x")); err == nil {
			t.Error("who waited at the end was not sent away")
		}
	})
}

// noting keeps what a listener accepts.
type noting struct {
	net.Listener
	all *[]net.Conn
}

func (n noting) Accept() (net.Conn, error) {
	c, err := n.Listener.Accept()
	if err == nil {
		*n.all = append(*n.all, c)
	}
	return c, err
}

// While there is room, who comes with others and has spoken has a place, and so may
// stay after its answer.
func TestPorchWithRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		below := memnet.New(0)
		l := New(Limits{All: 20, Addr: 20}).Door(10).Porch(below, func(net.Conn) (past, known bool) { return true, true })
		for range 3 {
			if _, err := below.Dial(t.Context(), "", ""); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		for i, past := range []bool{false, false, true} {
			c, err := l.Accept()
			if err != nil || IsPast(c) != past {
				t.Errorf("%d: past %v, %v", i, IsPast(c), err)
			}
		}
		_ = l.Close()
	})
}
