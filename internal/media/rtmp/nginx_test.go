package rtmp

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"glimpse/internal/media/serve/servetest"
)

// A6
// A server that is not ours, nginx-rtmp, takes what is pushed to it, and ffmpeg
// reads pictures and sound from there.
func TestPushToNginx(t *testing.T) {
	t.Parallel()
	at := startNginx(t)
	m := smallFilm()
	c, err := Dial(t.Context(), "rtmp://"+at+"/live/key?token=1", Options{Tracks: m.tracks})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	reader := servetest.StartFFmpeg(t, "-i", "rtmp://"+at+"/live/key", "-map", "0:v", "-map", "0:a", "-c", "copy", "-frames:v", "60", "-f", "framecrc", "-")
	stop, stopped := make(chan struct{}), make(chan error, 1)
	go func() { // the film of two seconds, again and again, in its own time
		stopped <- func() error {
			start := time.Now()
			for round := 0; ; round++ {
				for _, f := range m.frames {
					one := *f
					one.DTS += time.Duration(round) * 2 * time.Second
					one.PTS += time.Duration(round) * 2 * time.Second
					select {
					case <-stop:
						return nil
					case <-time.After(time.Until(start.Add(one.DTS))):
					}
					if err := c.WriteFrame(&one); err != nil {
						return err
					}
				}
			}
		}()
	}()
	out, errs, ok := reader.Wait()
	close(stop)
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	if pictures, sound := len(servetest.Packets(out, 0)), len(servetest.Packets(out, 1)); !ok || pictures != 60 || sound < 60 {
		t.Errorf("%d pictures and %d sound frames: %s", pictures, sound, errs)
	}
}

// startNginx runs nginx with its RTMP module and returns its address.
func startNginx(t *testing.T) string {
	t.Helper()
	module := "/usr/lib/nginx/modules/ngx_rtmp_module.so"
	if _, err := os.Stat(module); err != nil && runtime.GOOS != "linux" {
		t.Skip("nginx-rtmp is packaged for Debian only")
	} else if err != nil {
		t.Fatal("scripts/deps.sh installs libnginx-mod-rtmp: ", err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := l.Addr().String()
	_ = l.Close()
	dir := t.TempDir()
	config := filepath.Join(dir, "nginx.conf")
	text := fmt.Sprintf("load_module %s;\ndaemon off;\nmaster_process off;\npid %s/pid;\nerror_log stderr warn;\nevents {}\n"+
		"rtmp { access_log off; server { listen %s; application live { live on; } } }\n", module, dir, at)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("nginx", "-p", dir, "-c", config, "-e", "stderr")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	servetest.Until(t, "nginx", func() bool {
		c, err := net.Dial("tcp", at)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
	return at
}
