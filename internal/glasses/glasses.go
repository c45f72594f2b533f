package glasses

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"glimpse/internal/actor"
	"glimpse/internal/glasses/source"
	"glimpse/protocol"
)

// Defaults of a Config.
const (
	defaultModel = "Mentra Live"
	defaultSSID  = "glimpse-demo"
	lowBattery   = 10.0 // percent; below it the glasses refuse to stream
	maxUnsent    = 32
)

// Config says what glasses to simulate. Server, Token, Source and Publish are
// needed.
type Config struct {
	Server  string       // of the cloud: http(s)://host:port or ws(s)://host:port
	Token   string       // core token of the wearer
	Source  *source.File // what the camera sees; stays the caller's
	Publish PublishFunc  // how to publish, by the URL's scheme
	Model   string       // "" is "Mentra Live"
	Apps    []string     // packages to start once the glasses are connected
	Colour  bool         // of what the wearer sees: see IsTerminal
	Times   Times
	Prefer  string      // way to publish that is announced first: "srt", "webrtc", "rtmps", "rtmp"; "" is "rtmp"
	Speed   float64     // divides the default Times and the durations in lines; 0 is 1
	Dial    DialFunc    // nil is net.Dialer's; every connection is made with it
	TLS     *tls.Config // of the connection to the cloud; nil is the system's
}

// Glasses are one pair of simulated glasses. Make them with New.
type Glasses struct {
	cfg    Config
	log    *slog.Logger
	screen *screen
	net    *Network // the phone's
	wifi   *Network // the glasses': what they publish goes through it
	link   *link
	loop   *actor.Loop

	// life is the context of streams; quit ends everything.
	life context.Context
	quit context.CancelCauseFunc
	jobs sync.WaitGroup // streams

	// Owned by the loop.
	closing    bool // no more streams
	up         bool // the websocket is open
	acked      bool // and the cloud has greeted us
	complained bool // of having no cloud
	current    *stream
	last       protocol.GlassesStatus   // of the current stream
	unsent     []protocol.GlassesStatus // terminal ones, for the next connection
	body       body
	manners    manners
	diary      diary
}

// body is how glasses and phone are.
type body struct {
	battery  *protocol.Battery // nil before the wearer said
	noWifi   bool
	far      bool // from the phone: Bluetooth is lost
	notified int  // notifications so far
}

// New returns glasses that are not connected yet; what the wearer sees and
// hears is written to out.
func New(cfg Config, out io.Writer, log *slog.Logger) (*Glasses, error) {
	address, err := glassesURL(cfg.Server)
	if err != nil {
		return nil, err
	}
	if cfg.Source == nil || cfg.Publish == nil {
		return nil, errors.New("glasses need a source and a way to publish")
	}
	if cfg.Model == "" {
		cfg.Model = defaultModel
	}
	if cfg.Dial == nil {
		cfg.Dial = (&net.Dialer{}).DialContext
	}
	if cfg.Prefer == "" {
		cfg.Prefer = "rtmp"
	}
	if cfg.Speed == 0 {
		cfg.Speed = 1
	}
	cfg.Times = cfg.Times.withDefaults(cfg.Speed)
	g := &Glasses{cfg: cfg, log: log, screen: &screen{out: out, colour: cfg.Colour}, loop: actor.New(64)}
	g.net, g.wifi = newNetwork(cfg.Dial, cfg.Times.Stall), newNetwork(cfg.Dial, cfg.Times.Stall)
	g.link = &link{
		url: address, token: cfg.Token, times: cfg.Times, log: log, reach: g.net.reach,
		http: &http.Client{Transport: &http.Transport{
			DialContext: g.net.DialContext, TLSClientConfig: cfg.TLS, DisableKeepAlives: true,
		}},
		out:     make(chan []byte, linkQueue),
		up:      func() { g.post(g.onUp) },
		down:    func(err error) { g.post(func() { g.onDown(err) }) },
		message: func(e protocol.Envelope, b []byte) { g.post(func() { g.onMessage(e, b) }) },
	}
	return g, nil
}

// Run wears the glasses until ctx ends or the wearer quits (both nil), or the
// cloud ends them for good (ErrUnauthorized, ErrSuperseded). Each of lines is
// somebody who types, at their own pace; a closed or nil channel types nothing.
// It must be called once.
func (g *Glasses) Run(ctx context.Context, lines ...<-chan string) error {
	g.life, g.quit = context.WithCancelCause(ctx)
	defer g.quit(nil)
	defer g.net.close()
	defer g.wifi.close()
	loopCtx, stopLoop := context.WithCancel(context.WithoutCancel(ctx))
	defer stopLoop()
	linkCtx, stopLink := context.WithCancel(context.WithoutCancel(ctx))
	defer stopLink()
	var loop, others sync.WaitGroup
	loop.Go(func() { g.loop.Run(loopCtx) })
	others.Go(func() { g.quit(g.link.run(linkCtx)) })
	for _, typed := range lines {
		others.Go(func() { g.read(typed) })
	}
	<-g.life.Done()
	// Goodbye in order: the stream ends and says so, then the phone hangs up.
	g.do(func() { g.closing = true })
	g.jobs.Wait()
	g.do(func() { g.body.far = true; g.sendState() })
	stopLink()
	others.Wait()
	stopLoop()
	loop.Wait()
	err := context.Cause(g.life)
	if errors.Is(err, ErrSuperseded) || errors.Is(err, ErrUnauthorized) {
		g.screen.say("%v", err)
		return err
	}
	return nil
}

