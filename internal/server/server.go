// Package server is the composition root: it builds both planes by hand, in
// order, joins them through adapters, serves until it is told to stop, and takes
// everything down in the reverse order. Nothing imports it but the commands.
//
// The Server owns every long-lived part; each part owns its goroutines. There
// are no locks here.
package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"glimpse/internal/config"
	"glimpse/internal/control/api"
	"glimpse/internal/control/apps"
	"glimpse/internal/control/auth"
	"glimpse/internal/control/events"
	"glimpse/internal/control/gateway"
	"glimpse/internal/control/reports"
	"glimpse/internal/control/session"
	"glimpse/internal/control/storage"
	"glimpse/internal/control/store"
	"glimpse/internal/control/streams"
	"glimpse/internal/control/tap"
	"glimpse/internal/heap"
	"glimpse/internal/media/cmaf"
	"glimpse/internal/media/dash"
	"glimpse/internal/media/frames"
	"glimpse/internal/media/hls"
	"glimpse/internal/media/hub"
	"glimpse/internal/media/poster"
	"glimpse/internal/media/record"
	"glimpse/internal/media/restream"
	"glimpse/internal/media/rtmp"
	"glimpse/internal/media/srt"
	"glimpse/internal/media/transcode"
	"glimpse/internal/media/viewers"
	"glimpse/internal/media/webrtc"
	"glimpse/internal/strangers"
	"glimpse/internal/web"
)

// Version of this build.
const Version = "0.1.0"

// Server is one glimpse process. Make it with New, run it once with Run.
type Server struct {
	cfg     config.Config
	log     *slog.Logger
	started time.Time

	control controlPlane
	media   mediaPlane

	logins     *auth.Logins
	adminToken string
	losses     []store.Loss // of the store, found at the start
	gate       *strangers.Gate
	unread     *unread // of HTTP, with TLS and without
	listener   net.Listener
	tls        secure
	handler    http.Handler
	segments   *segments
	draining   atomic.Bool
	reloading  Reloading // zero: never
}

// controlPlane is who may do what.
type controlPlane struct {
	lock     *store.Lock
	store    *store.NATS
	users    *auth.Users
	apps     *apps.Registry
	tokens   *coreTokens
	standing *streams.Registry
	sessions *session.Registry
	gateway  *gateway.Gateway
	api      *api.API
	managed  *managedStreams
	taps     *tap.Bus
	events   *events.Log
	reports  *reports.Store
}

// mediaPlane moves frames.
type mediaPlane struct {
	hub       *hub.Hub
	packs     *cmaf.Packager
	viewers   *viewers.Viewers
	hls       *hls.Handler
	dash      *dash.Handler
	transcode *transcode.Transcoder
	frames    *frames.Service
	recorder  *record.Recorder
	posters   *poster.Store
	rtmp      *rtmp.Server   // nil when off
	srt       *srt.Server    // nil when off
	webrtc    *webrtc.Server // nil when off
	web       *web.Handler
}

