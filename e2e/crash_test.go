package e2e

import (
	"syscall"
	"testing"
)

// An app that crashes is asked back, finds its stream by checkExistingStream and
// goes on with it by starting again; meanwhile viewers notice nothing.
//
// B44
func TestAppCrash(t *testing.T) {
	t.Parallel()
	for _, style := range []string{"sdk2", "hono", "alpha", "mini"} {
		t.Run(style, func(t *testing.T) {
			t.Parallel()
			const user, pkg = "wearer@example.com", "com.example.crash"
			port := freePort(t)
			c := startCloud(t, "apps:\n"+appConfig(pkg, port, "CAMERA")+"users:\n  - {id: "+user+"}\n")
			c.startGlasses(t, user)
			a := startApp(t, style, pkg, port)
			c.startSession(a, user)
			var before, after urls
			a.do(&before, "managed", map[string]any{})

			if err := syscall.Kill(-a.cmd.Process.Pid, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			<-a.done
			a = startApp(t, style, pkg, port)
			a.wait("session", func(e event) bool { return e.Event == "session" }) // asked back
			fetchOK(t, before.HLS)
			var found struct {
				HasActiveStream bool `json:"hasActiveStream"`
				StreamInfo      struct{ StreamID string }
			}
			a.do(&found, "check")
			if !found.HasActiveStream || found.StreamInfo.StreamID != before.StreamID {
				t.Errorf("a check says %+v, want stream %s", found, before.StreamID)
			}
			a.do(&after, "managed", map[string]any{})
			if after.StreamID != before.StreamID || after.HLS != before.HLS {
				t.Errorf("went on with %+v, want %+v", after, before)
			}
			a.do(nil, "stopManaged")
			eventually(t, "the links are gone", func() bool { code, _, _ := get(t, before.HLS); return code == 404 })
		})
	}
}
