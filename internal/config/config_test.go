package config

import (
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
)

const example = "../../glimpse.example.yaml"

func TestDefaultIsValid(t *testing.T) {
	if err := Default().Validate(); err != nil {
		t.Error(err)
	}
}

func TestExampleEqualsDefaults(t *testing.T) {
	got, err := Load(example, nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Default(), got); diff != "" {
		t.Error(diff)
	}
}

// Every setting of the structs stands in the example, so that it cannot be
// forgotten there.
func TestExampleNamesEverySetting(t *testing.T) {
	data, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	var doc map[string]any
	if err := yaml.Unmarshal(data, &doc); err != nil {
		t.Fatal(err)
	}
	var walk func(typ reflect.Type, doc map[string]any, at string)
	walk = func(typ reflect.Type, doc map[string]any, at string) {
		for i := range typ.NumField() {
			key := typ.Field(i).Tag.Get("yaml")
			value, ok := doc[key]
			if !ok {
				t.Errorf("%s%s is not in the example", at, key)
				continue
			}
			if typ.Field(i).Type.Kind() == reflect.Struct {
				walk(typ.Field(i).Type, value.(map[string]any), at+key+".")
			}
		}
	}
	walk(reflect.TypeFor[Config](), doc, "")
}

// The entries that are commented out are valid too.
func TestExampleEntries(t *testing.T) {
	data, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	text := regexp.MustCompile(`(?m): \[\]\n# +- `).ReplaceAllString(string(data), ":\n  - ")
	cfg, err := Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if len(cfg.Apps) != 1 || len(cfg.Users) != 1 || len(cfg.Streams) != 1 {
		t.Errorf("%d apps, %d users, %d streams; want one each", len(cfg.Apps), len(cfg.Users), len(cfg.Streams))
	}
	if err := cfg.Validate(); err != nil {
		t.Error(err)
	}
}

// The block of the design document, as an operator may have copied it.
const documented = `
data_dir: ./glimpse-data
http:   {addr: ":8002", public_url: ""}
https:  {addr: ":8443", domain: ""}
rtmp:   {addr: ":1935"}
rtmps:  {addr: ":1936"}
srt:    {addr: ":4201", latency: 120ms}
webrtc: {addr: ":8189", hosts: []}
admin_token: 0123456789abcdef
core_token_secret: fedcba9876543210
apps:
  - {package: com.example.demo, api_key: demo-api-key, url: "http://127.0.0.1:7010", permissions: [CAMERA, MICROPHONE]}
users:
  - {id: Me@Example.com}
streams:
  - {name: stream, ingest_key: stream, playback_id: stream}
outbound: {allow_private: false}
`

func TestDocumentedFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "glimpse.yaml")
	if err := os.WriteFile(path, []byte(documented), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := Load(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := cfg.Validate(); err != nil {
		t.Error(err)
	}
	if cfg.Users[0].ID != "me@example.com" {
		t.Errorf("user %q, want lower case", cfg.Users[0].ID)
	}
}

func TestParseKeepsWhatIsNotMentioned(t *testing.T) {
	for name, text := range map[string]string{
		"one of two": "http: {public_url: \"http://x.test\"}", "empty": "", "comments": "# nothing\n",
		"null lists": "apps:\nusers:\nstreams:\nwebrtc: {hosts: }\n", "other section": "log_level: debug",
		"null sections": "http:\nrtmp:\nwebrtc:\ndata_dir:\nlog_level: ~\n", "separator": "---\n",
	} {
		cfg, err := Parse([]byte(text))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if cfg.HTTP.Addr != ":8002" || cfg.RTMP.Addr != ":1935" || cfg.DataDir == "" || cfg.WebRTC.Addr != ":8189" || cfg.Apps == nil || cfg.WebRTC.Hosts == nil {
			t.Errorf("%s: %+v lost a default", name, cfg)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for name, c := range map[string]struct{ text, says string }{
		"unknown key":      {"http: {adr: \":1\"}", "adr"},
		"unknown top key":  {"data_dir: x\nrecordings: {}\n", "recording"},
		"unknown in list":  {"apps:\n  - {package: a, secret: b}", "secret"},
		"key twice":        {"data_dir: a\ndata_dir: b", "data_dir"},
		"wrong type":       {"http: 7", "http"},
		"no YAML":          {"a: [", ""},
		"excerpt of place": {"data_dir: x\nwrong: y\n", ">  2 | wrong: y"},
	} {
		_, err := Parse([]byte(c.text))
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want an error with %q", name, err, c.says)
		}
	}
}

func TestErrorsHideSecrets(t *testing.T) {
	text := `admin_token: tops3cret1
core_token_secret: 'tops3cret2'
apps:
  - {package: a, api_key: "tops3cret3", wrong: 1}
  - package: b
    api_key: tops3cret4
streams:
  - {name: s, ingest_key: tops3cret5, playback_id: tops3cret6}
`
	_, err := Parse([]byte(text))
	if err == nil {
		t.Fatal("no error")
	}
	if strings.Contains(err.Error(), "tops3cret") || !strings.Contains(err.Error(), "(hidden)") {
		t.Errorf("the excerpt shows a secret:\n%s", err)
	}
	for _, text := range []string{
		"admin_token: a, tops3cret } with words # tops3cret\nwrong: 1", "apps: [{api_key: a tops3cret, package: a, wrong: 1}]",
		`apps: [{"api_key": "a, tops3cret", wrong: 1}]`, "'admin_token' : a tops3cret\nwrong: 1",
	} {
		_, err := Parse([]byte(text))
		if err == nil || strings.Contains(err.Error(), "tops3cret") || !strings.Contains(err.Error(), "(hidden)") || !strings.Contains(err.Error(), "wrong") {
			t.Errorf("the excerpt shows a secret or too little:\n%v", err)
		}
	}
	err = Config{AdminToken: "tops3cret", Apps: []App{{APIKey: "s3cret"}}, Streams: []Stream{{IngestKey: "s3cret !"}}}.Validate()
	if err == nil || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("a sentence shows a secret:\n%v", err)
	}
}

func TestEnvironment(t *testing.T) {
	cfg, err := Load("", []string{
		"GLIMPSE_DATA_DIR=/data", "GLIMPSE_LOG_LEVEL=debug", "GLIMPSE_HTTP_ADDR=127.0.0.1:0",
		"GLIMPSE_HTTP_PUBLIC_URL=https://x.test", "GLIMPSE_HTTPS_ADDR=:1", "GLIMPSE_HTTPS_DOMAIN=x.test", "GLIMPSE_HTTPS_DIRECTORY=https://ca.test/dir", "GLIMPSE_RTMP_ADDR=",
		"GLIMPSE_RTMPS_ADDR=:2", "GLIMPSE_SRT_ADDR=:3", "GLIMPSE_WEBRTC_ADDR=:4", "GLIMPSE_WEBRTC_HOSTS=10.0.0.1, x.test",
		"GLIMPSE_ADMIN_TOKEN=0123456789abcdef", "GLIMPSE_CORE_TOKEN_SECRET=fedcba9876543210",
		`GLIMPSE_APPS=[{"package":"a","api_key":"12345678","url":"http://x.test","permissions":["CAMERA"]}]`,
		"GLIMPSE_USERS=[{id: Me@x.test}]", "GLIMPSE_STREAMS=[{name: s, ingest_key: k, playback_id: p, srt_passphrase: correct-horse, record: always}]",
		"GLIMPSE_RECORDING_DIR=/rec", "GLIMPSE_RECORDING_POLICY=never", "GLIMPSE_RECORDING_MAX_AGE=1h", "GLIMPSE_RECORDING_MAX_SIZE=1GB",
		"GLIMPSE_RECORDING_USER_QUOTA=2MiB", "GLIMPSE_RECORDING_MIN_FREE=10%",
		"GLIMPSE_SRT_LATENCY=200ms", "GLIMPSE_OUTBOUND_ALLOW_PRIVATE=true", "GLIMPSE_TOKEN=of a command", "PATH=/bin",
	})
	if err != nil {
		t.Fatal(err)
	}
	want := Config{
		DataDir: "/data", LogLevel: "debug", HTTP: HTTP{"127.0.0.1:0", "https://x.test", []string{}}, HTTPS: HTTPS{":1", "x.test", "https://ca.test/dir"},
		RTMPS: Listener{":2"}, SRT: SRT{":3", 200 * time.Millisecond}, WebRTC: WebRTC{":4", []string{"10.0.0.1", "x.test"}},
		AdminToken: "0123456789abcdef", CoreTokenSecret: "fedcba9876543210",
		Apps:  []App{{"a", "12345678", "http://x.test", []string{"CAMERA"}}},
		Users: []User{{"me@x.test"}}, Streams: []Stream{{Name: "s", IngestKey: "k", PlaybackID: "p", Passphrase: "correct-horse", Record: "always"}}, Outbound: Outbound{true},
		Recording: Recording{"/rec", "never", time.Hour, "1GB", "2MiB", "10%"},
	}
	if diff := cmp.Diff(want, cfg); diff != "" {
		t.Error(diff)
	}
	if err := cfg.Validate(); err != nil {
		t.Error(err)
	}
	for _, bad := range []string{"GLIMPSE_OUTBOUND_ALLOW_PRIVATE=perhaps", "GLIMPSE_APPS=[{pkg: a}]", "GLIMPSE_USERS=x: y", "GLIMPSE_SRT_LATENCY=long"} {
		name, _, _ := strings.Cut(bad, "=")
		if _, err := Load("", []string{bad}); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v, want an error that names the variable", bad, err)
		}
	}
}

func TestEnvironmentWinsOverFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c.yaml")
	if err := os.WriteFile(path, []byte("rtmp: {addr: \":1\"}\nusers: [{id: a}, {id: b}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := Load(path, []string{"GLIMPSE_RTMP_ADDR=:2", "GLIMPSE_USERS=[]"})
	if err != nil {
		t.Fatal(err)
	}
	if cfg.RTMP.Addr != ":2" || len(cfg.Users) != 0 {
		t.Errorf("%+v", cfg)
	}
}

func TestLoadFails(t *testing.T) {
	dir := t.TempDir()
	if _, err := Load(filepath.Join(dir, "none"), nil); err == nil {
		t.Error("an absent file is no error")
	}
	path := filepath.Join(dir, "big")
	if err := os.WriteFile(path, make([]byte, maxFile+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(path, nil); err == nil {
		t.Error("a file that is too long is no error")
	}
}

func TestValidate(t *testing.T) {
	app := App{Package: "com.x", APIKey: "12345678", URL: "http://127.0.0.1:7010"}
	stream := Stream{Name: "s", IngestKey: "k", PlaybackID: "p"}
	cases := map[string]struct {
		change func(*Config)
		says   []string // none: valid
	}{
		"off":           {func(c *Config) { c.HTTP.Addr, c.RTMP.Addr, c.WebRTC.Addr = "", "", "" }, nil},
		"port 0":        {func(c *Config) { c.HTTP.Addr = "127.0.0.1:0" }, nil},
		"IPv6":          {func(c *Config) { c.HTTP.Addr = "[::1]:80" }, nil},
		"host name":     {func(c *Config) { c.HTTP.Addr = "localhost:80" }, nil},
		"no port":       {func(c *Config) { c.HTTP.Addr = "localhost" }, []string{"http.addr"}},
		"port too high": {func(c *Config) { c.RTMP.Addr = ":65536" }, []string{"rtmp.addr"}},
		"short latency": {func(c *Config) { c.SRT.Latency = time.Millisecond }, []string{"srt.latency"}},
		"short passphrase": {func(c *Config) {
			c.Streams = []Stream{{Name: "s", IngestKey: "k", PlaybackID: "p", Passphrase: "short"}}
		}, []string{"streams[0].srt_passphrase"}},
		"record sometimes": {func(c *Config) {
			c.Streams = []Stream{{Name: "s", IngestKey: "k", PlaybackID: "p", Record: "sometimes"}}
		}, []string{"streams[0].record"}},
		"recording":            {func(c *Config) { c.Recording = Recording{"", "x", -1, "lots", "-1GB", "5"} }, []string{"recording.policy", "recording.max_age", "recording.max_size", "recording.user_quota", "recording.min_free"}},
		"port in words":        {func(c *Config) { c.SRT.Addr = ":http" }, []string{"srt.addr"}},
		"bad host":             {func(c *Config) { c.WebRTC.Addr = "a b:1" }, []string{"webrtc.addr"}},
		"no data_dir":          {func(c *Config) { c.DataDir = " " }, []string{"data_dir"}},
		"log level":            {func(c *Config) { c.LogLevel = "loud" }, []string{"log_level"}},
		"public url":           {func(c *Config) { c.HTTP.PublicURL = "https://x.test:8443/" }, nil},
		"proxies":              {func(c *Config) { c.HTTP.TrustedProxies = []string{"10.0.0.0/8", "::1"} }, nil},
		"proxy by name":        {func(c *Config) { c.HTTP.TrustedProxies = []string{"::1", "proxy"} }, []string{"http.trusted_proxies"}},
		"public url with path": {func(c *Config) { c.HTTP.PublicURL = "https://x.test/a" }, []string{"http.public_url"}},
		"public url, scheme":   {func(c *Config) { c.HTTP.PublicURL = "x.test" }, []string{"http.public_url"}},
		"domain":               {func(c *Config) { c.HTTPS.Domain = "cloud.x.test" }, nil},
		"domain is a URL":      {func(c *Config) { c.HTTPS.Domain = "https://x.test" }, []string{"https.domain"}},
		"domain without dot":   {func(c *Config) { c.HTTPS.Domain = "localhost" }, []string{"https.domain"}},
		"directory alone":      {func(c *Config) { c.HTTPS.Directory = "https://ca.test/dir" }, []string{"https.directory: needs https.domain"}},
		"directory by HTTP":    {func(c *Config) { c.HTTPS = HTTPS{"", "x.test", "http://ca.test"} }, []string{"https.directory"}},
		"host with port":       {func(c *Config) { c.WebRTC.Hosts = []string{"x.test", "1.2.3.4:5"} }, []string{"webrtc.hosts[1]"}},
		"short secrets":        {func(c *Config) { c.AdminToken, c.CoreTokenSecret = "a", "b" }, []string{"admin_token", "core_token_secret"}},
		"good app":             {func(c *Config) { c.Apps = []App{app} }, nil},
		"app twice":            {func(c *Config) { c.Apps = []App{app, app} }, []string{"apps[1].package: com.x is there twice"}},
		"empty app":            {func(c *Config) { c.Apps = []App{{}} }, []string{"apps[0].package", "apps[0].api_key", "apps[0].url"}},
		"app permission": {func(c *Config) { a := app; a.Permissions = []string{"camera"}; c.Apps = []App{a} },
			[]string{"apps[0].permissions: must be of CAMERA, MICROPHONE"}},
		"user twice":   {func(c *Config) { c.Users = []User{{"a@b.c"}, {"A@b.c"}} }, []string{"users[1].id"}},
		"bad user":     {func(c *Config) { c.Users = []User{{"a b"}} }, []string{"users[0].id"}},
		"good stream":  {func(c *Config) { c.Streams = []Stream{stream} }, nil},
		"stream twice": {func(c *Config) { c.Streams = []Stream{stream, stream} }, []string{"streams[1].ingest_key", "streams[1].name", "streams[1].playback_id"}},
		"bad stream":   {func(c *Config) { c.Streams = []Stream{{Name: "a/b", IngestKey: "a/b", PlaybackID: "a.b"}} }, []string{"streams[0].ingest_key", "streams[0].name", "streams[0].playback_id"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			cfg := Default()
			c.change(&cfg)
			err := cfg.Validate()
			if len(c.says) == 0 {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil {
				t.Fatalf("valid, want %q", c.says)
			}
			for _, want := range c.says {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not say %q", err, want)
				}
			}
			if got := strings.Count(err.Error(), "\n") + 1; got != len(c.says) {
				t.Errorf("%d sentences, want %d:\n%s", got, len(c.says), err)
			}
		})
	}
}

func TestLevel(t *testing.T) {
	if got := (Config{LogLevel: "warn"}).Level(); got != slog.LevelWarn {
		t.Errorf("level %v", got)
	}
	if got := (Config{LogLevel: "?"}).Level(); got != slog.LevelInfo {
		t.Errorf("level of nonsense %v, want info", got)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(documented))
	for _, seed := range []string{"", "a: &a [*a]", "? ", "- - -", "http: {addr: !!binary x}", "\xff", "apps: {}", "{[: 1", "streams: [~]", "users: [{}]"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		cfg, err := Parse(data)
		if err != nil {
			return
		}
		if cfg.Apps == nil || cfg.Users == nil || cfg.Streams == nil || cfg.WebRTC.Hosts == nil {
			t.Error("a list is nil")
		}
		_ = cfg.Validate() // must not panic
	})
}
