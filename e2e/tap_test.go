package e2e

import (
	"syscall"
	"testing"
)

// Whoever writes an app sees with `glimpse tap` what passes between it, the
// cloud and the glasses, and why a call failed; no key and no whole link is in
// it. It is so in every app style. A restart of the cloud is waited for, and
// Ctrl-C is a clean end.
func TestTap(t *testing.T) {
	parallel(t, others)
	const user, pkg = "wearer@example.com", "com.example.tapped"
	port := freePort(t)
	others := newFour(t, "tapped-", "CAMERA")
	c := startCloud(t, others.config+appConfig(pkg, port, "CAMERA")+"users:\n  - {id: "+user+"}\n")
	env := []string{"GLIMPSE_ADMIN_TOKEN=" + c.token}
	tap := start(t, "tap", env, binary, "tap", user, "--server", c.url)
	tap.waitLine(`tapping wearer@example\.com`, 0)
	raw := start(t, "tap --json", nil, binary, "tap", user, "--server", c.url, "--config", c.config, "--json")
	raw.waitLine(`tapping`, 0)

	c.startGlasses(t, user)
	tap.waitLine(`glasses → cloud\s+⏵ connected`, 0)
	tap.waitLine(`cloud → glasses\s+connection_ack`, 0)
	c.api("POST", "/api/v1/users/"+user+"/apps/"+pkg+"/start", nil, nil) // nobody listens there yet
	_, from := tap.waitLine(`app → cloud\s+com\.example\.tapped\s+✗ refused\s+.*connection refused`, 0)
	a := startApp(t, "sdk2", pkg, port)
	c.startSession(a, user)
	var links urls
	a.do(&links, "managed", map[string]any{})
	a.do(nil, "stopManaged")

	for _, line := range []string{
		`cloud → app\s+com\.example\.tapped\s+session_request`,
		`app → cloud\s+com\.example\.tapped\s+tpa_connection_init\s+.*"apiKey":"…"`,
		`cloud → app\s+com\.example\.tapped\s+tpa_connection_ack`,
		`app → cloud\s+com\.example\.tapped\s+managed_stream_request`,
		`cloud → glasses\s+start_stream\s+.*rtmp://127\.0\.0\.1:\d+/live/…`,
		`glasses → cloud\s+stream_status`,
		`cloud → app\s+com\.example\.tapped\s+managed_stream_status\s+.*"status":"active"`,
		`app → cloud\s+com\.example\.tapped\s+managed_stream_stop`,
		`cloud → glasses\s+stop_stream`,
	} {
		_, from = tap.waitLine(line, from)
	}
	raw.waitLine(`^\{"time":".*"kind":"message","from":"cloud","to":"glasses","type":"stop_stream","size":\d+,"body":\{`, 0)

	secrets := []string{apiKey, c.token, playbackID(links.HLS)}
	others.run(t, c, "tapped-", always(user))
	for style, a := range others.apps {
		name := `com\.example\.tapped-` + style
		camera, request := "managed_stream_request", "rtmp_stream_request"
		if style == "alpha" || style == "mini" {
			request = "stream_request"
		}
		var links urls
		a.do(&links, "managed", map[string]any{})
		a.do(nil, "stopManaged")
		a.status("stopped")
		a.do(nil, "direct", "rtmp://127.0.0.1:9/live/a-secret-of-"+style)
		a.status("error")
		secrets = append(secrets, playbackID(links.HLS), "a-secret-of-"+style)
		from := 0
		for _, line := range []string{
			`cloud → app\s+` + name + `\s+session_request`,
			`app → cloud\s+` + name + `\s+tpa_connection_init`,
			`cloud → app\s+` + name + `\s+tpa_connection_ack`,
			`app → cloud\s+` + name + `\s+` + camera,
			`cloud → app\s+` + name + `\s+managed_stream_status\s+.*"status":"active"`,
			`app → cloud\s+` + name + `\s+managed_stream_stop`,
			`cloud → app\s+` + name + `\s+managed_stream_status\s+.*"status":"stopped"`,
			`app → cloud\s+` + name + `\s+` + request + `\s+.*rtmp://127\.0\.0\.1:9/live/…`,
			`cloud → app\s+` + name + `\s+\w*stream_status\s+.*"status":"error"`,
		} {
			_, from = tap.waitLine(line, from)
		}
	}
	for _, p := range []*process{tap, raw} {
		for _, secret := range secrets {
			if p.count(secret) > 0 {
				t.Errorf("%s shows a secret", p.name)
			}
		}
	}
	if err := tap.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if <-tap.done; tap.err != nil {
		t.Errorf("Ctrl-C: %v", tap.err)
	}
	c.stop()
	raw.waitLine(`went away`, 0)

	refused := start(t, "tap without a server", env, binary, "tap", user, "--server", c.url)
	if <-refused.done; refused.cmd.ProcessState.ExitCode() != 1 {
		t.Errorf("without a server: %v", refused.cmd.ProcessState)
	}
	usage := start(t, "tap without a wearer", env, binary, "tap")
	if <-usage.done; usage.cmd.ProcessState.ExitCode() != 2 {
		t.Errorf("without a wearer: %v", usage.cmd.ProcessState)
	}
}
