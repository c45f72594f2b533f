package e2e

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/Eyevinn/mp4ff/mp4"
	"github.com/bluenviron/gohlslib/v2/pkg/playlist"
)

var (
	sessionPath  = regexp.MustCompile(`~h\w+/`)
	numberedPart = regexp.MustCompile(`-(\d+)-(\d+)\.m4s$`)
)

// oneConnection is a client that asks for everything at once over one connection by
// HTTP/2, as native Safari does.
type oneConnection struct {
	t     *testing.T
	http  http.Client
	base  string // of the stream's session
	dials atomic.Int32
}

func newOneConnection(t *testing.T, c *cloud) *oneConnection {
	t.Helper()
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(fetchOK(t, c.url+"/ca.pem")) {
		t.Fatal("ca.pem is not PEM")
	}
	o := &oneConnection{t: t}
	dialer := &net.Dialer{}
	transport := &http.Transport{
		ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: roots},
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			o.dials.Add(1)
			return dialer.DialContext(ctx, network, addr)
		},
	}
	t.Cleanup(transport.CloseIdleConnections)
	o.http = http.Client{Transport: transport, Timeout: patience}
	return o
}

// get returns the body of a 200 by HTTP/2, and how long it took.
func (o *oneConnection) get(uri string) ([]byte, time.Duration) {
	o.t.Helper()
	began := time.Now()
	res, err := o.http.Get(o.base + uri)
	if err != nil {
		o.t.Error(err)
		return nil, 0
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK || res.ProtoMajor != 2 {
		o.t.Errorf("%s: %s by %s: %v", uri, res.Status, res.Proto, err)
	}
	return body, time.Since(began)
}

// parsedList is a media playlist as another maker's library reads it.
func parsedList(t *testing.T, body []byte) *playlist.Media {
	t.Helper()
	any, err := playlist.Unmarshal(body)
	if err != nil {
		t.Fatalf("%v\n%s", err, body)
	}
	list, ok := any.(*playlist.Media)
	if !ok || list.PreloadHint == nil || len(list.Segments) == 0 {
		t.Fatalf("no media playlist with a segment and a hint:\n%s", body)
	}
	return list
}

// follow reads a list from its newest closed segment on, for so many parts more: it
// asks for the next list and for the part that is hinted before either exists. It
// returns the init and the parts.
func (o *oneConnection) follow(name string, more int) []byte {
	o.t.Helper()
	body, _ := o.get(name)
	list := parsedList(o.t, body)
	media, _ := o.get(list.Map.URI)
	for _, p := range append(list.Segments[len(list.Segments)-1].Parts, list.Parts...) {
		part, _ := o.get(p.URI)
		media = append(media, part...)
	}
	waited := 0
	for range more {
		hint := list.PreloadHint.URI
		at := numberedPart.FindStringSubmatch(hint)
		var both sync.WaitGroup
		var part []byte
		both.Go(func() {
			var took time.Duration
			if part, took = o.get(hint); took > 20*time.Millisecond {
				waited++
			}
		})
		body, _ = o.get(name + "?_HLS_msn=" + at[1] + "&_HLS_part=" + at[2])
		both.Wait()
		if list = parsedList(o.t, body); !strings.Contains(string(body), `,URI="`+hint+`"`) || list.PreloadHint.URI == hint {
			o.t.Errorf("%s was hinted and is no part of the list that was asked for:\n%s", hint, body)
		}
		media = append(media, part...)
		for _, uri := range partsAfter(list, hint) { // the next one came as well before a busy machine asked
			part, _ := o.get(uri)
			media = append(media, part...)
		}
	}
	if waited < more/2 {
		o.t.Errorf("%s: of %d hinted parts %d were asked for before they existed", name, more, waited)
	}
	return media
}

// partsAfter are the parts that a list names after one of them.
func partsAfter(list *playlist.Media, uri string) (uris []string) {
	for _, s := range list.Segments {
		for _, p := range s.Parts {
			uris = append(uris, p.URI)
		}
	}
	for _, p := range list.Parts {
		uris = append(uris, p.URI)
	}
	return uris[slices.Index(uris, uri)+1:]
}

// wantTrack fails unless another maker's library reads a track without a complaint,
// writes the same bytes again, and finds each fragment where the one before ended.
func wantTrack(t *testing.T, name string, media []byte, fragments int) {
	t.Helper()
	f, err := mp4.DecodeFile(bytes.NewReader(media))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	var again bytes.Buffer
	if err := f.Encode(&again); err != nil || !bytes.Equal(again.Bytes(), media) {
		t.Errorf("%s: written again it is not the same: %v", name, err)
	}
	count, end := 0, uint64(0)
	for _, segment := range f.Segments {
		for _, fragment := range segment.Fragments {
			samples, err := fragment.GetFullSamples(f.Init.Moov.Mvex.Trex)
			if err != nil || len(samples) == 0 {
				t.Fatalf("%s: fragment %d: %d samples: %v", name, count, len(samples), err)
			}
			if begin := samples[0].DecodeTime; count > 0 && begin != end {
				t.Errorf("%s: fragment %d begins at %d, the one before ended at %d", name, count, begin, end)
			}
			size := uint64(0)
			for _, s := range samples {
				end, size = s.DecodeTime+uint64(s.Dur), size+uint64(s.Size)
			}
			if size != uint64(len(fragment.Mdat.Data)) {
				t.Errorf("%s: fragment %d: samples of %d bytes in %d", name, count, size, len(fragment.Mdat.Data))
			}
			count++
		}
	}
	if count < fragments {
		t.Errorf("%s: %d fragments, want %d", name, count, fragments)
	}
}

// A client like native Safari plays LL-HLS over one connection by HTTP/2, with what
// is held for it on both renditions in flight at once; parsers of others read all
// lists and all that they name.
func TestPartsByHTTP2(t *testing.T) {
	parallel(t, others)
	c := startCloud(t, "https: {addr: \"127.0.0.1:0\"}\n")
	m, _ := c.waitLine(`(https://127\.0\.0\.1:\d+)`, 0)
	s := c.newStream()
	publish(t, s.Ingest["rtmp"])
	c.wantStatus(s.ID, "live")
	o := newOneConnection(t, c)
	o.base = strings.Replace(strings.TrimSuffix(s.Play["hls"], "index.m3u8"), c.url, m[1], 1)
	index, _ := o.get("index.m3u8")
	if variants, err := playlist.Unmarshal(index); err != nil {
		t.Fatalf("%v\n%s", err, index)
	} else if _, ok := variants.(*playlist.Multivariant); !ok {
		t.Fatalf("no multivariant playlist:\n%s", index)
	}
	o.base += sessionPath.FindString(string(index))
	const parts = 25 // over two cuts at least
	tracks := map[string][]byte{"video.m3u8": nil, "audio.m3u8": nil}
	var mu sync.Mutex
	var all sync.WaitGroup
	for name := range tracks {
		all.Go(func() {
			media := o.follow(name, parts)
			mu.Lock()
			defer mu.Unlock()
			tracks[name] = media
		})
	}
	all.Wait()
	for name, media := range tracks {
		wantTrack(t, name, media, parts)
	}
	if n := o.dials.Load(); n != 1 {
		t.Errorf("%d connections", n)
	}
}
