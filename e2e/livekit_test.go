package e2e

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// LiveKit's WHIP endpoint, which is not ours, behind nginx's TLS, takes what the
// glasses send directly: it names H.264 and Opus as published tracks and counts
// packets that go on coming; it loses the wearer when the app stops.
//
// D15 A49 C53
func TestDirectToLiveKit(t *testing.T) {
	if !long {
		t.Skip("builds LiveKit, which takes minutes the first time: make test-long")
	}
	if runtime.GOOS != "linux" {
		t.Skip("nginx, which is its TLS, comes from Debian's packages")
	}
	const user, pkg = "wearer@example.com", "com.example.livekit"
	kit := startLiveKit(t)
	port := freePort(t)
	c := startCloud(t, "apps:\n"+appConfig(pkg, port, "CAMERA")+"users:\n  - {id: "+user+"}\n")
	c.startGlasses(t, user, "--ca", kit.authority)
	a := startApp(t, "alpha", pkg, port)
	c.startSession(a, user)
	a.do(nil, "direct", kit.whip)
	a.status("active")
	eventually(t, "LiveKit publishes H.264 and Opus", func() bool {
		_, tracks := kit.room()
		tracks = strings.ToLower(tracks)
		return strings.Contains(tracks, "video/h264") && strings.Contains(tracks, "audio/opus")
	})
	first := kit.packets()
	eventually(t, "packets go on coming", func() bool { return kit.packets() > first+200 })
	a.mark()
	a.do(nil, "stopDirect")
	a.status("stopped")
	within(t, time.Minute, "LiveKit has lost the wearer", func() bool {
		code, people := kit.room()
		return code == http.StatusOK && !strings.Contains(people, `"identity"`)
	})
}

// liveKit is a running LiveKit with one room.
type liveKit struct {
	t                        *testing.T
	api, metrics             string // bases by http
	whip, authority, manager string
}

func startLiveKit(t *testing.T) *liveKit {
	t.Helper()
	const key, secret, room = "key", "a secret of thirty-two characters!", "room"
	api, metrics, udp, secure := freePort(t), freePort(t), freePort(t), freePort(t)
	dir := t.TempDir()
	k := &liveKit{t: t, api: fmt.Sprintf("http://127.0.0.1:%d", api), metrics: fmt.Sprintf("http://127.0.0.1:%d/metrics", metrics)}
	k.authority = filepath.Join(dir, "cert.pem")
	selfSigned(t, k.authority, filepath.Join(dir, "key.pem"))
	config := fmt.Sprintf(`port: %d
bind_addresses: [127.0.0.1]
prometheus_port: %d
keys: {%s: "%s"}
rtc: {udp_port: %d, tcp_port: 0, node_ip: 127.0.0.1, use_external_ip: false, enable_loopback_candidate: true, interfaces: {includes: [lo]}}
`, api, metrics, key, secret, udp)
	start(t, "LiveKit", []string{"LIVEKIT_CONFIG=" + config}, goTool(t, "whip", "server"))
	conf := fmt.Sprintf(`daemon off;
master_process off;
pid %[1]s/pid;
error_log stderr warn;
events {}
http {
	access_log off;
	client_body_temp_path %[1]s/body;
	proxy_temp_path %[1]s/proxy;
	fastcgi_temp_path %[1]s/fastcgi;
	uwsgi_temp_path %[1]s/uwsgi;
	scgi_temp_path %[1]s/scgi;
	server {
		listen 127.0.0.1:%[2]d ssl;
		ssl_certificate %[1]s/cert.pem;
		ssl_certificate_key %[1]s/key.pem;
		location / { proxy_pass %[3]s; }
	}
}
`, dir, secure, k.api)
	file := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	start(t, "nginx", nil, "/usr/sbin/nginx", "-p", dir, "-c", file, "-e", "stderr")
	for _, port := range []int{api, metrics, secure} {
		eventually(t, "LiveKit and nginx listen", func() bool { return listening(port) })
	}
	k.whip = fmt.Sprintf("https://127.0.0.1:%d/whip/v1?access_token=%s", secure,
		signed(t, key, secret, "glasses", map[string]any{"room": room, "roomJoin": true, "canPublish": true}))
	k.manager = signed(t, key, secret, "manager", map[string]any{"room": room, "roomAdmin": true})
	return k
}

// signed makes a token of LiveKit's: a JWT by HS256.
func signed(t *testing.T, key, secret, identity string, grant map[string]any) string {
	t.Helper()
	claims, err := json.Marshal(map[string]any{"iss": key, "sub": identity, "nbf": time.Now().Add(-time.Minute).Unix(),
		"exp": time.Now().Add(time.Hour).Unix(), "video": grant})
	if err != nil {
		t.Fatal(err)
	}
	part := base64.RawURLEncoding.EncodeToString
	text := part([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + part(claims)
	sum := hmac.New(sha256.New, []byte(secret))
	sum.Write([]byte(text))
	return text + "." + part(sum.Sum(nil))
}

// room is LiveKit's own list of who is in the room with what.
func (k *liveKit) room() (code int, people string) {
	req, err := http.NewRequestWithContext(k.t.Context(), http.MethodPost, k.api+"/twirp/livekit.RoomService/ListParticipants",
		bytes.NewReader([]byte(`{"room":"room"}`)))
	if err != nil {
		k.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+k.manager)
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, ""
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, ""
	}
	return res.StatusCode, string(body)
}

// packets sums what came in, by LiveKit's own counters.
func (k *liveKit) packets() (sum float64) {
	_, _, body := get(k.t, k.metrics)
	for line := range strings.Lines(string(body)) {
		var n float64
		if i := strings.LastIndexByte(line, ' '); strings.HasPrefix(line, "livekit_packet_total{") && strings.Contains(line, `"incoming"`) {
			fmt.Sscan(line[i+1:], &n)
			sum += n
		}
	}
	return sum
}
