package e2e

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"glimpse/protocol"
	"glimpse/sdk"
)

// glimpse runs a command of the operator's and returns what it prints and its exit
// status.
func (c *cloud) glimpse(args ...string) (string, int) {
	c.t.Helper()
	cmd := exec.Command(binary, append(args, "--server", c.url, "--token", c.token)...)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		c.t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// The operator tries, adds, pauses and removes a destination by the command line
// and by the dashboard, which also show who watches and what became of a stream.
func TestOutputsForPeople(t *testing.T) {
	parallel(t, browsers)
	sink, c := startCloud(t, ""), startCloud(t, "outbound: {allow_private: true}\n")
	s, to, second := c.newStream(), sink.newStream(), sink.newStream()
	if out, code := c.glimpse("outputs", "check", to.Ingest["rtmp"]); code != 0 || !strings.Contains(out, "rtmp ") || strings.Contains(out, to.Ingest["rtmp"]) {
		t.Errorf("check: %d\n%s", code, out)
	}
	if out, code := c.glimpse("outputs", "check", fmt.Sprintf("rtmp://127.0.0.1:%d/live/k", freePort(t))); code != 1 || !strings.Contains(out, "refused") {
		t.Errorf("check of nobody: %d\n%s", code, out)
	}
	publisher := publish(t, s.Ingest["rtmp"])
	c.wantStatus(s.ID, "live")
	if out, code := c.glimpse("outputs", "add", s.ID, to.Ingest["rtmp"], "--name", "First"); code != 0 || !strings.Contains(out, "First") {
		t.Fatalf("add: %d\n%s", code, out)
	}
	if out, code := c.glimpse("outputs", "add", s.ID, to.Ingest["rtmp"]); code != 1 || !strings.Contains(out, "DUPLICATE_URL") {
		t.Errorf("add twice: %d\n%s", code, out)
	}
	sink.wantStatus(to.ID, "live")
	id := c.sent(s.ID).Outputs[0].ID
	if out, code := c.glimpse("outputs", "pause", s.ID, id); code != 0 || !strings.Contains(out, id) {
		t.Errorf("pause: %d\n%s", code, out)
	}
	eventually(t, "it is paused", func() bool { return c.sent(s.ID).output("First").Status == "stopped" })
	if out, code := c.glimpse("outputs", "resume", s.ID, id, "--json"); code != 0 || !strings.HasPrefix(out, "{") {
		t.Errorf("resume: %d\n%s", code, out)
	}

	b := startBrowser(t)
	m, _ := c.waitLine(`(http://127\.0\.0\.1:\d+/#token=\S+)`, 0)
	b.do(nil, "open", "dashboard", m[1])
	b.do(nil, "click", "dashboard", "summary:has-text('Sent on')")
	b.do(nil, "fill", "dashboard", ".stream details input[type=password]", second.Ingest["rtmp"])
	b.do(nil, "click", "dashboard", ".stream details button:has-text('Try')")
	text := func(want string) {
		t.Helper()
		var said string
		eventually(t, "the dashboard says "+want, func() bool {
			b.do(&said, "text", "dashboard")
			return strings.Contains(said, want)
		})
	}
	text("It answers as it should.")
	b.do(nil, "click", "dashboard", ".stream details button:has-text('Send there')")
	text("to 2, 2 of them now")
	sink.wantStatus(second.ID, "live")
	start(t, "a viewer", nil, "ffmpeg", "-hide_banner", "-nostdin", "-loglevel", "warning", "-i", s.Play["rtmp"], "-c", "copy", "-f", "null", "-")
	b.do(nil, "click", "dashboard", "summary:has-text('Viewers')")
	text("127.0.0.0/24")
	b.shot("dashboard", "dashboard-outputs.png")
	publisher.stop()
	c.api("DELETE", "/api/v1/streams/"+s.ID, nil, nil)
	text("Reports")
	b.do(nil, "click", "dashboard", ".reports summary")
	text("viewers at most")
	b.shot("dashboard", "dashboard-report.png")
	b.wantNoFaults("dashboard")
	list, code := c.glimpse("reports")
	if code != 0 || !strings.Contains(list, s.ID) {
		t.Errorf("reports: %d\n%s", code, list)
	}
	eventually(t, "the report is finished", func() bool { l := c.reports(s.ID); return len(l) == 1 && l[0].End == "over" })
	if out, code := c.glimpse("reports", c.reports(s.ID)[0].ID); code != 0 || !strings.Contains(out, "First") || !strings.Contains(out, "H.264 640x360") {
		t.Errorf("one report: %d\n%s", code, out)
	}
	if out, code := c.glimpse("reports", "nothing"); code != 1 || !strings.Contains(out, "NOT_FOUND") {
		t.Errorf("no report: %d\n%s", code, out)
	}
}

// shot keeps a picture of a page where GLIMPSE_SHOTS says, to be looked at.
func (b *browser) shot(page, name string) {
	if dir := os.Getenv("GLIMPSE_SHOTS"); dir != "" {
		b.do(nil, "screenshot", page, filepath.Join(dir, name))
	}
}

// A Go app adds, pauses and removes destinations of its managed stream while it
// runs; of the operator's it hears nothing, and touching them is refused.
func TestOutputsBySDK(t *testing.T) {
	parallel(t, others)
	const user, pkg = "wearer@example.com", "com.example.outputs"
	port := freePort(t)
	sink := startCloud(t, "")
	c := startCloud(t, "outbound: {allow_private: true}\napps:\n"+appConfig(pkg, port, "CAMERA")+"users:\n  - {id: "+user+"}\n")
	streams := make(chan *sdk.Stream, 1)
	app, err := sdk.New(sdk.Config{Package: pkg, APIKey: apiKey, OnSession: func(ctx context.Context, s *sdk.Session) error {
		stream, err := s.StartManaged(ctx, sdk.ManagedOptions{})
		if err != nil {
			t.Error(err)
			close(streams)
			return err
		}
		streams <- stream
		<-ctx.Done()
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Addr: fmt.Sprintf("127.0.0.1:%d", port), Handler: app}
	listener, err := net.Listen("tcp", server.Addr)
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { app.Close(); server.Close() })
	c.startGlasses(t, user)
	if code := c.api("POST", "/api/v1/users/"+user+"/apps/"+pkg+"/start", nil, nil); code >= 300 {
		t.Fatal(code)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	stream, ok := <-streams
	if !ok {
		return
	}
	to, theirs := sink.newStream(), sink.newStream()
	o, err := stream.AddOutput(ctx, protocol.Destination{URL: to.Ingest["rtmp"], Name: "mine"})
	if err != nil || o.Name != "mine" || o.ID == "" || strings.Contains(o.URL, to.Ingest["rtmp"]) {
		t.Fatalf("%+v, %v", o, err)
	}
	if _, err := stream.AddOutput(ctx, protocol.Destination{URL: to.Ingest["rtmp"]}); !errors.Is(err, sdk.ErrDuplicateURL) {
		t.Errorf("twice: %v", err)
	}
	var operators output
	c.api("POST", "/api/v1/streams/"+stream.ID()+"/outputs", map[string]string{"url": theirs.Ingest["rtmp"]}, &operators)
	sink.wantStatus(to.ID, "live")
	sink.wantStatus(theirs.ID, "live")
	eventually(t, "the app hears that it is sent there", func() bool {
		st := stream.Status()
		return len(st.Outputs) == 1 && st.Outputs[0].Status == protocol.StatusActive
	})
	if list, err := stream.Outputs(ctx); err != nil || len(list) != 1 || list[0].Status != "active" || list[0].Since.After(time.Now()) {
		t.Errorf("%+v, %v", list, err)
	}
	var refused *sdk.Error
	if err := stream.RemoveOutput(ctx, operators.ID); !errors.As(err, &refused) || refused.Code != protocol.CodeNotOwner {
		t.Errorf("the operator's: %v", err)
	}
	if o, err := stream.PauseOutput(ctx, o.ID, true); err != nil || o.ID == "" {
		t.Errorf("pause: %+v, %v", o, err)
	}
	sink.wantStatus(to.ID, "interrupted")
	if err := stream.RemoveOutput(ctx, o.ID); err != nil {
		t.Error(err)
	}
	if err := stream.RemoveOutput(ctx, o.ID); !errors.Is(err, sdk.ErrNoOutput) {
		t.Errorf("removed twice: %v", err)
	}
	if now := c.sent(stream.ID()).Outputs; len(now) != 1 || now[0].ID != operators.ID || now[0].Status != "active" {
		t.Errorf("left over: %+v", now)
	}
}
