package srt

import (
	"fmt"
	"testing"

	"go.uber.org/goleak"

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
	base := servetest.New(t)
	cfg.Addr = "127.0.0.1:0"
	s, err := New(cfg, base.Hub, base.Log)
	if err != nil {
		t.Fatal(err)
	}
	base.Run(s)
	return &rig{base, s}
}

func (r *rig) url(streamID string) string {
	return fmt.Sprintf("srt://%s?streamid=%s", r.server.Addr(), streamID)
}

// publishing are ffmpeg's arguments for a test stream.
func publishing(url string, seconds int, extra ...string) []string {
	return servetest.Publishing("mpegts", url, seconds, extra...)
}