// do runs f on the loop and waits for it; never from the loop itself. Calls
// posted before have run then.
func (g *Glasses) do(f func()) { _ = g.loop.Do(context.Background(), f) }

// post runs f on the loop soon. The loop outlives everything that posts; an
// error only means that all is over.
func (g *Glasses) post(f func()) { _ = g.loop.Post(context.Background(), f) }

func (g *Glasses) read(lines <-chan string) {
	for {
		select {
		case <-g.life.Done():
			return
		case line, ok := <-lines:
			if !ok {
				return
			}
			act, err := parseLine(line)
			switch w, pause := act.(wait); {
			case err != nil:
				g.screen.say("%v (help lists what can be typed)", err)
			case pause && !g.hold(w):
				return
			case act != nil && !pause:
				g.post(func() { g.onAct(act) })
			}
		}
	}
}

// onUp introduces the glasses on a new connection and brings the cloud up to
// date with what happened meanwhile.
func (g *Glasses) onUp() {
	g.up = true
	g.link.send(protocol.Envelope{Type: protocol.TypeConnectionInit, Timestamp: now()})
	g.sendState()
	if g.body.far {
		return
	}
	if g.body.battery != nil {
		g.link.send(g.body.battery)
	}
	g.catchUp()
}

// catchUp tells what could not be told.
func (g *Glasses) catchUp() {
	for _, st := range g.unsent {
		g.sendStatus(st)
	}
	g.unsent = nil
	if g.current != nil && g.last.Status != "" {
		g.sendStatus(g.last)
	}
}

// sendState tells how the glasses are connected.
func (g *Glasses) sendState() {
	status, ssid := "CONNECTED", defaultSSID
	if g.body.far {
		status = "DISCONNECTED"
	}
	if g.body.noWifi {
		ssid = ""
	}
	g.link.send(protocol.GlassesState{
		Envelope:  protocol.Envelope{Type: protocol.TypeGlassesState, Timestamp: now()},
		ModelName: g.cfg.Model, Status: status,
		Wifi:        &protocol.Wifi{Connected: !g.body.noWifi, SSID: ssid},
		StreamTypes: ways(g.cfg.Prefer),
	})
}

// ways are how these glasses can publish, the preferred one first.
func ways(prefer string) []string {
	list := []string{prefer}
	for _, way := range []string{"rtmp", "srt", "webrtc", "rtmps"} {
		if way != prefer {
			list = append(list, way)
		}
	}
	return list
}

func (g *Glasses) onDown(err error) {
	if !g.complained {
		g.complained = true
		g.screen.say("no connection to the cloud, trying again: %v", err)
	}
	g.up, g.acked = false, false
}

func (g *Glasses) onMessage(e protocol.Envelope, b []byte) {
	switch e.Type {
	case protocol.TypeConnectionAck:
		if !g.acked { // it comes twice
			g.screen.say("connected to the cloud as %s", e.SessionID)
			for _, pkg := range g.cfg.Apps {
				g.link.send(appCommand(protocol.TypeStartApp, pkg))
			}
			g.cfg.Apps = nil
		}
		g.acked, g.complained = true, false
		g.diary.note("connected")
	case protocol.TypeDisplay:
		decode(g, b, g.screen.show)
	default:
		if g.body.far || !g.onCommand(e.Type, b) {
			g.log.Debug("message from the cloud", "type", e.Type)
		}
	}
}

// onCommand takes what the phone hands on to the glasses; false means something
// else.
func (g *Glasses) onCommand(typ string, b []byte) bool {
	switch typ {
	case protocol.TypeStartStream, protocol.TypeStartStreamOld:
		decode(g, b, g.onStart)
		g.diary.note("start")
	case protocol.TypeStopStream, protocol.TypeStopStreamOld:
		decode(g, b, g.onStop)
		g.diary.note("stop")
	case protocol.TypeKeepStreamAlive, protocol.TypeKeepStreamAliveOld:
		decode(g, b, g.onKeepAlive)
		g.diary.note("keepalive")
	case "photo_request":
		decode(g, b, g.onPhotoRequest)
	default:
		return false
	}
	return true
}

// decode reads a message and hands it on; a broken one is logged.
func decode[T any](g *Glasses, b []byte, f func(*T)) {
	var m T
	if err := json.Unmarshal(b, &m); err != nil {
		g.log.Warn("the cloud sent a message that cannot be read", "err", err)
		return
	}
	f(&m)
}

func now() protocol.Time { return protocol.Time{Time: time.Now()} }
