package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// An app sends the glasses to servers of others, by the URL's scheme: nginx with
// its RTMP module, the same behind TLS with an authority of its own, and Node
// Media Server. Each plays what it gets, and the stream there ends with the app's.
//
// A49 A50 C53 D15
func TestDirectTargets(t *testing.T) {
	parallel(t, others)
	const user, pkg = "wearer@example.com", "com.example.targets"
	port := freePort(t)
	c := startCloud(t, "apps:\n"+appConfig(pkg, port, "CAMERA")+"users:\n  - {id: "+user+"}\n")
	plain, secure, authority := nginx(t)
	w := c.startGlasses(t, user, "--ca", authority)
	a := startApp(t, "alpha", pkg, port)
	c.startSession(a, user)
	for _, target := range []struct{ name, push, play string }{
		{"nginx-rtmp", plain + "/live/one", plain + "/live/one"},
		{"nginx-rtmp by TLS", secure + "/live/two", plain + "/live/two"},
		{"Node Media Server", nodeMediaServer(t) + "/live/three", ""},
	} {
		if target.play == "" {
			target.play = target.push
		}
		a.mark()
		a.do(nil, "direct", target.push)
		a.status("active")
		wantMoving(t, target.play)
		a.mark()
		a.do(nil, "stopDirect")
		a.status("stopped")
		if t.Failed() {
			t.Fatalf("with %s", target.name)
		}
	}
	// Nobody is there: the app hears it in the words that it tests for.
	a.mark()
	a.do(nil, "direct", fmt.Sprintf("rtmps://127.0.0.1:%d/live/x", freePort(t)))
	if e := a.status("error"); e.Details == "" {
		t.Errorf("nobody there: %+v", e)
	}
	w.waitLine("could not connect to RTMP server", 0)
}

// nginx runs Debian's nginx with its RTMP module, and TLS in front of it; authority
// is the file with the certificate. Application "kept" records into its folder.
func nginx(t *testing.T) (plain, secure, authority string) {
	t.Helper()
	const modules = "/usr/lib/nginx/modules/"
	if runtime.GOOS != "linux" {
		t.Skip("nginx with the RTMP module comes from Debian's packages")
	}
	for _, m := range []string{"ngx_rtmp_module.so", "ngx_stream_module.so"} {
		if _, err := os.Stat(modules + m); err != nil {
			t.Fatalf("%v: run `make deps`", err)
		}
	}
	dir := t.TempDir()
	authority, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	selfSigned(t, authority, key)
	rtmp, tls := freePort(t), freePort(t)
	conf := fmt.Sprintf(`load_module %[1]sngx_rtmp_module.so;
load_module %[1]sngx_stream_module.so;
daemon off;
master_process off;
pid %[2]s/pid;
error_log stderr warn;
events {}
rtmp {
	access_log off;
	server {
		listen 127.0.0.1:%[3]d;
		application live { live on; wait_key on; }
		application kept { live on; record all; record_path %[2]s; record_suffix .flv; }
	}
}
stream {
	server {
		listen 127.0.0.1:%[4]d ssl;
		ssl_certificate %[5]s;
		ssl_certificate_key %[6]s;
		proxy_pass 127.0.0.1:%[3]d;
	}
}
`, modules, dir, rtmp, tls, authority, key)
	file := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	start(t, "nginx", nil, "/usr/sbin/nginx", "-p", dir, "-c", file, "-e", "stderr")
	for _, port := range []int{rtmp, tls} {
		eventually(t, "nginx listens", func() bool { return listening(port) })
	}
	return fmt.Sprintf("rtmp://127.0.0.1:%d", rtmp), fmt.Sprintf("rtmps://127.0.0.1:%d", tls), authority
}

// nodeMediaServer runs the server of the documents' examples.
func nodeMediaServer(t *testing.T) string {
	t.Helper()
	port := freePort(t)
	nms := start(t, "Node Media Server", nil, node(t), "-e", fmt.Sprintf(
		`const Server = require("node-media-server");
		new Server({logType: 2, rtmp: {port: %d, chunk_size: 60000, gop_cache: true, ping: 30, ping_timeout: 60}}).run()`, port))
	nms.waitLine("Rtmp Server started", 0)
	return fmt.Sprintf("rtmp://127.0.0.1:%d", port)
}
