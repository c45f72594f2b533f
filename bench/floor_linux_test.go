package main

import (
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"glimpse/internal/media/udp"
)

// The physical floor: what the system calls, encryption and copies of a scenario cost by
// themselves, in the unit of its figure: no server is cheaper, unless it makes fewer
// calls. Counted is the CPU time of the thread that does a server's work; who reads or
// sends on the other side has its own.
//
//	go test -run ^$ -bench Floor ./bench

// Sizes and rates of the film at 2.5 Mb/s.
const (
	picture    = 10_400 // bytes, mean
	pictures   = 30     // a second
	sound      = 370    // bytes for each picture
	packet     = 1_160  // bytes of RTP
	perPicture = 9      // packets
)

// floor does something that a server does so often a second for each of n, and reports
// what it costs each.
func floor(b *testing.B, perSecond float64, n int, do func()) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before := threadTime(b)
	for b.Loop() {
		do()
	}
	spent := threadTime(b) - before
	b.ReportMetric(milliseconds(spent)/float64(b.N)*perSecond/float64(n), "ms/s-each")
}

func threadTime(b *testing.B) time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_THREAD, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// connections are the server's blocking ends of n TCP connections; serve has the other.
func connections(b *testing.B, n int, serve func(net.Conn)) []int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	var fds []int
	for range n {
		client, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			b.Fatal(err)
		}
		server, err := l.Accept()
		if err != nil {
			b.Fatal(err)
		}
		var file *os.File
		if file, err = server.(*net.TCPConn).File(); err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _, _, _ = client.Close(), server.Close(), file.Close() })
		fds = append(fds, int(file.Fd())) // which makes it block
		go serve(client)
	}
	return fds
}

func drain(c net.Conn) { copyAll(io.Discard, c) }

// A picture and its sound to each RTMP reader by one writev.
func BenchmarkFloorRTMP(b *testing.B) {
	for _, n := range []int{10, 100, 500} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			fds := connections(b, n, drain)
			parts := [][]byte{make([]byte, 12), make([]byte, picture), make([]byte, 12), make([]byte, sound)}
			floor(b, pictures, n, func() {
				for _, fd := range fds {
					if _, err := unix.Writev(fd, parts); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
	}
}

// A picture's packets to a WebRTC viewer: copied, sealed with AES-128-GCM, sent by one
// call with segmentation offload.
func BenchmarkFloorWHEP(b *testing.B) {
	sink, socket, to := pair(b)
	go func() {
		for buf := make([]byte, 2048); ; {
			if _, _, err := sink.ReadFromUDPAddrPort(buf); err != nil {
				return
			}
		}
	}()
	gcm, nonce := sealer(b)
	source, out := make([]byte, perPicture*packet), make([]byte, perPicture*(packet+gcm.Overhead()))
	floor(b, pictures, 1, func() {
		for i := range perPicture {
			at := out[i*(packet+gcm.Overhead()):][:packet]
			copy(at, source[i*packet:])
			gcm.Seal(at[:12], nonce, at[12:], at[:12])
		}
		if err := socket.Send(&to, out, packet+gcm.Overhead()); err != nil && !errors.Is(err, udp.ErrNoRoom) {
			b.Fatal(err)
		}
	})
}

// pair is a socket to send by and one that takes it.
func pair(b *testing.B) (*net.UDPConn, *udp.Socket, udp.Destination) {
	sink, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		b.Fatal(err)
	}
	_ = sink.SetReadBuffer(8 << 20)
	socket, err := udp.Listen("udp4", "127.0.0.1:0", 8<<20)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _, _ = sink.Close(), socket.Close() })
	return sink, socket, socket.Destination(udp.Path{Remote: sink.LocalAddr().(*net.UDPAddr).AddrPort()})
}

