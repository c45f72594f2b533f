package load

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// HLS is a Reader of LL-HLS: for pictures and sound alike a held list, then the
// parts that it announces, as hls.js does.
func HLS(ctx context.Context, master string, seen func(Stamp)) error {
	c := &httpConn{}
	defer c.close()
	list, err := c.wait(ctx, master)
	if err != nil {
		return ended(ctx, err)
	}
	video, audio := variants(string(list))
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return follow(ctx, resolve(master, video), seen) })
	if audio != "" {
		group.Go(func() error { return follow(ctx, resolve(master, audio), func(Stamp) {}) })
	}
	return group.Wait()
}

// Segment returns the address and the size of the newest closed segment of a
// stream's pictures.
func Segment(ctx context.Context, master string) (at string, size int, err error) {
	c := &httpConn{}
	defer c.close()
	for {
		list, err := c.wait(ctx, master)
		if err != nil {
			return "", 0, err
		}
		video, _ := variants(string(list))
		if list, err = c.wait(ctx, resolve(master, video)); err != nil {
			return "", 0, err
		}
		uri, n := "", 0
		for line := range strings.Lines(string(list)) {
			if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
				uri = line
				n++
			}
		}
		if n >= 3 { // past what stands before the stream
			at = resolve(resolve(master, video), uri)
			body, err := c.wait(ctx, at)
			return at, len(body), err
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// Fetch gets one address again and again until ctx ends and returns how often.
func Fetch(ctx context.Context, at string) (times int, err error) {
	c := &httpConn{}
	defer c.close()
	for ; ctx.Err() == nil; times++ {
		if _, _, err := c.get(ctx, at); err != nil {
			return times, ended(ctx, err)
		}
	}
	return times, nil
}

// variants finds the playlists of pictures and, when it is apart, of sound.
func variants(list string) (video, audio string) {
	for line := range strings.Lines(list) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "#EXT-X-MEDIA:TYPE=\"AUDIO\""), strings.HasPrefix(line, "#EXT-X-MEDIA:TYPE=AUDIO"):
			if _, rest, ok := strings.Cut(line, `URI="`); ok && audio == "" {
				audio, _, _ = strings.Cut(rest, `"`)
			}
		case line != "" && !strings.HasPrefix(line, "#") && video == "":
			video = line
		}
	}
	return video, audio
}

// follow plays one media playlist.
func follow(ctx context.Context, at string, seen func(Stamp)) error {
	c := &httpConn{}
	defer c.close()
	done, query := "", ""
	for ctx.Err() == nil {
		list, err := c.wait(ctx, at+query)
		if err != nil {
			return ended(ctx, err)
		}
		parts, msn, part := parseParts(string(list))
		for _, uri := range after(parts, done) {
			body, err := c.wait(ctx, resolve(at, uri))
			if err != nil {
				return ended(ctx, err)
			}
			stamps(body, seen)
			done = uri
		}
		sep := "?"
		if strings.Contains(at, "?") {
			sep = "&"
		}
		query = fmt.Sprintf("%s_HLS_msn=%d&_HLS_part=%d", sep, msn, part)
	}
	return nil
}

// after returns the parts that follow the one that was fetched last. When that is
// not listed any more, the reader is too late by all that is, and goes on with the
// newest, as players do: catching up would keep it there on a busy machine.
func after(parts []string, done string) []string {
	if i := slices.Index(parts, done); i >= 0 {
		return parts[i+1:]
	}
	return parts[max(0, len(parts)-1):]
}

// parseParts returns the parts of a playlist and which comes next.
func parseParts(list string) (uris []string, msn, part int) {
	for line := range strings.Lines(list) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "#EXT-X-MEDIA-SEQUENCE:"):
			msn, _ = strconv.Atoi(line[len("#EXT-X-MEDIA-SEQUENCE:"):])
		case strings.HasPrefix(line, "#EXT-X-PART:"):
			if _, rest, ok := strings.Cut(line, `URI="`); ok {
				uri, _, _ := strings.Cut(rest, `"`)
				uris = append(uris, uri)
				part++
			}
		case line != "" && !strings.HasPrefix(line, "#"):
			msn, part = msn+1, 0
		}
	}
	return uris, msn, part
}

func resolve(base, ref string) string {
	b, err := url.Parse(base)
	if err != nil {
		return ref
	}
	r, err := b.Parse(ref)
	if err != nil {
		return ref
	}
	return r.String()
}

// httpConn is one kept connection: net/http's client costs more than the servers
// that it would measure.
type httpConn struct {
	conn net.Conn
	host string
	r    *bufio.Reader
	body []byte
}

func (c *httpConn) close() {
	if c.conn != nil {
		_ = c.conn.Close()
	}
}

// wait gets an address, again and again while it is not there yet.
func (c *httpConn) wait(ctx context.Context, at string) ([]byte, error) {
	for {
		status, body, err := c.get(ctx, at)
		switch {
		case err != nil:
			return nil, err
		case status == http.StatusOK:
			return body, nil
		case status != http.StatusServiceUnavailable && status != http.StatusNotFound:
			return nil, fmt.Errorf("GET %s: %d", at, status)
		}
		select {
		case <-time.After(retry):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// get makes one request. The body is valid until the next.
func (c *httpConn) get(ctx context.Context, at string) (status int, body []byte, err error) {
	u, err := url.Parse(at)
	if err != nil {
		return 0, nil, err
	}
	if c.conn == nil || c.host != u.Host {
		c.close()
		if c.conn, err = (&net.Dialer{}).DialContext(ctx, "tcp", u.Host); err != nil {
			return 0, nil, err
		}
		c.host, c.r = u.Host, bufio.NewReaderSize(c.conn, 16<<10)
	}
	conn := c.conn
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	request := "GET " + u.RequestURI() + " HTTP/1.1\r\nHost: " + u.Host + "\r\nAccept: */*\r\nAccept-Encoding: gzip\r\nUser-Agent: bench\r\n\r\n"
	if _, err := io.WriteString(c.conn, request); err != nil {
		return 0, nil, err
	}
	res, err := http.ReadResponse(c.r, nil)
	if err != nil {
		return 0, nil, err
	}
	defer res.Body.Close()
	if c.body, err = readAll(c.body[:0], res); err != nil {
		return 0, nil, err
	}
	if res.Header.Get("Location") != "" && res.StatusCode/100 == 3 {
		return c.get(ctx, resolve(at, res.Header.Get("Location")))
	}
	if res.Close {
		c.close()
		c.conn = nil
	}
	if res.Header.Get("Content-Encoding") == "gzip" {
		body, err = gunzip(c.body)
		return res.StatusCode, body, err
	}
	return res.StatusCode, c.body, nil
}

// Answers waits until an address answers.
func Answers(ctx context.Context, at string) error {
	c := &httpConn{}
	defer c.close()
	_, err := c.wait(ctx, at)
	return err
}
