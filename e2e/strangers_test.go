package e2e

import (
	"bytes"
	"context"
	"crypto/tls"
	wire "encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/bluenviron/gortmplib"
	"github.com/pion/webrtc/v4"
)

// crowdOf is how many connections strangers hold of each kind.
const crowdOf = 300

// strangersOf names, in the environment, what makes this program a crowd of strangers:
// the doors to go to.
const strangersOf = "GLIMPSE_STRANGERS"

// doors are the ways into a cloud, and what is offered at the one for viewers.
type doors struct {
	Web, HTTPS, RTMP, RTMPS, SRT, WebRTC string
	WHEP, Offer                          string
}

// doorsOf knows the ways into a cloud; whep is the public address of a stream.
func doorsOf(t *testing.T, c *cloud, whep string) doors {
	t.Helper()
	var info map[string]any
	c.api("GET", "/api/v1/server", nil, &info)
	at := func(name string) string { return info[name].(map[string]any)["addr"].(string) }
	pc := peerConnection(t)
	if _, err := pc.AddTransceiverFromKind(webrtc.RTPCodecTypeVideo, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionRecvonly}); err != nil {
		t.Fatal(err)
	}
	text, err := pc.CreateOffer(nil)
	if err != nil {
		t.Fatal(err)
	}
	return doors{at("http"), at("https"), at("rtmp"), at("rtmps"), at("srt"), at("webrtc"), whep, text.SDP}
}

// crowds lets strangers come, in a process of their own, until leave is called, which
// returns how many connections they made. In the world they have other machines: here
// they take what processor others leave them.
func crowds(t *testing.T, to doors) (leave func() (connections int)) {
	t.Helper()
	text, err := json.Marshal(to)
	if err != nil {
		t.Fatal(err)
	}
	p := start(t, "strangers", []string{strangersOf + "=" + string(text)}, os.Args[0])
	return func() (connections int) {
		p.stop()
		m, _ := p.waitLine(`^(\d+) connections$`, 0)
		connections, _ = strconv.Atoi(m[1])
		return connections
	}
}

// beStrangers holds connections of every kind until it is told to end, and says as
// much on them as it is let without saying who it is. Who was sent away comes again,
// from another address.
func beStrangers(text string) error {
	if err := syscall.Setpriority(syscall.PRIO_PROCESS, 0, 19); err != nil {
		return err
	}
	var to doors
	if err := json.Unmarshal([]byte(text), &to); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	var all sync.WaitGroup
	var began atomic.Int64
	for _, come := range kinds(to) {
		for range crowdOf {
			all.Go(func() {
				for ctx.Err() == nil {
					n := began.Add(1)
					from := &net.Dialer{Timeout: time.Second}
					if n%2 == 0 { // the others share the address of everybody
						from.LocalAddr = &net.TCPAddr{IP: net.IPv4(127, byte(1+n>>16), byte(n>>8), byte(n))}
					}
					come(ctx, from)
					select {
					case <-ctx.Done():
					case <-time.After(3 * time.Second):
					}
				}
			})
		}
	}
	all.Wait()
	fmt.Println(began.Load(), "connections")
	return nil
}

// kinds are what strangers do.
func kinds(to doors) []func(ctx context.Context, from *net.Dialer) {
	header := func(line string) string { return line + " HTTP/1.1\r\nHost: " + to.Web + "\r\n" }
	slow := []byte(header("GET /") + "X-Pad: " + strings.Repeat("x", 15<<10))
	body := []byte(header("POST /api/v1/login") + "Content-Type: application/json\r\nContent-Length: 65000\r\n\r\n{\"token\":\"" + strings.Repeat("x", 60<<10))
	socket := append([]byte(header("GET /app-ws")+"Connection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"),
		append([]byte{1, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0, 1, 2, 3, 4}, make([]byte, 62<<10)...)...)
	messages := append([]byte{3}, make([]byte, 2*1536)...)
	for i := range byte(4) { // each one unfinished
		size := 60<<10 + 1
		if i == 0 {
			messages = append(messages, 2, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0, 0, 1, 0, 0) // a chunk size of 64 KiB
		}
		messages = append(messages, 4+i, 0, 0, 0, byte(size>>16), byte(size>>8), byte(size), 20, 0, 0, 0, 0)
		messages = append(messages, make([]byte, 60<<10)...)
	}
	packet := wire.BigEndian.AppendUint16(nil, 1400)
	packet = append(packet, make([]byte, 1300)...)
	return []func(ctx context.Context, from *net.Dialer){
		sayTo(to.Web, socket), sayTo(to.Web, slow), sayTo(to.Web, body), sayByTLS(to.HTTPS, slow),
		sayTo(to.RTMP, messages), sayByTLS(to.RTMPS, messages),
		askBySRT(to.SRT), offer(to.WHEP, to.Offer), sayTo(to.WebRTC, packet),
	}
}

