package lean

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// plainly takes all below /plain/ and answers as it does in every case.
type plainly struct{ wait chan struct{} }

func (plainly) Takes(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/plain/") }

func (p plainly) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	switch r.URL.Path {
	case "/plain/list":
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Content-Length", "11")
		_, _ = io.WriteString(w, "hello ")
		_, _ = io.WriteString(w, "world")
	case "/plain/encoding":
		w.Header().Set("Content-Type", "text/plain")
		_, _ = io.WriteString(w, r.Header.Get("Accept-Encoding")+" "+r.URL.RawQuery+" "+r.Host)
	case "/plain/missing":
		w.Header().Set("Content-Type", "text/plain")
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, "There is nothing.\n")
	case "/plain/short": // a handler that has less than it promised
		w.Header().Set("Content-Type", "text/plain")
		w.Header().Set("Content-Length", "11")
		_, _ = io.WriteString(w, "hello")
	case "/plain/abort":
		panic(http.ErrAbortHandler)
	case "/plain/wait":
		w.Header().Set("Content-Type", "text/plain")
		select {
		case <-p.wait:
			_, _ = io.WriteString(w, "waited")
		case <-r.Context().Done():
			panic(http.ErrAbortHandler)
		}
	}
}

// place is a listener before a server whose own answers bear X-By.
type place struct {
	*Listener
	http  *http.Server
	wait  chan struct{}
	ended chan error
}

func start(t testing.TB) *place {
	t.Helper()
	under, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := plainly{make(chan struct{})}
	server := &http.Server{ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-By", "net/http")
		h.ServeHTTP(w, r)
	})}
	p := &place{New(under, Config{Handler: h, Server: server}), server, h.wait, make(chan error, 1)}
	go func() { p.ended <- server.Serve(p.Listener) }()
	t.Cleanup(func() {
		p.shutdown(context.Background())
		if err := <-p.ended; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	return p
}

func (p *place) shutdown(ctx context.Context) {
	_ = p.http.Close()
	p.Shutdown(ctx)
}

func (p *place) dial(t testing.TB) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", p.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	return c
}

var date = regexp.MustCompile(`Date: [^\r]+ GMT\r\n`)

// ask sends a request and returns the answer's bytes without their date, and who
// answered.
func ask(t testing.TB, c net.Conn, request string) (answer string, byNetHTTP bool) {
	t.Helper()
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	var raw bytes.Buffer
	res, err := http.ReadResponse(bufio.NewReaderSize(io.TeeReader(c, &raw), 1), nil)
	if err != nil {
		return "", false
	}
	if _, err = io.Copy(io.Discard, res.Body); err != nil {
		return "", false
	}
	if !date.Match(raw.Bytes()) {
		t.Errorf("no date in %q", raw.String())
	}
	answer = date.ReplaceAllString(raw.String(), "")
	mine := strings.ReplaceAll(answer, "X-By: net/http\r\n", "")
	return mine, mine != answer
}

func get(path, line string) string {
	return "GET " + path + " HTTP/1.1\r\nHost: x:1\r\n" + line + "\r\n"
}

// Plain requests are answered here with the very bytes that net/http sends; the
// first odd one takes its connection there, and there it stays.
func TestSameAnswers(t *testing.T) {
	p := start(t)
	ours, theirs := p.dial(t), p.dial(t)
	if _, odd := ask(t, theirs, get("/plain/list", "X-Odd: 1\r\n")); !odd {
		t.Fatal("an odd request was answered here")
	}
	for _, request := range []string{
		get("/plain/list", ""), get("/plain/encoding", "Accept-Encoding: gzip\r\n"), get("/plain/encoding?a=b", ""), get("/plain/encoding?a=b&c", "Accept-Encoding: br\r\n"),
		get("/plain/missing", ""), get("/plain/", ""), get("/plain/list", "Connection: keep-alive\r\n"),
	} {
		here, odd := ask(t, ours, request)
		there, same := ask(t, theirs, request)
		if odd || !same {
			t.Errorf("%q: answered by the wrong one", request)
		}
		if here != there || here == "" {
			t.Errorf("%q: answers differ:\n%q\n%q", request, here, there)
		}
	}
	if n := p.Answered(); n != 7 {
		t.Errorf("%d answered, want 7", n)
	}
	if _, odd := ask(t, ours, get("/else", "")); !odd {
		t.Error("what the handler does not take was answered here")
	}
	if _, odd := ask(t, ours, get("/plain/list", "")); !odd {
		t.Error("the connection came back")
	}
}

