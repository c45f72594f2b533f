// Package config reads glimpse.yaml, lays the environment over it and says
// clearly what is wrong with the result.
//
// Order: Default, then the file (unknown keys are errors, with an excerpt), then
// GLIMPSE_… variables, then whatever flags the command changes; Validate last.
// The values are plain and shared with nobody.
package config

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"reflect"
	"regexp"
	"time"

	"github.com/goccy/go-yaml"

	"glimpse/internal/control/auth"
)

// Config is every setting. An empty address switches a listener off; port 0
// picks a free one.
type Config struct {
	DataDir         string    `yaml:"data_dir"`          // everything that must survive, made when missing
	LogLevel        string    `yaml:"log_level"`         // debug, info, warn, error
	HTTP            HTTP      `yaml:"http"`              // API, websockets, WHEP, HLS, pages
	HTTPS           HTTPS     `yaml:"https"`             // the same over TLS
	RTMP            Listener  `yaml:"rtmp"`              // ingest and play
	RTMPS           Listener  `yaml:"rtmps"`             // RTMP over TLS
	SRT             SRT       `yaml:"srt"`               // ingest and play, UDP
	WebRTC          WebRTC    `yaml:"webrtc"`            // media of WHEP
	AdminToken      string    `yaml:"admin_token"`       // empty: a file in DataDir
	CoreTokenSecret string    `yaml:"core_token_secret"` // empty: a file in DataDir
	Apps            []App     `yaml:"apps"`
	Users           []User    `yaml:"users"`
	Streams         []Stream  `yaml:"streams"`
	Recording       Recording `yaml:"recording"`
	Outbound        Outbound  `yaml:"outbound"`
}

// HTTP is the listener of everything that speaks HTTP.
type HTTP struct {
	Addr      string `yaml:"addr"`
	PublicURL string `yaml:"public_url"` // empty: the address on which the peer reached us
	// TrustedProxies are addresses or networks (CIDR) whose X-Forwarded-For is
	// believed: limits then go by the client that they name.
	TrustedProxies []string `yaml:"trusted_proxies"`
}

// Proxies are the parsed TrustedProxies, in order. Errors name the entry.
func (h HTTP) Proxies() ([]netip.Prefix, error) {
	var list []netip.Prefix
	for _, text := range h.TrustedProxies {
		if addr, err := netip.ParseAddr(text); err == nil {
			text = netip.PrefixFrom(addr, addr.BitLen()).String()
		}
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, fmt.Errorf("%q is neither an address nor a network like 10.0.0.0/8", text)
		}
		list = append(list, p.Masked())
	}
	return list, nil
}

// HTTPS is the listener of everything that speaks HTTP, over TLS with HTTP/2.
type HTTPS struct {
	Addr      string `yaml:"addr"`
	Domain    string `yaml:"domain"`    // its certificate comes from a public authority; empty: our own for every name
	Directory string `yaml:"directory"` // ACME directory of that authority; empty: Let's Encrypt
}

// Listener is a listener with nothing but an address.
type Listener struct {
	Addr string `yaml:"addr"`
}

// SRT is the listener of SRT, UDP.
type SRT struct {
	Addr    string        `yaml:"addr"`
	Latency time.Duration `yaml:"latency"` // how long a lost packet may take to come again
}

// WebRTC is the media port, UDP.
type WebRTC struct {
	Addr  string   `yaml:"addr"`
	Hosts []string `yaml:"hosts"` // candidates; empty: all interface addresses and the public host
}

// App is an app server. Its URL is trusted: it may be a private address.
type App struct {
	Package     string   `yaml:"package"`
	APIKey      string   `yaml:"api_key"`
	URL         string   `yaml:"url"` // webhooks go to URL/webhook
	Permissions []string `yaml:"permissions"`
}

// User is a wearer.
type User struct {
	ID string `yaml:"id"`
}

// Stream is a standing stream whose keys are chosen by the operator; nowhere
// else may keys be chosen.
type Stream struct {
	Name       string        `yaml:"name"`
	IngestKey  string        `yaml:"ingest_key"`
	PlaybackID string        `yaml:"playback_id"`
	Passphrase string        `yaml:"srt_passphrase"` // of SRT, both ways; empty: plain
	Record     string        `yaml:"record"`         // always, on-demand, never; empty: recording.policy
	Restream   []Destination `yaml:"restream"`
}

// Destination is where a stream is sent on to. Its URL is trusted: it may be a
// private address.
type Destination struct {
	URL  string `yaml:"url"` // holds a key
	Name string `yaml:"name"`
}

