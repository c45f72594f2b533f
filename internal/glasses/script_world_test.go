package glasses

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"glimpse/internal/control/apps"
	control "glimpse/internal/control/camera"
	"glimpse/internal/control/gateway"
	"glimpse/internal/control/session"
	"glimpse/internal/glasses/source"
	"glimpse/internal/media/frame"
	"glimpse/internal/memnet"
	"glimpse/protocol"
)

// world is real glasses' code at the real edge and sessions of the cloud, in
// memory and on fake time, with apps of the test's own; media ends in a place
// that notices, as the hub does, when it begins, breaks off and falls silent.
type world struct {
	t      *testing.T
	began  time.Time
	cloud  *memnet.Listener
	media  *memnet.Listener
	reg    *session.Registry
	edge   *gateway.Gateway
	srv    *http.Server
	lines  chan string
	worn   chan error
	take   context.CancelFunc
	serves sync.WaitGroup

	mu       sync.Mutex // of what follows
	apps     map[string]*scriptApp
	ingests  map[string]session.IngestSpec // by key
	news     []entry
	ids      []string // stream ids, in the order in which apps heard of them
	requests map[string]protocol.SessionRequest
}

// entry is something that a peer heard.
type entry struct {
	at   time.Duration
	who  string
	text string
}

const scriptWearer = "me@example.com"

func newWorld(t *testing.T, film *source.File) *world {
	w := &world{
		t: t, began: time.Now(), cloud: memnet.New(0), media: memnet.New(0), lines: make(chan string), worn: make(chan error, 1),
		apps: make(map[string]*scriptApp), ingests: make(map[string]session.IngestSpec),
		requests: make(map[string]protocol.SessionRequest),
	}
	log := slog.New(slog.DiscardHandler)
	w.reg = session.New(session.Deps{Apps: w, Webhooks: w, Streams: w}, session.Config{}, log)
	w.edge = gateway.New(w.reg, w, w, gateway.Config{}, log)
	w.srv = &http.Server{Handler: http.HandlerFunc(w.edge.ServeGlasses)}
	go w.srv.Serve(w.cloud)
	w.serves.Go(w.serveMedia)
	ctx, cancel := context.WithCancel(t.Context())
	w.take = cancel
	g, err := New(Config{
		Server: "http://cloud", Token: "good", Source: film, Publish: w.publish, Dial: w.dial,
	}, io.Discard, log)
	if err != nil {
		t.Fatal(err)
	}
	heard := g.link.message
	g.link.message = func(e protocol.Envelope, b []byte) {
		var m protocol.StopStream
		if (e.Type == "start_stream" || e.Type == "stop_stream") && json.Unmarshal(b, &m) == nil {
			w.note("glasses", e.Type[:strings.Index(e.Type, "_")]+" "+m.StreamID)
		}
		heard(e, b)
	}
	go func() { w.worn <- g.Run(ctx, w.lines) }()
	synctest.Wait()
	return w
}

func (w *world) close() {
	w.take()
	if err := <-w.worn; err != nil {
		w.t.Errorf("the glasses ended with %v", err)
	}
	w.reg.Close()
	w.edge.Close()
	w.srv.Close()
	w.media.Close()
	w.serves.Wait()
	synctest.Wait()
}

// dial leads to the cloud's edge, or to where media goes.
func (w *world) dial(ctx context.Context, netw, address string) (net.Conn, error) {
	if strings.HasPrefix(address, "cloud") {
		return w.cloud.Dial(ctx, netw, address)
	}
	return w.media.Dial(ctx, netw, address)
}

// publish is a protocol of the test's own: the URL in a line, then a byte a frame.
func (w *world) publish(ctx context.Context, url string, _ []*frame.Track, via *Network) (Publisher, error) {
	conn, err := via.DialContext(ctx, "tcp", "media:1")
	if err != nil {
		return nil, err
	}
	if _, err := io.WriteString(conn, url+"\n"); err != nil {
		return nil, err
	}
	answer := make([]byte, 1)
	if _, err := io.ReadFull(conn, answer); err != nil {
		return nil, err
	}
	if answer[0] != 'y' {
		conn.Close()
		return nil, fmt.Errorf("%w: no such stream", ErrRefused)
	}
	return &wirePublisher{conn}, nil
}

type wirePublisher struct{ conn net.Conn }

func (p *wirePublisher) Close() error { return p.conn.Close() }

func (p *wirePublisher) WriteFrame(f *frame.Frame) error {
	b := []byte{'.'}
	if f.Key {
		b[0] = 'K'
	}
	_, err := p.conn.Write(b)
	return err
}

// serveMedia takes publications; those of managed streams are told to the
// session, with the hub's 5 s of silence.
func (w *world) serveMedia() {
	for {
		conn, err := w.media.Accept()
		if err != nil {
			return
		}
		w.serves.Go(func() { w.publication(conn) })
	}
}

