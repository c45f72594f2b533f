package rtmp

import (
	"fmt"
	"testing"
	"time"

	"go.uber.org/goleak"

	"glimpse/internal/media/hub"
	"glimpse/internal/media/serve/servetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is a server with a hub on a free port of the loopback interface.
type rig struct {
	*servetest.Rig
	server *Server
}

func newRig(t testing.TB, cfg Config) *rig {
	t.Helper()
	return newRigTimes(t, cfg, defaultTimes())
}

// newPatientRig has a hub that drops nothing for a player that is slow to start.
func newPatientRig(t testing.TB) *rig {
	t.Helper()
	base := servetest.New(t)
	base.Hub = hub.New(hub.Config{MaxLag: time.Hour, RingBytes: 128 << 20}, base.Log)
	return runRig(t, base, Config{}, defaultTimes())
}

func newRigTimes(t testing.TB, cfg Config, limits times) *rig {
	t.Helper()
	return runRig(t, servetest.New(t), cfg, limits)
}

func runRig(t testing.TB, base *servetest.Rig, cfg Config, limits times) *rig {
	t.Helper()
	cfg.Addr = "127.0.0.1:0"
	s, err := New(cfg, base.Hub, base.Log)
	if err != nil {
		t.Fatal(err)
	}
	s.times = limits
	base.Run(s)
	return &rig{base, s}
}

func (r *rig) url(name string) string {
	return fmt.Sprintf("%s://%s/live/%s", r.server.protocol(), r.server.Addr(), name)
}

// publishing are ffmpeg's arguments for a test stream.
func publishing(url string, seconds int, extra ...string) []string {
	return servetest.Publishing("flv", url, seconds, extra...)
}