// Recording is what is kept of streams.
type Recording struct {
	Dir       string        `yaml:"dir"`        // empty: recordings in DataDir
	Policy    string        `yaml:"policy"`     // of streams that have none of their own: always, on-demand, never
	MaxAge    time.Duration `yaml:"max_age"`    // older ones are deleted; 0: none
	MaxSize   string        `yaml:"max_size"`   // of all together, like 500GB; empty: no limit
	UserQuota string        `yaml:"user_quota"` // of one wearer or standing stream, like 20GB; empty: no limit
	MinFree   string        `yaml:"min_free"`   // part of the disk that stays free, like 5%
}

// Outbound limits connections that strangers can cause.
type Outbound struct {
	AllowPrivate bool `yaml:"allow_private"`
}

// Default is the configuration without a file and without an environment.
func Default() Config {
	return Config{
		DataDir:   "./glimpse-data",
		LogLevel:  "info",
		HTTP:      HTTP{Addr: ":8002", TrustedProxies: []string{}},
		HTTPS:     HTTPS{Addr: ":8443"},
		RTMP:      Listener{Addr: ":1935"},
		RTMPS:     Listener{Addr: ":1936"},
		SRT:       SRT{Addr: ":4201", Latency: 120 * time.Millisecond},
		WebRTC:    WebRTC{Addr: ":8189", Hosts: []string{}},
		Apps:      []App{},
		Users:     []User{},
		Streams:   []Stream{},
		Recording: Recording{Policy: "on-demand", MinFree: "5%"},
	}
}

// maxFile bounds the file in bytes.
const maxFile = 1 << 20

// Load returns the defaults under the file at path (none when path is empty)
// under the environment, which is os.Environ outside tests. It does not
// Validate: flags may come on top first.
func Load(path string, environ []string) (Config, error) {
	cfg := Default()
	if path != "" {
		data, err := readFile(path)
		if err != nil {
			return Config{}, fmt.Errorf("read config: %w", err)
		}
		if cfg, err = Parse(data); err != nil {
			return Config{}, fmt.Errorf("%s: %w", path, err)
		}
	}
	if err := overlay(&cfg, environ); err != nil {
		return Config{}, err
	}
	for i := range cfg.Users {
		cfg.Users[i].ID = auth.UserID(cfg.Users[i].ID)
	}
	return cfg, nil
}

// Parse returns the defaults under the YAML in data; a top-level key with
// nothing behind it means its default. Unknown and repeated keys are errors that
// show the place; values of secret keys are hidden in them.
func Parse(data []byte) (Config, error) {
	cfg, def := Default(), Default()
	if err := decode(data, &cfg); err != nil {
		return Config{}, err
	}
	var keys map[string]any
	if err := decode(data, &keys); err != nil {
		return Config{}, err
	}
	// The decoder empties what is null, and everything when there is no text.
	to, from := reflect.ValueOf(&cfg).Elem(), reflect.ValueOf(def)
	for i := range to.NumField() {
		if keys[to.Type().Field(i).Tag.Get("yaml")] == nil {
			to.Field(i).Set(from.Field(i))
		}
	}
	if cfg.WebRTC.Hosts == nil {
		cfg.WebRTC.Hosts = []string{}
	}
	return cfg, nil
}

// decode reads strict YAML into target.
func decode(data []byte, target any) error {
	err := yaml.UnmarshalWithOptions(data, target, yaml.Strict())
	if err == nil || errors.Is(err, io.EOF) { // EOF: no text
		return nil
	}
	return errors.New(hideSecrets(yaml.FormatError(err, false, true)))
}

// Secrets are hidden in an excerpt of the file. A plain value that has a line
// for itself goes to the line's end and may hold anything; one between braces
// ends at a comma or a brace.
const secretKeys = `["']?\b(?:api_key|admin_token|core_token_secret|ingest_key|playback_id|srt_passphrase|url)["']?\s*:`

var (
	secretLine   = regexp.MustCompile(`(?m)^([> ]*\d+ \|[\s-]*` + secretKeys + `).*$`)
	secretInside = regexp.MustCompile(`(` + secretKeys + `)\s*("[^"\n]*"?|'[^'\n]*'?|[^,}\n]+)`)
)

func hideSecrets(text string) string {
	return secretInside.ReplaceAllString(secretLine.ReplaceAllString(text, "$1 (hidden)"), "$1 (hidden)")
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // opened to read
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("%s is longer than %d bytes", path, maxFile)
	}
	return data, nil
}

// Level is LogLevel for slog; info when it is not a valid word.
func (c Config) Level() slog.Level {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.LogLevel)); err != nil {
		return slog.LevelInfo
	}
	return level
}
