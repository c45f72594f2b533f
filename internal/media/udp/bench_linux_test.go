package udp

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

// senderEnv makes the test's binary a sender to this port, of so many datagrams.
const senderEnv = "GLIMPSE_UDP_SENDER"

// BenchmarkRead is the CPU time of a process for each datagram of 1,200 bytes that it is
// sent, one each 300 µs as ten publishers send them: by the pause, and by the runtime's
// poller, which is what package net reads by.
func BenchmarkRead(b *testing.B) {
	for _, pause := range []time.Duration{0, time.Millisecond, 5 * time.Millisecond, 20 * time.Millisecond} {
		b.Run("pause="+pause.String(), func(b *testing.B) {
			s, err := Listen("udp", "127.0.0.1:0", 8<<20)
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			measure(b, s.Addr().Port(), func() (int, error) { return s.Read(pause, func(Datagram) {}) })
		})
	}
	b.Run("poller", func(b *testing.B) {
		c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			b.Fatal(err)
		}
		defer c.Close()
		raw, err := c.SyscallConn()
		if err != nil {
			b.Fatal(err)
		}
		_ = raw.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 8<<20) })
		buf := make([]byte, MaxDatagram)
		measure(b, uint16(c.LocalAddr().(*net.UDPAddr).Port), func() (int, error) {
			_, _, err := c.ReadFromUDPAddrPort(buf)
			return 1, err
		})
	})
}

// measure reads what another process sends.
func measure(b *testing.B, port uint16, read func() (int, error)) {
	sender := exec.Command(os.Args[0])
	sender.Env = append(os.Environ(), fmt.Sprintf("%s=%d %d", senderEnv, port, b.N))
	if err := sender.Start(); err != nil {
		b.Fatal(err)
	}
	var before time.Duration
	for n := 0; n < b.N; {
		k, err := read()
		if err != nil {
			b.Fatal(err)
		}
		if n == 0 {
			before = processTime(b)
		}
		n += k
	}
	b.ReportMetric(float64((processTime(b)-before).Nanoseconds())/float64(b.N), "cpu-ns/datagram")
	if err := sender.Wait(); err != nil {
		b.Fatal(err)
	}
}

// send is the other process.
func send(what string) error {
	var port, n int
	if _, err := fmt.Sscan(what, &port, &n); err != nil {
		return err
	}
	c, err := net.Dial("udp", "127.0.0.1:"+strconv.Itoa(port))
	if err != nil {
		return err
	}
	defer c.Close()
	for began, i := time.Now(), 0; i < n; time.Sleep(250 * time.Microsecond) {
		for due := int(time.Since(began)/(300*time.Microsecond)) + 1; i < min(due, n); i++ {
			if _, err := c.Write(make([]byte, 1200)); err != nil {
				return err
			}
		}
	}
	return nil
}

func processTime(b *testing.B) time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func TestMain(m *testing.M) {
	if what := os.Getenv(senderEnv); what != "" {
		if err := send(what); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}
