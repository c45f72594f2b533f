package e2e

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bluenviron/gortmplib"
	"github.com/bluenviron/gortmplib/pkg/message"

	"glimpse/internal/media/srt/live"
)

// visitByHTTP fetches what a player of HLS or DASH begins with: the list, what the
// first that matches in it names, and so on; each from where the one before was.
func visitByHTTP(ctx context.Context, address string, then ...*regexp.Regexp) error {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for i := 0; ; i++ {
		req, err := http.NewRequestWithContext(ctx, "GET", address, nil)
		if err != nil {
			return err
		}
		res, err := client.Do(req)
		if err != nil {
			return err
		}
		body, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if err != nil || res.StatusCode != http.StatusOK || len(body) == 0 {
			return fmt.Errorf("GET %s: %d, %d bytes, %w", address, res.StatusCode, len(body), err)
		}
		if i == len(then) {
			return nil
		}
		found := then[i].FindSubmatch(body)
		if found == nil {
			return fmt.Errorf("no %v in %s", then[i], body)
		}
		next, err := res.Request.URL.Parse(string(found[1]))
		if err != nil {
			return err
		}
		address = next.String()
	}
}

// visitByRTMP plays until the first picture.
func visitByRTMP(ctx context.Context, address string) error {
	at, err := url.Parse(address)
	if err != nil {
		return err
	}
	c := &gortmplib.Client{URL: at, TLSConfig: &tls.Config{InsecureSkipVerify: true}}
	if err := c.Initialize(ctx); err != nil {
		return err
	}
	defer c.Close()
	_ = c.NetConn().SetReadDeadline(time.Now().Add(patience))
	for {
		m, err := c.Read()
		if err != nil {
			return err
		}
		if v, ok := m.(*message.Video); ok && v.Type == message.VideoTypeAU {
			return nil
		}
	}
}

// visitBySRT plays until the first bytes.
func visitBySRT(ctx context.Context, address string) error {
	u, err := url.Parse(address)
	if err != nil {
		return err
	}
	conn, err := live.Dial(ctx, u.Host, live.Options{StreamID: u.Query().Get("streamid")})
	if err != nil {
		return err
	}
	_, err = conn.Read()
	return errors.Join(err, conn.Close())
}

// Viewers that come, see something and go, a thousand by all the outputs that are no
// WebRTC (that one: TestThousandJoinsAndLeaves), leave no goroutine and no descriptor
// behind. GLIMPSE_LONG makes it a thousand by each.
func TestJoinsAndLeaves(t *testing.T) {
	parallel(t, others)
	visits := 200
	if long {
		visits = 1000
	}
	c := startCloud(t, withSRT+"https: {addr: \"127.0.0.1:0\"}\nrtmps: {addr: \"127.0.0.1:0\"}\n")
	s := c.newStream()
	publish(t, s.Ingest["rtmp"])
	c.wantStatus(s.ID, "live")
	playlist, part := regexp.MustCompile(`(?m)^([^#\n].*m3u8.*)$`), regexp.MustCompile(`#EXT-X-PART:.*URI="([^"]+)"`)
	init := regexp.MustCompile(`initialization="([^"]+)"`)
	ways := map[string]func(context.Context) error{
		"hls":   func(ctx context.Context) error { return visitByHTTP(ctx, s.Play["hls"], playlist, part) },
		"dash":  func(ctx context.Context) error { return visitByHTTP(ctx, s.Play["dash"], init) },
		"rtmp":  func(ctx context.Context) error { return visitByRTMP(ctx, s.Play["rtmp"]) },
		"rtmps": func(ctx context.Context) error { return visitByRTMP(ctx, s.Play["rtmps"]) },
		"srt":   func(ctx context.Context) error { return visitBySRT(ctx, s.Play["srt"]) },
	}
	wantMoving(t, s.Play["hls"])
	goroutines := func() (n int) {
		for line := range strings.Lines(string(fetchOK(t, c.url+"/metrics"))) {
			_, _ = fmt.Sscanf(line, "go_goroutines %d", &n)
		}
		if n == 0 {
			t.Fatal("/metrics has no goroutines")
		}
		return n
	}
	for way, visit := range ways { // whatever is made by the first, and kept
		if err := visit(t.Context()); err != nil {
			t.Fatal(way, ": ", err)
		}
	}
	const spare = 5 // what the probes themselves keep, and timers of the moment
	before, files := goroutines(), c.files()
	for way, visit := range ways {
		began := time.Now()
		var next atomic.Int64
		var tasks sync.WaitGroup
		for range 8 {
			tasks.Go(func() {
				for next.Add(1) <= int64(visits) {
					if err := visit(t.Context()); err != nil {
						t.Errorf("%s: %v", way, err)
						return
					}
				}
			})
		}
		tasks.Wait()
		t.Logf("%s: %d visits in %v", way, visits, time.Since(began).Round(time.Millisecond))
		eventually(t, "as few goroutines as before, after "+way, func() bool { return goroutines() <= before+spare })
		eventually(t, "as few files as before, after "+way, func() bool { return c.files() <= files+spare })
	}
}