// A head in pieces and pipelined requests are answered too, in order.
func TestHandedOn(t *testing.T) {
	p := start(t)
	c := p.dial(t)
	_, _ = io.WriteString(c, "GET /plain/li")
	time.Sleep(20 * time.Millisecond)
	if _, odd := ask(t, c, "st HTTP/1.1\r\nHost: x\r\n\r\n"); !odd {
		t.Error("a head in pieces was answered here")
	}
	c = p.dial(t)
	_, _ = io.WriteString(c, get("/plain/missing", "")+get("/plain/list", "")+get("/plain/list", "Connection: close\r\n"))
	all, err := io.ReadAll(c)
	if err != nil || bytes.Count(all, []byte("HTTP/1.1 200 OK")) != 2 || !bytes.HasPrefix(all, []byte("HTTP/1.1 404 ")) {
		t.Errorf("pipelined: %q, %v", all, err)
	}
	c = p.dial(t)
	_, _ = io.WriteString(c, get("/plain/list", "Accept: "+strings.Repeat("x", 3*headSize)+"\r\n"))
	if head, err := bufio.NewReader(c).ReadString('\n'); err != nil || head != "HTTP/1.1 200 OK\r\n" {
		t.Errorf("a long head: %q, %v", head, err)
	}
	if n := p.Answered(); n != 0 {
		t.Errorf("%d answered here", n)
	}
}

// An answer that cannot be whole is cut off.
func TestCut(t *testing.T) {
	p := start(t)
	for _, path := range []string{"/plain/short", "/plain/abort"} {
		c := p.dial(t)
		_, _ = io.WriteString(c, get(path, ""))
		if b, err := io.ReadAll(c); len(b) > 0 || err != nil {
			t.Errorf("%s: %q, %v", path, b, err)
		}
	}
}

// Shutdown closes who waits for nothing, lets a request finish, and cuts those that
// last too long.
func TestShutdown(t *testing.T) {
	for name, finish := range map[string]bool{"finishes": true, "is cut": false} {
		t.Run(name, func(t *testing.T) {
			p := start(t)
			silent, quiet, waiting := p.dial(t), p.dial(t), p.dial(t)
			if _, odd := ask(t, quiet, get("/plain/list", "")); odd {
				t.Fatal("not plain")
			}
			_, _ = io.WriteString(waiting, get("/plain/wait", ""))
			p.wait <- struct{}{} // it is being answered
			if b, err := http.ReadResponse(bufio.NewReader(waiting), nil); err != nil || b.StatusCode != 200 {
				t.Fatal(err)
			}
			_, _ = io.WriteString(waiting, get("/plain/wait", ""))
			time.Sleep(50 * time.Millisecond)
			ctx, cut := context.WithCancel(context.Background())
			defer cut()
			over := make(chan struct{})
			go func() {
				defer close(over)
				p.shutdown(ctx)
			}()
			for _, c := range []net.Conn{silent, quiet} {
				if b, err := io.ReadAll(c); len(b) > 0 && err == nil {
					t.Errorf("an idle connection got %q", b)
				}
			}
			select {
			case <-over:
				t.Fatal("it did not wait for a request")
			default:
			}
			if finish {
				close(p.wait)
			} else {
				cut()
			}
			b, _ := io.ReadAll(waiting)
			if got := bytes.HasSuffix(b, []byte("waited")) && bytes.Contains(b, []byte("\r\nConnection: close\r\n")); got != finish {
				t.Errorf("the request that waited got %q", b)
			}
			<-over
		})
	}
}

// one is a listener with one connection.
type one struct {
	net.Listener
	conns chan net.Conn
}

func (l one) Accept() (net.Conn, error) {
	if c, ok := <-l.conns; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}
func (l one) Close() error { close(l.conns); return nil }

// Silence ends a connection: at its beginning sooner than between two requests.
func TestSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, asks := range []bool{false, true} {
			here, there := net.Pipe()
			l := one{conns: make(chan net.Conn, 1)}
			l.conns <- there
			p := New(l, Config{Handler: plainly{}, Server: &http.Server{ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute}})
			began, want := time.Now(), 5*time.Second
			if asks {
				if _, odd := ask(t, here, get("/plain/list", "")); odd {
					t.Error("not plain")
				}
				want = time.Minute
			}
			_, _ = io.ReadAll(here)
			if took := time.Since(began); took != want {
				t.Errorf("over after %v, want %v", took, want)
			}
			_ = p.Close()
			p.Shutdown(t.Context())
		}
	})
}

// A request costs little memory: two strings of its line, and what its handler and
// its answer's length need.
func TestRequestAllocates(t *testing.T) {
	p := start(t)
	c := p.dial(t)
	request, buf := []byte(get("/plain/list", "Accept-Encoding: gzip\r\n")), make([]byte, 4096)
	n := testing.AllocsPerRun(500, func() {
		if _, err := c.Write(request); err != nil {
			t.Fatal(err)
		}
		if n, err := c.Read(buf); err != nil || !bytes.HasSuffix(buf[:n], []byte("world")) {
			t.Fatal(err)
		}
	})
	if n > 7 { // the test's handler has five: three headers and two copies of words
		t.Errorf("%.1f allocations for a request", n)
	}
}

func BenchmarkRequest(b *testing.B) {
	for name, line := range map[string]string{"lean": "", "net-http": "X-Odd: 1\r\n"} {
		b.Run(name, func(b *testing.B) {
			c := start(b).dial(b)
			request, buf := []byte(get("/plain/list", line)), make([]byte, 4096)
			_ = c.SetDeadline(time.Time{})
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.Write(request); err != nil {
					b.Fatal(err)
				}
				if _, err := c.Read(buf); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
