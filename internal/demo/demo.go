package demo

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"glimpse/internal/glasses"
	"glimpse/internal/glasses/clip"
	"glimpse/internal/glasses/source"
	"glimpse/protocol"
	"glimpse/sdk"
)

// Names of the demo.
const (
	appPackage = "com.example.demo"
	wearer     = "me@example.com"
)

// Wanted is what the demo asks of its cloud.
type Wanted struct {
	DataDir string // a fresh folder; the demo removes it
	// Addresses to listen on: the usual ports where they are free, else port 0.
	HTTPAddr, RTMPAddr, WebRTCAddr string
	User                           string // the wearer
	Package, APIKey, AppURL        string // the app, whose webhook is AppURL + "/webhook"
	Permissions                    []string
	Standing                       string // key, playback id and name of a stream for anybody's encoder
}

// Cloud is a cloud that listens already.
type Cloud struct {
	URL   string // for people and glasses, for example http://localhost:8002
	Token string // core token of Wanted.User
	RTMP  string // address on which encoders are taken
	// Run serves until ctx ends and then takes the cloud down.
	Run func(ctx context.Context) error
	// Notes are sentences for the person at the keyboard: what is off and why.
	Notes []string
}

// Config of a demo. Start and Stdout are needed.
type Config struct {
	Start  func(context.Context, Wanted) (*Cloud, error) // builds the cloud
	Stdin  io.Reader                                     // what the wearer types; nil for nothing
	Stdout io.Writer
	Logger *slog.Logger // of the app and the glasses; nil for none
	// Detector is the animal detector's program; empty: beside this one, or in the
	// PATH. Without one the demo says so.
	Detector string
}

// Run shows the demo until ctx ends or the wearer quits; both are no error. It
// leaves nothing behind.
func Run(ctx context.Context, cfg Config) (err error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	dir, err := os.MkdirTemp("", "glimpse-demo-")
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()

	p := &page{out: cfg.Stdout, pages: make(chan string, 1)}
	key := rand.Text()
	app, err := sdk.New(sdk.Config{
		Package: appPackage, APIKey: key, OnSession: onSession(cfg.Logger, p.live, p.clipped), Logger: cfg.Logger,
	})
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	defer app.Close()
	address, stopWeb, err := serveApp(app)
	if err != nil {
		return err
	}
	defer stopWeb()
	wanted := Wanted{
		DataDir:  dir,
		HTTPAddr: freeAddr("tcp", ":8002"), RTMPAddr: freeAddr("tcp", ":1935"), WebRTCAddr: freeAddr("udp", ":8189"),
		User: wearer, Package: appPackage, APIKey: key, AppURL: address,
		Permissions: []string{"CAMERA", "MICROPHONE"}, Standing: standing,
	}
	cloud, err := cfg.Start(ctx, wanted)
	if errors.Is(err, syscall.EADDRINUSE) { // somebody was faster
		wanted.HTTPAddr, wanted.RTMPAddr, wanted.WebRTCAddr = ":0", ":0", ":0"
		cloud, err = cfg.Start(ctx, wanted)
	}
	if err != nil {
		return fmt.Errorf("demo: start the cloud: %w", err)
	}
	p.notes = cloud.Notes
	if _, port, err := net.SplitHostPort(cloud.RTMP); err == nil {
		p.publish = "rtmp://localhost:" + port + "/live/" + standing
		p.published = cloud.URL + "/live/" + standing + "/detect"
	}
	if program := findDetector(cfg.Detector); program == "" {
		p.notes = append(p.notes, noDetector)
	} else {
		p.detects = true
		d := &detector{program: program, key: key, listen: freeAddr("tcp", "localhost:8765"), page: p}
		watching, stop := context.WithCancel(ctx)
		var child sync.WaitGroup
		child.Go(func() { d.run(watching, p.pages) })
		defer child.Wait()
		defer stop()
	}
	return play(ctx, cfg, cloud, app, p)
}