// New builds a server: the store is open, streams are restored and all sockets
// listen when it returns, so that port 0 has become a real port. Run must
// follow. On an error everything is closed again.
func New(ctx context.Context, cfg config.Config, log *slog.Logger) (_ *Server, err error) {
	s := &Server{cfg: cfg, log: log, started: time.Now(), gate: strangers.New(strangers.Limits{}), unread: newUnread()}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	for _, build := range []func(context.Context) error{s.openStore, s.buildMedia, s.buildControl, s.listen, s.buildHTTP} {
		if err := build(ctx); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// appStorage is what all apps together may store, in bytes.
const appStorage = 512 << 20

// openStore takes the data folder and what is in it.
func (s *Server) openStore(context.Context) error {
	s.control.events = events.New(events.DefaultSize, time.Now)
	var err error
	if s.control.lock, err = store.LockDataDir(s.cfg.DataDir); err != nil {
		return err
	}
	if s.adminToken, err = auth.Secret(s.cfg.DataDir, auth.AdminTokenFile, s.cfg.AdminToken); err != nil {
		return err
	}
	s.control.store, s.losses, err = store.OpenNATS(store.NATSConfig{
		Dir: natsDir(s.cfg.DataDir), MaxBucket: map[string]int64{storage.Bucket: appStorage},
	}, s.log)
	return err
}

// buildMedia makes the media plane; nothing listens yet.
func (s *Server) buildMedia(context.Context) error {
	m := &s.media
	m.transcode = transcode.New(transcode.Config{}, s.log)
	m.packs = cmaf.New(cmaf.Config{}, s.log)
	recording := recordingConfig(s.cfg)
	recording.Notify, recording.Log = tellRecordings(s.control.events), s.log
	var err error
	if m.recorder, err = record.New(recording); err != nil {
		return err
	}
	if err = s.openPosters(); err != nil {
		return err
	}
	m.hub = hub.New(hub.Config{Converter: m.transcode}, s.log, m.packs.Output, m.recorder.Output, m.posters.Output, m.transcode.Output, s.report)
	m.viewers = viewers.New()
	m.frames = frames.New(frames.Config{
		Streams: m.hub, Decoder: m.transcode, Grants: frameGrants{&s.control}, Notify: s.tellFrames,
	}, s.log)
	m.hls, m.dash = hls.New(m.packs, m.viewers, hls.Config{}), dash.New(m.packs, m.viewers)
	return nil
}

// buildControl makes the control plane and restores what was stored.
func (s *Server) buildControl(ctx context.Context) error {
	c := &s.control
	secret, err := auth.Secret(s.cfg.DataDir, auth.CoreSecretFile, s.cfg.CoreTokenSecret)
	if err != nil {
		return err
	}
	if c.users, err = auth.NewUsers(ctx, c.store, userIDs(s.cfg.Users), time.Now, s.log); err != nil {
		return err
	}
	c.tokens = &coreTokens{tokens: auth.NewCoreTokens(secret, time.Now), users: c.users, log: s.log}
	if c.apps, err = apps.New(ctx, c.store, appSpecs(s.cfg.Apps), time.Now, s.log); err != nil {
		return err
	}
	if c.reports, err = reports.New(ctx, c.store, time.Now, s.log); err != nil {
		return err
	}
	c.managed = &managedStreams{hub: s.media.hub, packs: s.media.packs, endpoints: s.endpoints, events: c.events}
	c.managed.ctx, c.managed.cancel = context.WithCancel(context.Background())
	c.managed.wg.Go(func() { tellAudiences(c.managed.ctx, s.media.hub, c.events) })
	alias := func(stream, url string) string { return auth.Alias(secret, stream, url) }
	c.managed.restreams = newRestreams(c.managed.ctx, restream.Network{AllowPrivate: s.cfg.Outbound.AllowPrivate}, alias, c.events, s.log)
	c.standing, err = streams.New(ctx, c.store, configured(s.cfg.Streams),
		standingMedia{s.media.hub, s.media.recorder, c.events, c.managed.restreams, s.media.posters}, time.Now, s.log)
	if err != nil {
		return err
	}
	records, err := store.Open[session.Record](ctx, c.store, "sessions")
	if err != nil {
		return err
	}
	c.taps = tap.New()
	deps := session.Deps{
		Apps: c.apps, Streams: c.managed, Store: records, Events: c.events,
		Webhooks: tappedWebhooks{apps.NewWebhooks(s.cfg.Outbound.AllowPrivate), c.taps},
	}
	c.sessions = session.New(deps, session.Config{PublicURL: s.cfg.HTTP.PublicURL}, s.log)
	if lost := c.sessions.Restore(ctx); lost != nil { // the rest is served all the same
		s.log.Error("sessions of the last run are lost", "error", lost)
	}
	c.gateway = gateway.New(c.sessions, c.apps, c.tokens, gateway.Config{Taps: c.taps, Events: c.events}, s.log)
	s.logins = auth.NewLogins(time.Now)
	stored, err := storage.New(ctx, c.store)
	if err != nil {
		return err
	}
	w := &wearers{c.sessions}
	kept := recordings{s.media.hub, s.media.packs, s.media.recorder}
	c.api, err = api.New(api.Deps{
		Apps: c.apps, Users: c.users, Standing: c.standing, Wearers: w, Server: s, Tokens: c.tokens,
		Media:   &liveMedia{hub: s.media.hub, wearers: w, restreams: c.managed.restreams, frames: s.media.frames},
		Outputs: &outputControl{standing: c.standing, sessions: c.sessions, hub: s.media.hub, restreams: c.managed.restreams},
		Logins:  s.logins, Taps: c.taps, Events: c.events, Throttle: auth.NewThrottle(20, 3*time.Second, time.Now),
		Recordings: kept, Clips: kept, Reports: c.reports,
		Storage: stored, AppKeys: auth.NewThrottle(10, 6*time.Second, time.Now),
	}, api.Config{AdminToken: s.adminToken, PublicURL: s.cfg.HTTP.PublicURL}, Version, s.log)
	return err
}

// What a stranger's connection costs by itself, in bytes: buffers, goroutines and,
// over TLS, keys and a record.
const (
	costHTTP   = 16 << 10
	costRTMP   = 16 << 10
	costTLS    = 10 << 10 // more
	costStream = 8 << 10  // packets of WebRTC by TCP
	costOffer  = 24 << 10 // a WebRTC peer that does not connect
)

// listen opens the sockets.
func (s *Server) listen(context.Context) error {
	var err error
	if s.cfg.HTTP.Addr == "" {
		return errors.New("http.addr is empty: nothing could reach this server")
	}
	if s.listener, err = listenTCP(s.cfg.HTTP.Addr, s.unread); err != nil {
		return busy("http.addr", err)
	}
	if s.cfg.RTMP.Addr != "" {
		if s.media.rtmp, err = rtmp.New(rtmp.Config{Addr: s.cfg.RTMP.Addr, Door: s.gate.Door(costRTMP)}, s.media.hub, s.log); err != nil {
			return busy("rtmp.addr", err)
		}
	}
	if err = s.listenTLS(); err != nil {
		return err
	}
	if s.cfg.SRT.Addr != "" {
		if s.media.srt, err = srt.New(srt.Config{Addr: s.cfg.SRT.Addr, Latency: s.cfg.SRT.Latency}, s.media.hub, s.log); err != nil {
			return busy("srt.addr", err)
		}
	}
	if s.cfg.WebRTC.Addr != "" {
		cfg := webrtc.Config{
			Addr: s.cfg.WebRTC.Addr, Hosts: s.candidates(), Streams: s.gate.Door(costStream), Offers: s.gate.Door(costOffer),
		}
		if s.media.webrtc, err = webrtc.New(cfg, s.media.hub, s.media.transcode, s.log); err != nil {
			return busy("webrtc.addr", err)
		}
	}
	return nil
}

// busy says which setting an address that cannot be had belongs to.
func busy(setting string, err error) error {
	return fmt.Errorf("%s: %w (set another address, port 0 picks a free one, \"\" switches it off)", setting, err)
}

// lameDuck is how long the server says that it is not ready, and takes nothing
// new, before it closes what it has: whoever polls /readyz notices first.
const lameDuck = 500 * time.Millisecond

// drainTime is what requests have to end.
const drainTime = 3 * time.Second

// Run prints the start-up lines to out and serves until ctx ends (SIGTERM), then
// drains: not ready any more, sockets of apps and glasses closed last and with
// 1012, so that they come back to the next process: old SDKs give up 3 s after
// that. At most 10 s. Call it once.
func (s *Server) Run(ctx context.Context, out io.Writer) error {
	media, stopMedia := context.WithCancel(context.Background())
	defer stopMedia()
	running := make(chan error, 6) // how each part ended
	var players, pages sync.WaitGroup
	players.Go(func() { heap.Run(media) })
	if s.media.rtmp != nil {
		players.Go(func() { running <- s.media.rtmp.Run(media) })
	}
	if s.tls.rtmp != nil {
		players.Go(func() { running <- s.tls.rtmp.Run(media) })
	}
	if s.media.srt != nil {
		players.Go(func() { running <- s.media.srt.Run(media) })
	}
	if s.media.webrtc != nil {
		players.Go(func() { running <- s.media.webrtc.Run(media) })
	}
	players.Go(func() { s.unread.run(media.Done()) })
	front := newFront(s.handler, s.unread)
	front.http.ErrorLog = slog.NewLogLogger(s.log.Handler(), slog.LevelDebug) // failed handshakes of strangers
	rest := front.begin(s.listener, s.gate.Door(costHTTP), s.segments)
	pages.Go(func() { running <- front.serve(rest) })
	if s.tls.listener != nil {
		pages.Go(func() { running <- front.serve(s.tls.listener) })
	}
	s.greet(out)
	s.control.events.Publish(events.Event{Type: events.ServerStarted, Message: "Version " + Version})
	var err error
	for serving := true; serving; {
		select {
		case <-s.reloading.On:
			s.reload()
		case <-ctx.Done():
			serving = false
		case err = <-running: // a listener that failed ends the server
			serving = false
		}
	}
	s.draining.Store(true)
	s.log.Info("draining")
	s.control.events.Publish(events.Event{Type: events.ServerDraining})
	time.Sleep(lameDuck)
	drained, cancel := context.WithTimeout(context.Background(), drainTime)
	defer cancel()
	s.control.taps.Close()
	s.media.frames.Close()
	s.control.events.Close()
	front.shutdown(drained) // requests end; websockets and media go on meanwhile
	pages.Wait()
	s.control.managed.cancel() // no session hears of what follows
	s.control.reports.Stopping()
	s.media.recorder.Stopping()
	s.media.posters.Close()
	stopMedia()    // publishers and players are cut off, not told that it is over:
	players.Wait() // they come back
	s.media.hub.Close()
	s.control.sessions.Close()
	close(running)
	for failed := range running {
		err = errors.Join(err, failed)
	}
	s.close()
	s.log.Info("stopped")
	return err
}
