package tapview

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"glimpse/internal/control/tap"
)

// Config is what Run needs.
type Config struct {
	Server string // address of the cloud, for example http://localhost:8002
	Token  string // the admin token; a secret
	User   string // whose messages
	JSON   bool   // lines as the server sends them
	Colour bool   // the output is a terminal
	Notes  io.Writer

	// Silence after which the server is taken for dead; zero means 30 s. The
	// server says something every 10 s.
	Silence time.Duration
	// Pause before the first attempt to come back, doubled up to eight times as
	// much; zero means 1 s.
	Pause time.Duration
}

// A line of the server is one event, whose body is bounded.
const maxLine = 256 << 10

// refusedError is an answer that asking again does not change.
type refusedError struct{ text string }

func (e *refusedError) Error() string { return e.text }

// Run prints the wearer's messages to out until ctx ends, which is no error. A
// server that goes away is waited for; one that was never there, or that
// refuses, is an error.
func Run(ctx context.Context, cfg Config, out io.Writer) error {
	base, err := url.Parse(cfg.Server)
	if err != nil || base.Host == "" || (base.Scheme != "http" && base.Scheme != "https") {
		return fmt.Errorf("--server %q is no address such as http://localhost:8002", cfg.Server)
	}
	if cfg.Silence == 0 {
		cfg.Silence = 30 * time.Second
	}
	if cfg.Pause == 0 {
		cfg.Pause = time.Second
	}
	at := base.JoinPath("api/v1/wearers", cfg.User, "tap").String()
	been, pause := false, cfg.Pause
	for {
		connected, err := cfg.follow(ctx, at, out)
		been = been || connected
		var refused *refusedError
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.As(err, &refused), !been, errors.Is(err, errOutput):
			return err
		}
		if connected {
			pause = cfg.Pause
			fmt.Fprintln(cfg.Notes, "the server went away, waiting for it")
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil
		}
		pause = min(2*pause, 8*cfg.Pause)
	}
}

// errOutput says that nobody reads what we print.
var errOutput = errors.New("cannot print")

// follow prints one connection's lines; connected says whether there was one.
func (c *Config) follow(ctx context.Context, at string, out io.Writer) (connected bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		return false, err
	}
	req.Header.Set("Authorization", "Bearer "+c.Token)
	silence := time.AfterFunc(c.Silence, cancel)
	defer silence.Stop()
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return false, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return false, refusal(res)
	}
	fmt.Fprintf(c.Notes, "tapping %s; Ctrl-C ends\n", c.User)
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		silence.Reset(c.Silence)
		if err := c.print(out, lines.Bytes()); err != nil {
			return true, err
		}
	}
	return true, lines.Err()
}

// refusal reads why the server does not want to; 503 is worth another attempt.
func refusal(res *http.Response) error {
	var problem struct{ Detail string }
	if json.NewDecoder(io.LimitReader(res.Body, 64<<10)).Decode(&problem) != nil || problem.Detail == "" {
		problem.Detail = "the server answers " + res.Status
	}
	if res.StatusCode == http.StatusServiceUnavailable {
		return errors.New(problem.Detail)
	}
	return &refusedError{clean(problem.Detail)}
}

// print writes one line of the server's; empty ones only say that it lives.
func (c *Config) print(out io.Writer, line []byte) error {
	if len(line) == 0 {
		return nil
	}
	text := string(line)
	if !c.JSON {
		var e tap.Event
		if err := json.Unmarshal(line, &e); err != nil {
			return &refusedError{"the server does not speak as a tap does: " + err.Error()}
		}
		text = Line(&e, c.Colour)
	}
	if _, err := io.WriteString(out, strings.TrimRight(text, "\n")+"\n"); err != nil {
		return fmt.Errorf("%w: %w", errOutput, err)
	}
	return nil
}