func sealer(b *testing.B) (cipher.AEAD, []byte) {
	block, err := aes.NewCipher(make([]byte, 16))
	if err != nil {
		b.Fatal(err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		b.Fatal(err)
	}
	return gcm, make([]byte, 12)
}

// An LL-HLS client: five times a second a list and a part, asked for one after the other.
func BenchmarkFloorHLS(b *testing.B) {
	request, list := make([]byte, 300), make([]byte, 1500)
	part := make([]byte, (picture+sound)*pictures/5)
	fd := connections(b, 1, func(c net.Conn) {
		answer := make([]byte, len(part)+200)
		for {
			for _, size := range []int{len(list) + 200, len(part) + 200} {
				if _, err := c.Write(request); err != nil {
					return
				}
				if _, err := io.ReadFull(c, answer[:size]); err != nil {
					return
				}
			}
		}
	})[0]
	head, asked := make([]byte, 200), make([]byte, 4096)
	floor(b, 5, 1, func() {
		for _, body := range [][]byte{list, part} {
			if _, err := unix.Read(fd, asked); err != nil {
				b.Fatal(err)
			}
			for rest := len(head) + len(body); rest > 0; {
				out := [][]byte{head, body}
				if rest < len(head)+len(body) {
					out = [][]byte{body[len(body)-rest:]}
				}
				n, err := unix.Writev(fd, out)
				if err != nil {
					b.Fatal(err)
				}
				rest -= n
			}
		}
	})
}

// An RTMP publisher: what it sends in 100 ms is read and copied to where it stays.
func BenchmarkFloorRTMPIngest(b *testing.B) {
	const gulp = (picture + sound) * pictures / 10
	fd := connections(b, 1, func(c net.Conn) {
		for out := make([]byte, gulp); ; {
			if _, err := c.Write(out); err != nil {
				return
			}
		}
	})[0]
	buf := make([]byte, gulp)
	kept := [1000][]byte{} // as much as the window's, so that it is not in a cache
	i := 0
	floor(b, 10, 1, func() {
		for have := 0; have < gulp; {
			n, err := unix.Read(fd, buf[have:])
			if err != nil || n == 0 {
				b.Fatal(n, err)
			}
			have += n
		}
		kept[i%len(kept)] = append(kept[i%len(kept)][:0], buf...)
		i++
	})
}

// A WHIP publisher's packets: received one by one, opened, copied.
func BenchmarkFloorWHIPIngest(b *testing.B) {
	gcm, nonce := sealer(b)
	floorOfPackets(b, pictures*perPicture+50, gcm.Seal(make([]byte, 12), nonce, make([]byte, packet-12), make([]byte, 12)), func(kept, in []byte) []byte {
		out, err := gcm.Open(kept[:0], nonce, in[12:], in[:12])
		if err != nil {
			b.Fatal(err)
		}
		return out
	})
}

// An SRT publisher's packets, without passphrase: received one by one, copied.
func BenchmarkFloorSRTIngest(b *testing.B) {
	floorOfPackets(b, (picture+sound)*pictures/1316+1, make([]byte, 1332), func(kept, in []byte) []byte { return append(kept[:0], in...) })
}

func floorOfPackets(b *testing.B, perSecond int, packet []byte, take func(kept, in []byte) []byte) {
	sink, socket, to := pair(b)
	var fd int
	file, err := sink.File()
	if err != nil {
		b.Fatal(err)
	}
	defer file.Close()
	fd = int(file.Fd())
	stop, over := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(over)
		for {
			select {
			case <-stop:
				return
			default:
				_ = socket.Send(&to, packet, len(packet))
			}
		}
	}()
	in, kept, i := make([]byte, 2048), [8000][]byte{}, 0
	floor(b, float64(perSecond), 1, func() {
		n, _, err := unix.Recvfrom(fd, in, 0)
		if err != nil {
			b.Fatal(err)
		}
		kept[i%len(kept)] = take(kept[i%len(kept)], in[:n])
		i++
	})
	close(stop)
	<-over
}

// One wake-up of a goroutine that waits for the network: a byte there and back, two
// of them and four system calls.
func BenchmarkFloorWake(b *testing.B) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	go func() {
		if c, err := l.Accept(); err == nil {
			copyAll(c, c)
		}
	}()
	c, err := net.DialTimeout("tcp", l.Addr().String(), time.Second)
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	one := make([]byte, 1)
	for b.Loop() {
		if _, err := c.Write(one); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(c, one); err != nil {
			b.Fatal(err)
		}
	}
}

func copyAll(w io.Writer, r io.Reader) {
	_, _ = io.Copy(struct{ io.Writer }{w}, struct{ io.Reader }{r})
}