// play runs the cloud and the glasses until one of them ends, and takes down
// first the glasses, then the app, then the cloud.
func play(ctx context.Context, cfg Config, cloud *Cloud, app *sdk.App, p *page) error {
	cloudCtx, stopCloud := context.WithCancel(context.WithoutCancel(ctx))
	glassesCtx, stopGlasses := context.WithCancel(ctx)
	defer stopCloud()
	defer stopGlasses()
	var cloudErr error
	cloudDone := make(chan struct{})
	go func() {
		defer close(cloudDone)
		defer stopGlasses()
		cloudErr = cloud.Run(cloudCtx)
	}()
	err := wear(glassesCtx, cfg, cloud, p)
	app.Close()
	stopCloud()
	<-cloudDone
	return errors.Join(err, cloudErr)
}

func wear(ctx context.Context, cfg Config, cloud *Cloud, p *page) error {
	r := clip.Open()
	film, err := source.Read(r, r.Size())
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	g, err := glasses.New(glasses.Config{
		Server: cloud.URL, Token: cloud.Token, Source: film, Publish: glasses.Publishing{}.Publish,
		Apps: []string{appPackage}, Colour: glasses.IsTerminal(cfg.Stdout),
	}, p, cfg.Logger)
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	return g.Run(ctx, glasses.ReadLines(ctx, cfg.Stdin))
}

// serveApp serves the app's webhook on a loopback port of its own: nobody else
// may ask it to connect anywhere.
func serveApp(app http.Handler) (address string, stop func(), err error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, fmt.Errorf("demo: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("/webhook", app)
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = srv.Serve(ln)
	}()
	return "http://" + ln.Addr().String(), func() { _ = srv.Close(); <-done }, nil
}

// freeAddr is the address if nobody listens there, else one whose port is
// picked by the system.
func freeAddr(network, address string) string {
	var c io.Closer
	var err error
	if network == "udp" {
		c, err = net.ListenPacket(network, address)
	} else {
		c, err = net.Listen(network, address)
	}
	if err != nil {
		host, _, _ := strings.Cut(address, ":")
		return host + ":0"
	}
	_ = c.Close()
	return address
}

// page tells the person at the keyboard where to look. It passes on what the
// glasses show, line by line.
type page struct {
	out     io.Writer
	notes   []string
	detects bool        // there is a detector,
	pages   chan string // which looks at these; the newest counts
	// publish is where anybody may publish beside the glasses, published where that
	// is seen; both may be empty.
	publish, published string

	mu    sync.Mutex // guards out and shown
	shown string
}

// Write passes on what the glasses show.
func (p *page) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.Write(b)
}

// print passes on a line.
func (p *page) print(line string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprintln(p.out, line)
}

// clipped prints where a clip can be watched.
func (p *page) clipped(at string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprintf(p.out, "\n  Your clip:  %s\n\n", at)
}

// live prints the page of a stream, once.
func (p *page) live(urls protocol.URLs) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shown == urls.Preview {
		return
	}
	p.shown = urls.Preview
	fmt.Fprintf(p.out, "\n  Watch it live:  %s\n", urls.Preview)
	if p.detects {
		fmt.Fprintf(p.out, "  With animals:   %s/detect\n", strings.TrimRight(urls.Preview, "/"))
		if p.publish != "" {
			fmt.Fprintf(p.out, "  Your own video: publish to %s and open %s\n", p.publish, p.published)
		}
		select {
		case <-p.pages: // nobody looked at it yet
		default:
		}
		p.pages <- urls.Preview
	}
	_, _ = fmt.Fprintln(p.out)
	for _, n := range p.notes {
		fmt.Fprintf(p.out, "  Note: %s\n", n)
	}
	_, _ = fmt.Fprint(p.out, "  You are the wearer now. Try:  say clip that   say stop stream   say start stream   drop 5s   help\n  Ctrl-C ends everything.\n\n")
}
