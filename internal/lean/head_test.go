package lean

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
)

const browser = "GET /live/pb/~habcdefghijklmno/video.m3u8?_HLS_msn=12&_HLS_part=3 HTTP/1.1\r\nHost: localhost:8002\r\nConnection: keep-alive\r\n" +
	"sec-ch-ua-platform: \"Linux\"\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\nsec-ch-ua: \"Chromium\";v=\"140\"\r\nAccept: */*\r\n" +
	"Origin: http://localhost:8002\r\nSec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: cors\r\nReferer: http://localhost:8002/live/pb\r\n" +
	"Accept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: en\r\nCookie: a=b\r\n\r\n"

// with is a plain request with one line more.
func with(line string) string { return "GET /a HTTP/1.1\r\nHost: x\r\n" + line + "\r\n\r\n" }

func TestParse(t *testing.T) {
	h, ok := parse([]byte(browser))
	if !ok || string(h.path) != "/live/pb/~habcdefghijklmno/video.m3u8" || string(h.query) != "_HLS_msn=12&_HLS_part=3" ||
		string(h.host) != "localhost:8002" || string(h.encoding) != "gzip, deflate, br, zstd" {
		t.Errorf("a browser's: %v %+v", ok, h)
	}
	for name, request := range map[string]string{
		"shortest": "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "no space": with("Accept:*/*"), "blanks": with("Accept: \t */* "), "empty": with("Origin:"),
		"keep-alive": with("CONNECTION: Keep-Alive"), "close": with("connection: Close"), "IPv6": "GET / HTTP/1.1\r\nHost: [::1]:8002\r\n\r\n",
	} {
		if _, ok := parse([]byte(request)); !ok {
			t.Errorf("%s is plain", name)
		}
	}
	for name, request := range odd {
		if h, ok := parse([]byte(request)); ok {
			t.Errorf("%s: taken as %+v", name, h)
		}
	}
}

// odd is what net/http has to judge: what frames messages otherwise, what changes
// an answer, what may be read in two ways, and what has not ended.
var odd = map[string]string{
	"nothing": "", "half": browser[:len(browser)-2], "no end": "GET / HTTP/1.1\r\nHost: x\r\n", "bare LF": "GET / HTTP/1.1\nHost: x\n\n",
	"LF inside": with("Accept: a\nContent-Length: 5"), "CR inside": with("Accept: a\rb"), "NUL": with("Accept: a\x00b"), "high byte": with("Accept: \xff"),
	"folded": with("Accept: a\r\n b"), "folded first": "GET / HTTP/1.1\r\n Host: x\r\n\r\n",
	"two": with("Accept: a") + with("Accept: a"), "body": with("Content-Length: 5") + "hello", "no body": with("Content-Length: 0"),
	"chunked": with("Transfer-Encoding: chunked") + "0\r\n\r\n", "chunked, hidden": with("Transfer-Encoding : chunked"),
	"chunked, other letters": with("tRANSFER-eNCODING: chunked"), "underscore": with("Content_Length: 5"), "no name": with(": x"), "no colon": with("Accept"),
	"upgrade": with("Connection: Upgrade\r\nUpgrade: websocket"), "two words": with("Connection: keep-alive, Upgrade"),
	"expect": with("Expect: 100-continue"), "range": with("Range: bytes=0-1"), "etag": with("If-None-Match: \"x\""), "proxy": with("X-Forwarded-For: 1.2.3.4"),
	"HTTP/2 settings": with("HTTP2-Settings: AA"), "unknown": with("X-Odd: 1"), "two hosts": with("Host: y"), "two encodings": with("Accept-Encoding: gzip\r\nAccept-Encoding: br"),
	"long name":   with(strings.Repeat("a", 50) + ": x"),
	"host's path": "GET / HTTP/1.1\r\nHost: x/y\r\n\r\n", "host's user": "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", "no host": "GET / HTTP/1.1\r\nAccept: a\r\n\r\n", "empty host": "GET / HTTP/1.1\r\nHost: \r\n\r\n",
	"HEAD": "HEAD / HTTP/1.1\r\nHost: x\r\n\r\n", "POST": "POST / HTTP/1.1\r\nHost: x\r\n\r\n", "get": "get / HTTP/1.1\r\nHost: x\r\n\r\n",
	"1.0": "GET / HTTP/1.0\r\nHost: x\r\n\r\n", "2": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "0.9": "GET /\r\n\r\n", "two spaces": "GET  / HTTP/1.1\r\nHost: x\r\n\r\n",
	"absolute": "GET http://x/ HTTP/1.1\r\nHost: x\r\n\r\n", "no path": "GET ?a HTTP/1.1\r\nHost: x\r\n\r\n", "escaped": "GET /%61 HTTP/1.1\r\nHost: x\r\n\r\n",
	"dots": "GET /a/../b HTTP/1.1\r\nHost: x\r\n\r\n", "dot": "GET /./b HTTP/1.1\r\nHost: x\r\n\r\n", "slashes": "GET //b HTTP/1.1\r\nHost: x\r\n\r\n",
	"semicolon": "GET /?a;b HTTP/1.1\r\nHost: x\r\n\r\n", "fragment": "GET /#a HTTP/1.1\r\nHost: x\r\n\r\n", "TLS": "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
}

// What is plain here is plain to net/http too, and says the same there: nobody can
// hide a request from one of the two.
func FuzzParse(f *testing.F) {
	f.Add([]byte(browser))
	for _, request := range odd {
		f.Add([]byte(request))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		h, ok := parse(b)
		if !ok {
			return
		}
		in := bufio.NewReader(bytes.NewReader(b))
		r, err := http.ReadRequest(in)
		if err != nil {
			t.Fatalf("net/http refuses it: %v", err)
		}
		body, _ := io.ReadAll(r.Body)
		if len(body) > 0 || r.ContentLength != 0 || r.TransferEncoding != nil || r.Close != h.last || in.Buffered() > 0 {
			t.Errorf("net/http sees a body or an end: %+v", r)
		}
		if r.Method != http.MethodGet || r.URL.Path != string(h.path) || r.URL.RawPath != "" || r.URL.RawQuery != string(h.query) || r.Host != string(h.host) {
			t.Errorf("net/http reads %s %s of %s, not %+v", r.Method, r.URL, r.Host, h)
		}
		if got := r.Header.Values("Accept-Encoding"); len(got) > 1 || r.Header.Get("Accept-Encoding") != string(h.encoding) {
			t.Errorf("Accept-Encoding %q, not %q", got, h.encoding)
		}
	})
}
