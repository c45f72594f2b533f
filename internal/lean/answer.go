package lean

import (
	"net"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// answer collects one: its status, its header and the slices of its body.
type answer struct {
	header http.Header
	status int // 0: not said yet
	body   net.Buffers
	size   int

	// Used again and again:
	head   []byte
	keys   []string
	pieces net.Buffers
	rest   net.Buffers // of pieces, while they are written
}

func (a *answer) reset() {
	clear(a.header)
	a.status, a.size = 0, 0
	clear(a.body)
	a.body = a.body[:0]
}

// Header implements http.ResponseWriter.
func (a *answer) Header() http.Header { return a.header }

// WriteHeader implements http.ResponseWriter.
func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}

// Write implements http.ResponseWriter; see Handler about b.
func (a *answer) Write(b []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	a.body = append(a.body, b)
	a.size += len(b)
	return len(b), nil
}

// SetWriteDeadline is for http.ResponseController: an answer has its own.
func (a *answer) SetWriteDeadline(time.Time) error { return nil }

// send writes all at once; last says that the connection ends. It reports whether
// it may go on.
func (a *answer) send(to net.Conn, now time.Time, last bool) bool {
	a.WriteHeader(http.StatusOK)
	if said := a.header["Content-Length"]; said != nil && said[0] != strconv.Itoa(a.size) {
		return false // cut off, so that nobody takes it for whole
	}
	a.appendHead(now, last)
	a.pieces = append(a.pieces[:0], a.head)
	a.pieces = append(a.pieces, a.body...)
	a.rest = a.pieces
	_, err := a.rest.WriteTo(to)
	clear(a.pieces)
	return err == nil && !last
}

// appendHead makes the head as net/http does: fields by name, then those that the
// handler has not set.
func (a *answer) appendHead(now time.Time, last bool) {
	a.keys = a.keys[:0]
	for key := range a.header {
		a.keys = append(a.keys, key)
	}
	slices.Sort(a.keys)
	b := append(a.head[:0], "HTTP/1.1 "...)
	b = strconv.AppendInt(b, int64(a.status), 10)
	b = append(b, ' ')
	b = append(b, http.StatusText(a.status)...)
	b = append(b, "\r\n"...)
	for _, key := range a.keys {
		for _, value := range a.header[key] {
			b = append(b, key...)
			b = append(b, ": "...)
			b = append(b, value...)
			b = append(b, "\r\n"...)
		}
	}
	b = append(b, "Date: "...)
	b = now.UTC().AppendFormat(b, http.TimeFormat)
	b = append(b, "\r\n"...)
	if a.header["Content-Length"] == nil {
		b = append(b, "Content-Length: "...)
		b = strconv.AppendInt(b, int64(a.size), 10)
		b = append(b, "\r\n"...)
	}
	if last {
		b = append(b, "Connection: close\r\n"...)
	}
	a.head = append(b, "\r\n"...)
}