// sayTo connects, says all that it can and stays.
func sayTo(at string, words []byte) func(context.Context, *net.Dialer) {
	return func(ctx context.Context, from *net.Dialer) {
		if conn, err := from.DialContext(ctx, "tcp", at); err == nil {
			stay(ctx, conn, words)
		}
	}
}

// sayByTLS does it inside of TLS.
func sayByTLS(at string, words []byte) func(context.Context, *net.Dialer) {
	return func(ctx context.Context, from *net.Dialer) {
		d := tls.Dialer{NetDialer: from, Config: &tls.Config{InsecureSkipVerify: true}}
		if conn, err := d.DialContext(ctx, "tcp", at); err == nil {
			stay(ctx, conn, words)
		}
	}
}

func stay(ctx context.Context, conn net.Conn, words []byte) {
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	if _, err := conn.Write(words); err == nil {
		_, _ = io.Copy(io.Discard, conn)
	}
}

// askBySRT shakes hands for a stream that does not exist, from new ports.
func askBySRT(at string) func(context.Context, *net.Dialer) {
	return func(ctx context.Context, _ *net.Dialer) {
		conn, err := net.Dial("udp", at)
		if err != nil {
			return
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(time.Second))
		words := func(list ...uint32) (b []byte) {
			for _, w := range list {
				b = wire.BigEndian.AppendUint32(b, w)
			}
			return b
		}
		head := func(kind, cookie, version, fields uint32) []byte {
			return append(words(0x80000000, 0, 0, 0, version, fields, 1, 1500, 8192, kind, 77, cookie), make([]byte, 16)...)
		}
		answer := make([]byte, 1500)
		_, _ = conn.Write(head(1, 0, 4, 2))
		if n, err := conn.Read(answer); err != nil || n < 48 {
			return
		}
		ask := append(head(0xffffffff, wire.BigEndian.Uint32(answer[44:]), 5, 5), words(1<<16|3, 0x010500, 0x3f, 120<<16|120, 5<<16|128)...)
		ask = append(ask, bytes.Repeat([]byte("nobo"), 128)...)
		for ctx.Err() == nil {
			if _, err := conn.Write(ask); err != nil {
				return
			}
			if _, err := conn.Read(answer); err != nil {
				return
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
}

// offer asks to watch and never connects.
func offer(whep, sdp string) func(context.Context, *net.Dialer) {
	return func(ctx context.Context, from *net.Dialer) {
		client := &http.Client{Transport: &http.Transport{DialContext: from.DialContext, DisableKeepAlives: true}}
		req, err := http.NewRequestWithContext(ctx, "POST", whep, strings.NewReader(sdp))
		if err != nil {
			return
		}
		req.Header.Set("Content-Type", "application/sdp")
		if res, err := client.Do(req); err == nil {
			_, _ = io.Copy(io.Discard, res.Body)
			_ = res.Body.Close()
		}
	}
}

// memory is what a process has in memory, now or at most since resetPeak, in MiB.
func (p *process) memory(field string) float64 {
	p.t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	var kib float64
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, field+":"); ok {
			_, _ = fmt.Sscan(rest, &kib)
		}
	}
	return kib / 1024
}

func (p *process) resetPeak() {
	p.t.Helper()
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", p.cmd.Process.Pid), []byte("5"), 0); err != nil {
		p.t.Fatal(err)
	}
}