// publication is one connection of a publisher.
func (w *world) publication(conn net.Conn) {
	defer conn.Close()
	url, b := "", make([]byte, 1)
	for !strings.HasSuffix(url, "\n") {
		if _, err := io.ReadFull(conn, b); err != nil {
			return
		}
		url += string(b)
	}
	_, key, managed := strings.Cut(strings.TrimSpace(url), "://ingest/live/")
	if managed && w.ingest(key) == nil {
		io.WriteString(conn, "n")
		return
	}
	io.WriteString(conn, "y")
	live := false
	for {
		conn.SetReadDeadline(time.Now().Add(5 * time.Second))
		_, err := io.ReadFull(conn, b)
		spec := w.ingest(key)
		switch {
		case managed && spec == nil: // closed by the session: the hub closes its publisher
			return
		case err != nil && managed && live:
			silent := time.Duration(0)
			if errors.Is(err, context.DeadlineExceeded) || strings.Contains(err.Error(), "timeout") {
				silent = 5 * time.Second
			}
			time.Sleep(10 * time.Millisecond) // after the glasses' own word of it
			spec.Notify(session.MediaEvent{State: session.MediaLost, Silent: silent})
		case err == nil && managed && !live && b[0] == 'K':
			live = true
			spec.Notify(session.MediaEvent{State: session.MediaLive})
		}
		if err != nil {
			return
		}
	}
}

func (w *world) ingest(key string) *session.IngestSpec {
	w.mu.Lock()
	defer w.mu.Unlock()
	spec, open := w.ingests[key]
	if !open {
		return nil
	}
	return &spec
}

// What sessions need.

func (w *world) App(pkg string) (apps.App, bool) {
	return apps.App{Package: pkg, URL: "http://" + pkg, Permissions: []string{"ALL"}}, pkg == "a" || pkg == "b"
}
func (w *world) CheckKey(string, string) bool             { return false }
func (w *world) CoreUser(string) (string, error)          { return scriptWearer, nil }
func (w *world) PushURL(_, key string, _ []string) string { return "rtmp://ingest/live/" + key }
func (w *world) WatchURLs(base, id string) protocol.URLs  { return protocol.URLs{HLS: id, DASH: id} }

func (w *world) Start(_ context.Context, app apps.App, req protocol.SessionRequest) error {
	w.note(app.Package, "is asked to come")
	w.mu.Lock()
	defer w.mu.Unlock()
	w.requests[app.Package] = req
	return nil
}

func (w *world) Stop(_ context.Context, app apps.App, req protocol.StopRequest) error {
	w.note(app.Package, "is stopped: "+req.Reason)
	return nil
}

func (w *world) Open(spec session.IngestSpec) (session.Ingest, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ingests[spec.IngestKey] = spec
	return closer(func(string) {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.ingests, spec.IngestKey)
	}), nil
}

type closer func(string)

func (c closer) Close(reason string)         { c(reason) }
func (c closer) SetOutputs([]control.Outlet) {}

// note records what somebody heard, with stream ids by their order.
func (w *world) note(who, text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.news = append(w.news, entry{time.Since(w.began), who, text})
}

// told returns what was heard since, in the order of time, and of names within
// one moment.
func (w *world) told() string {
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	slices.SortStableFunc(w.news, func(a, b entry) int {
		if a.at != b.at {
			return int(a.at - b.at)
		}
		return strings.Compare(a.who, b.who)
	})
	var out strings.Builder
	for _, e := range w.news {
		fmt.Fprintf(&out, "    %v %s: %s\n", e.at.Round(time.Millisecond), e.who, e.text)
	}
	w.news = nil
	text := out.String()
	for i, id := range w.ids {
		text = strings.ReplaceAll(text, id, fmt.Sprintf("s%d", i+1))
	}
	return text
}

// scriptApp is an app's socket.
type scriptApp struct {
	w     *world
	name  string
	link  *session.AppLink
	last  string // status
	stats bool   // the next status is shown with its statistics
}

var stamp = regexp.MustCompile(`,?"timestamp":"[^"]*"`)

// Send hears a message.
func (a *scriptApp) Send(b []byte) {
	var m struct {
		Type, StreamID, Status, Code, Message, ErrorDetails, StreamType string

		Stats map[string]any
		Data  json.RawMessage
		State map[string]any
	}
	if err := json.Unmarshal(b, &m); err != nil {
		panic(err)
	}
	switch m.Type {
	case "tpa_connection_ack", "capabilities_update":
	case "device_state_update":
		delete(m.State, "modelName")
		b, _ := json.Marshal(m.State)
		a.w.note(a.name, "device "+string(b))
	case "data_stream":
		a.w.note(a.name, "hears "+string(stamp.ReplaceAll(m.Data, nil)))
	case "stream_status", "rtmp_stream_status", "managed_stream_status":
		a.w.mu.Lock()
		if m.StreamID != "" && !slices.Contains(a.w.ids, m.StreamID) {
			a.w.ids = append(a.w.ids, m.StreamID)
		}
		a.w.mu.Unlock()
		text := strings.TrimSuffix(m.Type, "_status") + " " + m.Status + " " + m.StreamID
		if m.Code != "" {
			text += " " + m.Code
		}
		if why := m.Message; why != "" || m.ErrorDetails != "" {
			text += fmt.Sprintf(" %q", why)
			if m.ErrorDetails != "" && m.ErrorDetails != why {
				text += " WRONG"
			}
		}
		if text == a.last && !a.stats { // statistics of a stream that goes on
			return
		}
		a.last = text
		if a.stats && m.Stats != nil {
			a.stats = false
			for _, k := range []string{"bitrate", "fps", "droppedFrames", "duration", "width", "height"} {
				if v, there := m.Stats[k]; there {
					text += fmt.Sprintf(" %s=%v", k, v)
				}
			}
		}
		a.w.note(a.name, text)
	default:
		a.w.note(a.name, m.Type)
	}
}

func (a *scriptApp) Offer(b []byte)    { a.Send(b) }
func (a *scriptApp) SendBinary([]byte) {}
func (a *scriptApp) Close(code int, reason string) {
	a.w.note(a.name, fmt.Sprintf("closed %d %q", code, reason))
}
