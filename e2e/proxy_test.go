package e2e

import (
	"bufio"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
)

// proxy stands between the cloud and its peers and cuts the connections of a
// kind: "/app-ws", "/glasses-ws".
type proxy struct {
	url    string
	target string
	wg     sync.WaitGroup

	mu      sync.Mutex
	conns   map[net.Conn]string // of peers, with what they asked for
	refused map[string]bool
}

// startProxy serves until the test ends.
func startProxy(t *testing.T, c *cloud) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{
		url: "http://" + l.Addr().String(), target: strings.TrimPrefix(c.url, "http://"),
		conns: map[net.Conn]string{}, refused: map[string]bool{},
	}
	p.wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			p.wg.Go(func() { p.serve(conn) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		p.cut("")
		p.wg.Wait()
	})
	return p
}

func (p *proxy) serve(conn net.Conn) {
	defer conn.Close()
	p.keep(conn, "")
	defer p.keep(conn, "gone")
	r := bufio.NewReader(conn)
	line, err := r.ReadString('\n')
	if err != nil {
		return
	}
	path := strings.Fields(line + " - -")[1]
	path, _, _ = strings.Cut(path, "?")
	p.keep(conn, path)
	p.mu.Lock()
	refused := p.refused[path]
	p.mu.Unlock()
	if refused {
		return
	}
	out, err := net.Dial("tcp", p.target)
	if err != nil {
		return
	}
	defer out.Close()
	go func() {
		_, _ = io.Copy(conn, out)
		conn.Close()
	}()
	_, _ = io.WriteString(out, line)
	_, _ = io.Copy(out, r)
}

func (p *proxy) keep(conn net.Conn, path string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if path == "gone" {
		delete(p.conns, conn)
		return
	}
	p.conns[conn] = path
}

// cut breaks all connections of a kind without a word; "" means all.
func (p *proxy) cut(path string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for conn, kind := range p.conns {
		if path == "" || kind == path {
			_ = conn.(*net.TCPConn).SetLinger(0)
			conn.Close()
		}
	}
}

// refuse closes new connections of a kind, or no more.
func (p *proxy) refuse(path string, yes bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refused[path] = yes
}

// through is the cloud as peers see it who reach it by the proxy.
func (p *proxy) through(c *cloud) *cloud {
	other := *c
	other.url = p.url
	return &other
}