// Crowds of strangers at every port, each saying as much as it is let, make the
// process grow by less than 64 MiB. A reader misses no picture, each probe is answered
// within 250 ms, and those who say who they are come in: encoders by RTMPS, those
// far away too, glasses, an app that starts them, a page by LL-HLS.
//
// F24
func TestStrangers(t *testing.T) {
	alone(t)
	const user, pkg, most, lasting, within = "wearer@example.com", "com.example.known", 64.0, 10 * time.Second, 250 * time.Millisecond
	port := freePort(t)
	c := startCloud(t, withSRT+"https: {addr: \"127.0.0.1:0\"}\nrtmps: {addr: \"127.0.0.1:0\"}\n"+
		"apps:\n"+appConfig(pkg, port, "CAMERA")+"users:\n  - {id: "+user+"}\n")
	s, second := c.newStream(), c.newStream()
	publish(t, s.Ingest["rtmp"])
	c.wantStatus(s.ID, "live")
	reader := whole(t, s)
	fetchOK(t, s.Play["hls"])
	a := startApp(t, "sdk2", pkg, port)

	to := doorsOf(t, c, s.Play["whep"])
	c.resetPeak()
	before, began := c.memory("VmRSS"), time.Now()
	leave := crowds(t, to)
	probing, known := context.WithCancel(t.Context())
	var probes sync.WaitGroup
	probes.Go(func() { c.probesAnswered(probing, within) })
	t.Cleanup(func() {
		known()
		probes.Wait()
	})
	time.Sleep(time.Second) // past the crowd's first rush
	publish(t, second.Ingest["rtmps"])
	c.wantFarEncoders(c.newStream(), 100*time.Millisecond, 10)
	c.wantStatus(second.ID, "live")
	c.startGlasses(t, user)
	c.startSession(a, user)
	var links urls
	a.do(&links, "managed", map[string]any{})
	fetchOK(t, links.HLS)
	time.Sleep(time.Until(began.Add(lasting)))
	known()
	probes.Wait()
	connections := leave()
	peak := c.memory("VmHWM") - before
	t.Logf("%d connections began; %.0f MiB more at most", connections, peak)
	if peak > most {
		t.Errorf("the process grew by %.0f MiB", peak)
	}
	if connections < 5*crowdOf*9/2 {
		t.Errorf("only %d connections began: that was no crowd", connections)
	}
	reader.wantWhole(30)
	wantMovingSoon(t, links.HLS)
}

// far is a connection to a peer whose answers come that much later.
type far struct {
	net.Conn
	away time.Duration
	said time.Time
}

func (f *far) Write(b []byte) (int, error) {
	f.said = time.Now()
	return f.Conn.Write(b)
}

func (f *far) Read(b []byte) (int, error) {
	n, err := f.Conn.Read(b)
	time.Sleep(time.Until(f.said.Add(f.away)))
	return n, err
}

// wantFarEncoders lets encoders that are so far away come by RTMPS, one after the other.
// Each is told that it may publish.
func (c *cloud) wantFarEncoders(s stream, away time.Duration, count int) {
	c.t.Helper()
	u, err := url.Parse(s.Ingest["rtmps"])
	if err != nil {
		c.t.Fatal(err)
	}
	for i := range count {
		began := time.Now()
		ctx, cancel := context.WithTimeout(c.t.Context(), patience)
		encoder := &gortmplib.Client{URL: u, Publish: true, DialTLSContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			return tls.Client(&far{Conn: conn, away: away}, &tls.Config{InsecureSkipVerify: true}), nil
		}}
		if err := encoder.Initialize(ctx); err != nil {
			c.t.Errorf("encoder %d, %v away, after %v: %v", i, away, time.Since(began), err)
		} else {
			encoder.Close()
		}
		cancel()
	}
}

// probesAnswered asks a server how it is, by a new connection each time, which is what
// the doors are about, until ctx ends. Each probe is answered in time; for how
// long the machine, busy with others, let the server wait for a processor is not counted.
func (c *cloud) probesAnswered(ctx context.Context, within time.Duration) {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	var took []time.Duration
	var kept time.Duration
	for {
		before, asked := c.unscheduled(), time.Now()
		res, err := client.Get(c.url + "/healthz")
		if err == nil {
			res.Body.Close()
			if res.StatusCode != http.StatusOK {
				err = errors.New(res.Status)
			}
		}
		after := time.Since(asked)
		took = append(took, after)
		waited := time.Duration(0)
		for thread, ns := range c.unscheduled() {
			waited = max(waited, ns-before[thread])
		}
		kept = max(kept, waited)
		if err != nil || after-waited > within {
			c.t.Errorf("probe %d, after %v, of which the machine let the server wait for %v: %v", len(took), after, waited, err)
		}
		select {
		case <-ctx.Done():
			slices.Sort(took)
			c.t.Logf("%d probes took %v, 19 of 20 at most %v, the slowest %v; the machine let the server wait for at most %v",
				len(took), took[len(took)/2], took[len(took)*95/100], took[len(took)-1], kept)
			return
		case <-time.After(25 * time.Millisecond):
		}
	}
}

// unscheduled is for how long each thread of a process could have run and had no
// processor, since it began.
func (p *process) unscheduled() map[string]time.Duration {
	p.t.Helper()
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", p.cmd.Process.Pid)) // the pattern is a good one
	waits := map[string]time.Duration{}
	for _, file := range files {
		var ran, waited time.Duration
		b, err := os.ReadFile(file)
		if _, scan := fmt.Sscan(string(b), &ran, &waited); err == nil && scan == nil { // else the thread has ended
			waits[file] = waited
		}
	}
	return waits
}
