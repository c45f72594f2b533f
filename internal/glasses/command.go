package glasses

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"

	"glimpse/internal/glasses/clip"
	"glimpse/internal/glasses/source"
)

// Options are those of the command "glimpse glasses".
type Options struct {
	Server string  // of the cloud, for example http://localhost:8002
	Token  string  // core token of the wearer
	Source string  // an MP4 or FLV file; "" or "clip" is the built-in film
	Prefer string  // how to publish: "rtmp", "rtmps", "srt" or "whip"; "" is "rtmp"
	CA     string  // authority to trust, a PEM file or a SHA-256 fingerprint; "" is the system's
	Script string  // a file with lines as they can be typed; "" is none
	Speed  float64 // divides the times of the glasses and of lines: 0 is 1, at most 1000
	Logger *slog.Logger
}

const maxSpeed = 1000

// Run is the command "glimpse glasses": it wears the glasses until ctx ends or
// the wearer quits. What they show goes to stdout; the lines of the script and of
// stdin, side by side, are what the wearer does, and their end is only silence. Run does not wait for a read of
// stdin that is under way, since nothing can interrupt a terminal: that read
// ends with the next line. stdin may be nil.
func Run(ctx context.Context, o Options, stdin io.Reader, stdout io.Writer) error {
	if o.Prefer == "whip" {
		o.Prefer = "webrtc" // as the wire has it
	}
	if o.Prefer != "" && !slices.Contains(ways("rtmp"), o.Prefer) {
		return fmt.Errorf("--prefer %s: rtmp, rtmps, srt or whip", o.Prefer)
	}
	if o.Token == "" {
		return errors.New("--token is needed; make one with: glimpse user token ID")
	}
	if o.Speed < 0 || o.Speed > maxSpeed {
		return fmt.Errorf("--speed %g: at most %d", o.Speed, maxSpeed)
	}
	authority, err := trust(o.CA)
	if err != nil {
		return err
	}
	script, err := readScript(o.Script)
	if err != nil {
		return err
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	film, err := openFilm(o.Source)
	if err != nil {
		return err
	}
	defer func() { _ = film.Close() }()
	if o.Prefer == "webrtc" && lacksOpus(film) {
		if both, err := withOpus(ctx, o.Source); err != nil {
			o.Logger.Warn("the film stays without Opus: WebRTC has no sound", "err", err)
		} else {
			_ = film.Close()
			film = both
		}
	}
	g, err := New(Config{
		Server: o.Server, Token: o.Token, Source: film, Publish: Publishing{TLS: authority}.Publish,
		Colour: IsTerminal(stdout), Speed: o.Speed, Prefer: o.Prefer, TLS: authority,
	}, stdout, o.Logger)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	err = g.Run(ctx, ReadLines(ctx, script), ReadLines(ctx, stdin))
	if errors.Is(err, ErrUnauthorized) {
		return fmt.Errorf("%w; make one with the server's own settings: glimpse user token ID --config FILE (or --data DIR)", err)
	}
	return err
}

// readScript returns the lines of a script, which are checked before anything
// begins; nil without one.
func readScript(name string) (io.Reader, error) {
	if name == "" {
		return nil, nil
	}
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("read script: %w", err)
	}
	if err := CheckScript(strings.Split(string(b), "\n")); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return bytes.NewReader(b), nil
}

func openFilm(name string) (*source.File, error) {
	if name == "" || name == "clip" {
		r := clip.Open()
		return source.Read(r, r.Size())
	}
	return source.Open(name)
}

// ReadLines hands on the lines of r until r or ctx ends; nil for a nil r. Its
// goroutine cannot leave a read of r that blocks.
func ReadLines(ctx context.Context, r io.Reader) <-chan string {
	if r == nil {
		return nil
	}
	lines := make(chan string)
	go func() {
		defer close(lines)
		for s := bufio.NewScanner(r); s.Scan(); {
			select {
			case lines <- s.Text():
			case <-ctx.Done():
				return
			}
		}
	}()
	return lines
}
