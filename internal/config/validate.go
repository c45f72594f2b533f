package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"glimpse/internal/control/apps"
	"glimpse/internal/control/auth"
	"glimpse/internal/control/streams"
)

// hostPattern is a DNS name.
var hostPattern = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$`)

// Bounds of srt.latency: SRT acknowledges each 10 ms, and its buffers hold some
// seconds.
const (
	minLatency = 20 * time.Millisecond
	maxLatency = 8 * time.Second
)

// Validate returns every fault of c as one sentence each, joined; nil when the
// server can start with it. Secrets do not appear in the sentences.
func (c Config) Validate() error {
	var f faults
	if strings.TrimSpace(c.DataDir) == "" {
		f.add("data_dir", "must name a folder")
	}
	if !slices.Contains([]string{"debug", "info", "warn", "error"}, c.LogLevel) {
		f.add("log_level", "must be debug, info, warn or error")
	}
	for key, addr := range map[string]string{"http.addr": c.HTTP.Addr, "https.addr": c.HTTPS.Addr,
		"rtmp.addr": c.RTMP.Addr, "rtmps.addr": c.RTMPS.Addr, "srt.addr": c.SRT.Addr, "webrtc.addr": c.WebRTC.Addr} {
		f.check(key, checkAddr(addr))
	}
	f.check("http.public_url", checkPublicURL(c.HTTP.PublicURL))
	_, err := c.HTTP.Proxies()
	f.check("http.trusted_proxies", err)
	c.HTTPS.validate(&f)
	if l := c.SRT.Latency; l < minLatency || l > maxLatency {
		f.add("srt.latency", "must be %v to %v", minLatency, maxLatency)
	}
	for i, host := range c.WebRTC.Hosts {
		if _, err := netip.ParseAddr(host); err != nil && !hostPattern.MatchString(host) {
			f.add(fmt.Sprintf("webrtc.hosts[%d]", i), "must be an address or a host name, without a port")
		}
	}
	for key, secret := range map[string]string{"admin_token": c.AdminToken, "core_token_secret": c.CoreTokenSecret} {
		if secret != "" && len(secret) < auth.MinSecret {
			f.add(key, "must have at least %d characters, or be left out to have one made", auth.MinSecret)
		}
	}
	c.validateApps(&f)
	c.validateUsers(&f)
	c.validateStreams(&f)
	c.Recording.validate(&f)
	return f.err()
}

func (c Config) validateApps(f *faults) {
	seen := map[string]bool{}
	for i, app := range c.Apps {
		at := fmt.Sprintf("apps[%d]", i)
		if !auth.ValidName(app.Package) {
			f.add(at+".package", auth.NameRule)
		} else if seen[app.Package] {
			f.add(at+".package", "%s is there twice", app.Package)
		}
		seen[app.Package] = true
		f.check(at+".api_key", apps.CheckAPIKey(app.APIKey))
		f.check(at+".url", apps.CheckURL(app.URL))
		f.check(at+".permissions", apps.CheckPermissions(app.Permissions))
	}
}

func (c Config) validateUsers(f *faults) {
	seen := map[string]bool{}
	for i, user := range c.Users {
		at := fmt.Sprintf("users[%d].id", i)
		id := auth.UserID(user.ID)
		if !auth.ValidName(id) {
			f.add(at, auth.NameRule)
		} else if seen[id] {
			f.add(at, "%s is there twice", id)
		}
		seen[id] = true
	}
}

func (c Config) validateStreams(f *faults) {
	names, keys, ids := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for i, s := range c.Streams {
		at := fmt.Sprintf("streams[%d]", i)
		if !auth.ValidName(s.Name) {
			f.add(at+".name", auth.NameRule)
		} else if names[s.Name] {
			f.add(at+".name", "%s is there twice", s.Name)
		}
		if !auth.ValidKey(s.IngestKey) {
			f.add(at+".ingest_key", auth.KeyRule)
		} else if keys[s.IngestKey] {
			f.add(at+".ingest_key", "another stream has the same")
		}
		if !auth.ValidKey(s.PlaybackID) {
			f.add(at+".playback_id", auth.KeyRule)
		} else if ids[s.PlaybackID] {
			f.add(at+".playback_id", "another stream has the same")
		}
		f.check(at+".srt_passphrase", streams.CheckPassphrase(s.Passphrase))
		f.check(at+".record", streams.CheckRecord(s.Record))
		names[s.Name], keys[s.IngestKey], ids[s.PlaybackID] = true, true, true
	}
}

// checkAddr accepts what net.Listen takes, and "" for off.
func checkAddr(addr string) error {
	if addr == "" {
		return nil
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return errors.New(`must be "host:port" or ":port", or "" to switch it off`)
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		return errors.New("has no port from 0 to 65535")
	}
	if _, err := netip.ParseAddr(host); host != "" && err != nil && !hostPattern.MatchString(host) {
		return errors.New("has no valid host")
	}
	return nil
}

func (h HTTPS) validate(f *faults) {
	if h.Domain != "" && (!hostPattern.MatchString(h.Domain) || !strings.Contains(h.Domain, ".")) {
		f.add("https.domain", "must be a DNS name like cloud.example.com, without scheme and port, or empty")
	}
	if h.Directory == "" {
		return
	}
	if u, err := url.Parse(h.Directory); err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil {
		f.add("https.directory", "must be the https address of an ACME directory, or empty for Let's Encrypt")
	}
	if h.Domain == "" {
		f.add("https.directory", "needs https.domain: a certificate is asked for one name")
	}
}

func checkPublicURL(text string) error {
	if text == "" {
		return nil
	}
	u, err := url.Parse(text)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" {
		return errors.New("must be like https://cloud.example.com, or empty")
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "" {
		return errors.New("must end after the host and port")
	}
	return nil
}

// faults collects sentences.
type faults struct{ list []string }

func (f *faults) add(key, format string, args ...any) {
	f.list = append(f.list, key+": "+fmt.Sprintf(format, args...))
}

func (f *faults) check(key string, err error) {
	if err != nil {
		f.add(key, "%s", err)
	}
}

func (f *faults) err() error {
	if len(f.list) == 0 {
		return nil
	}
	slices.Sort(f.list)
	errs := make([]error, len(f.list))
	for i, text := range f.list {
		errs[i] = errors.New(text)
	}
	return errors.Join(errs...)
}
