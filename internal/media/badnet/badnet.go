// Package badnet is a bad network for tests: a UDP relay between one server and
// any number of clients, which loses packets, delays them and lets them overtake
// each other. What it does to which packet follows from a seed.
package badnet

import (
	"container/heap"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"
)

// Faults of a network, the same both ways.
type Faults struct {
	Loss   float64       // of the packets, 0 to 1
	Delay  time.Duration // of each packet
	Jitter time.Duration // at most so much more
	Seed   uint64
	Late   func(packet []byte) time.Duration // how much later this one is; nil: none is
}

// Relay passes packets on. It is safe for concurrent use.
type Relay struct {
	front  *net.UDPConn
	server netip.AddrPort
	faults Faults
	done   chan struct{}
	wake   chan struct{}
	wg     sync.WaitGroup

	mu      sync.Mutex
	random  *rand.Rand
	clients map[netip.AddrPort]*net.UDPConn
	queue   queue
	passed  uint64
	lost    uint64
}

// Start relays between a free port of the loopback interface and a server until
// the test ends.
func Start(t testing.TB, server string, f Faults) *Relay {
	t.Helper()
	at, err := netip.ParseAddrPort(server)
	if err != nil {
		t.Fatal(err)
	}
	front, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	r := &Relay{
		front: front, server: at, faults: f, done: make(chan struct{}), wake: make(chan struct{}, 1),
		random: rand.New(rand.NewPCG(f.Seed, 1)), clients: map[netip.AddrPort]*net.UDPConn{},
	}
	_ = front.SetReadBuffer(4 << 20)
	r.wg.Go(r.listen)
	r.wg.Go(r.deliver)
	t.Cleanup(r.close)
	return r
}

// Addr is where clients send to.
func (r *Relay) Addr() string { return r.front.LocalAddr().String() }

// Lost counts the packets that were lost, of all that came.
func (r *Relay) Lost() (lost, all uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.lost, r.lost + r.passed
}

func (r *Relay) close() {
	close(r.done)
	_ = r.front.Close()
	r.mu.Lock()
	for _, c := range r.clients {
		_ = c.Close()
	}
	r.mu.Unlock()
	r.wg.Wait()
}

// listen takes the clients' packets.
func (r *Relay) listen() {
	buf := make([]byte, 1<<16)
	for {
		n, from, err := r.front.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		if back := r.client(from); back != nil {
			r.take(buf[:n], func(b []byte) { _, _ = back.Write(b) })
		}
	}
}

// client is the socket that stands for a client before the server.
func (r *Relay) client(from netip.AddrPort) *net.UDPConn {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c := r.clients[from]; c != nil {
		return c
	}
	c, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(r.server))
	if err != nil {
		return nil
	}
	_ = c.SetReadBuffer(4 << 20)
	r.clients[from] = c
	r.wg.Go(func() {
		buf := make([]byte, 1<<16)
		for {
			n, err := c.Read(buf)
			select {
			case <-r.done:
				return
			default:
			}
			if err != nil {
				time.Sleep(time.Millisecond) // the server is not there now
				continue
			}
			r.take(buf[:n], func(b []byte) { _, _ = r.front.WriteToUDPAddrPort(b, from) })
		}
	})
	return c
}

// take decides what becomes of a packet.
func (r *Relay) take(b []byte, send func([]byte)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.random.Float64() < r.faults.Loss {
		r.lost++
		return
	}
	r.passed++
	late := r.faults.Delay
	if j := r.faults.Jitter; j > 0 {
		late += time.Duration(r.random.Int64N(int64(j)))
	}
	if r.faults.Late != nil {
		late += r.faults.Late(b)
	}
	heap.Push(&r.queue, &packet{at: time.Now().Add(late), n: r.passed, data: append([]byte(nil), b...), send: send})
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// deliver sends packets when their time has come.
func (r *Relay) deliver() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		r.mu.Lock()
		next := time.Hour
		for len(r.queue) > 0 {
			if next = time.Until(r.queue[0].at); next > 0 {
				break
			}
			p := heap.Pop(&r.queue).(*packet)
			p.send(p.data)
			next = time.Hour
		}
		r.mu.Unlock()
		timer.Reset(next)
		select {
		case <-r.done:
			return
		case <-r.wake:
		case <-timer.C:
		}
	}
}

// packet is on its way.
type packet struct {
	at   time.Time
	n    uint64 // equal times keep their order
	data []byte
	send func([]byte)
}

// queue is a heap of packets by time.
type queue []*packet

func (q queue) Len() int { return len(q) }
func (q queue) Less(i, j int) bool {
	if q[i].at.Equal(q[j].at) {
		return q[i].n < q[j].n
	}
	return q[i].at.Before(q[j].at)
}
func (q queue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(x any)   { *q = append(*q, x.(*packet)) }

func (q *queue) Pop() any {
	last := len(*q) - 1
	p := (*q)[last]
	(*q)[last], *q = nil, (*q)[:last]
	return p
}
