package main

import (
	"crypto/aes"
	"crypto/cipher"
	"io"
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The physical floor: what the system and the arithmetic cost by themselves, which
// no server is cheaper than.
//
//	go test -run ^$ -bench Floor ./bench

// picture is the mean size of the film's pictures at 2.5 Mb/s.
const picture = 10_400

// One writev of a header and a picture on loopback TCP, read by somebody.
func BenchmarkFloorTCPWritev(b *testing.B) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	go func() {
		if c, err := l.Accept(); err == nil {
			_, _ = io.Copy(io.Discard, c)
		}
	}()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	head, body := make([]byte, 17), make([]byte, picture)
	b.SetBytes(picture)
	for b.Loop() {
		bufs := net.Buffers{head, body}
		if _, err := bufs.WriteTo(c); err != nil {
			b.Fatal(err)
		}
	}
}

// One send of a picture as nine UDP packets by segmentation offload.
func BenchmarkFloorUDPSegments(b *testing.B) { segmentsOf(b, 9) }

// One UDP packet.
func BenchmarkFloorUDPPacket(b *testing.B) { segmentsOf(b, 1) }

func segmentsOf(b *testing.B, n int) {
	sink, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		b.Fatal(err)
	}
	defer sink.Close()
	go func() {
		buf := make([]byte, 2048)
		for {
			if _, _, err := sink.ReadFromUDPAddrPort(buf); err != nil {
				return
			}
		}
	}()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = unix.Close(fd) }()
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_UDP, unix.UDP_SEGMENT, 1200); err != nil {
		b.Skip("no segmentation offload: ", err) // an old kernel; the rest is measured
	}
	to := &unix.SockaddrInet4{Port: sink.LocalAddr().(*net.UDPAddr).Port, Addr: [4]byte{127, 0, 0, 1}}
	packets := make([]byte, n*1200)
	b.SetBytes(int64(len(packets)))
	for b.Loop() {
		if err := unix.Sendto(fd, packets, unix.MSG_DONTWAIT, to); err != nil && err != unix.EAGAIN {
			b.Fatal(err)
		}
	}
}

// One packet sealed with AES-128-GCM.
func BenchmarkFloorSeal(b *testing.B) {
	block, err := aes.NewCipher(make([]byte, 16))
	if err != nil {
		b.Fatal(err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		b.Fatal(err)
	}
	nonce, packet := make([]byte, 12), make([]byte, 1184, 1200)
	b.SetBytes(1184)
	for b.Loop() {
		gcm.Seal(packet[:0], nonce, packet[:1184], nil)
	}
}

// One picture copied.
func BenchmarkFloorCopy(b *testing.B) {
	from, to := make([]byte, picture), make([]byte, picture)
	b.SetBytes(picture)
	for b.Loop() {
		copy(to, from)
	}
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
			_, _ = io.Copy(struct{ io.Writer }{c}, struct{ io.Reader }{c})
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
