package api

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"glimpse/internal/control/session"
	"glimpse/protocol"
)

// fakeOutputs answers with what the test wants and notes every change.
type fakeOutputs struct {
	mu      sync.Mutex
	refuse  error
	check   OutputCheck
	changes []string
}

func (f *fakeOutputs) ID(_, url string) string { return "id-of-" + url[strings.LastIndex(url, "/")+1:] }

func (f *fakeOutputs) Change(_ context.Context, c OutputChange) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.changes = append(f.changes, fmt.Sprintf("%s %s %d %s %s %s", c.Stream, c.App, c.Do, c.ID, c.URL, c.Name))
	return f.refuse
}

func (f *fakeOutputs) Check(_ context.Context, url, _ string) (*OutputCheck, error) {
	if !strings.HasPrefix(url, "rtmp") {
		return nil, errors.New("a destination must be rtmp://")
	}
	return &f.check, nil
}

// The operator may do everything with outputs, an app what concerns its own; the
// refusals have the codes of the real cloud.
func TestOutputs(t *testing.T) {
	b := newBench(t, Config{})
	b.media.open["m1"] = Live{ID: "m1", Wearer: "fixed@example.com", Outputs: []Output{
		{ID: "id-of-k1", Status: "active", Apps: []string{"com.fixed"}}, {ID: "id-of-k2", Status: "retrying", Apps: []string{"com.other"}},
	}}
	app := []string{"Authorization", "Bearer com.fixed:fixed-key"}
	const all = "/api/v1/streams/m1/outputs"
	if list := b.expect(b.call("GET", all, ""), 200, "")["outputs"].([]any); len(list) != 2 {
		t.Errorf("the operator sees %v", list)
	}
	if list := b.expect(b.call("GET", all, "", app...), 200, "")["outputs"].([]any); len(list) != 1 {
		t.Errorf("an app sees %v", list)
	}
	b.expect(b.call("GET", all+"/id-of-k2", "", app...), 404, protocol.CodeOutputNotFound)
	b.expect(b.call("GET", all+"/id-of-k2", ""), 200, "")
	b.expect(b.call("GET", "/api/v1/streams/none/outputs", ""), 404, protocol.CodeStreamNotFound)
	b.expect(b.call("POST", all, `{"url":"rtmp://x/app/k1","name":"X"}`), 201, "")
	b.expect(b.call("POST", all, `{"url":"rtmp://x/app/k1"}`, app...), 201, "")
	b.expect(b.call("PATCH", all+"/id-of-k1", `{"paused":true}`, app...), 200, "")
	b.expect(b.call("PATCH", all+"/id-of-k1", `{"paused":false}`), 200, "")
	b.expect(b.call("DELETE", all+"/id-of-k2", ""), 204, "")
	want := "m1  1  rtmp://x/app/k1 X|m1 com.fixed 1  rtmp://x/app/k1 |m1 com.fixed 3 id-of-k1  |m1  4 id-of-k1  |m1  2 id-of-k2  "
	if got := strings.Join(b.outputs.changes, "|"); got != want {
		t.Errorf("changes\n%s, want\n%s", got, want)
	}
	for code, status := range map[protocol.Code]int{
		protocol.CodeStreamNotFound: 404, protocol.CodeNotViewer: 403, protocol.CodeMaxOutputs: 409, protocol.CodeMaxAppOutputs: 409,
		protocol.CodeDuplicateURL: 409, protocol.CodeOutputNotFound: 404, protocol.CodeNotOwner: 403, protocol.CodeInvalidURL: 422,
		protocol.CodeInternal: 500,
	} {
		b.outputs.refuse = &session.Refusal{Code: code, Text: "No"}
		b.expect(b.call("POST", all, `{"url":"rtmp://x/app/k1"}`), status, code)
		b.expect(b.call("DELETE", all+"/id-of-k1", "", app...), status, code)
	}
	if strings.Contains(b.log.String(), "rtmp://") {
		t.Errorf("the log has an address:\n%s", b.log)
	}
}

// An app's key opens the outputs alone, and a wrong one nothing.
func TestOutputsAreForApps(t *testing.T) {
	b := newBench(t, Config{})
	app := []string{"Authorization", "Bearer com.fixed:fixed-key"}
	for _, path := range []string{"/api/v1/streams", "/api/v1/streams/x", "/api/v1/streams/outputs", "/api/v1/streams/x/outputsx"} {
		b.expect(b.call("GET", path, "", app...), 401, codeUnauthorized)
	}
	b.expect(b.call("GET", "/api/v1/streams/x/outputs", "", "Authorization", "Bearer com.fixed:wrong"), 401, protocol.CodeInvalidAPIKey)
	b.expect(b.call("GET", "/api/v1/streams/x/outputs", "", "Authorization", "Bearer com.none:fixed-key"), 401, codeUnauthorized)
}

// A check tells where it ended; a destination may be added only if it passes.
func TestOutputCheck(t *testing.T) {
	b := newBench(t, Config{})
	b.media.open["m1"] = Live{ID: "m1", Outputs: []Output{{ID: "id-of-k1"}}}
	b.outputs.check = OutputCheck{At: time.Now(), Error: "refused", Stages: []CheckStage{{Name: "dns"}, {Name: "tcp", Error: "refused"}}}
	got := b.expect(b.call("POST", "/api/v1/outputs/check", `{"url":"rtmp://x/app/k1"}`), 200, "")
	if got["ok"] != false || got["error"] != "refused" || len(got["stages"].([]any)) != 2 {
		t.Errorf("check: %v", got)
	}
	b.expect(b.call("POST", "/api/v1/streams/m1/outputs", `{"url":"rtmp://x/app/k1","check":true}`), 502, protocol.CodeDestination)
	if b.outputs.changes != nil {
		t.Errorf("added all the same: %v", b.outputs.changes)
	}
	b.outputs.check = OutputCheck{OK: true, Stages: []CheckStage{}}
	b.expect(b.call("POST", "/api/v1/streams/m1/outputs", `{"url":"rtmp://x/app/k1","check":true}`), 201, "")
	b.expect(b.call("POST", "/api/v1/outputs/check", `{"url":"http://x"}`), 422, protocol.CodeInvalidURL)
}
