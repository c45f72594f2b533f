package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A wearer whose phone came by HTTPS has apps that connect by wss and store by
// https, in every style, with the printed authority alone. The one address that
// SDKs always call by https, that of the permissions, is then reached: an app
// without the camera's is warned by its own SDK.
func TestAppsByTLS(t *testing.T) {
	parallel(t, others)
	const user = "wearer@example.com"
	f := newFour(t, "", "LOCATION")
	c := startCloud(t, "https: {addr: \"127.0.0.1:0\"}\n"+f.config+"users:\n  - {id: "+user+"}\n")
	m, _ := c.waitLine(`(https://127\.0\.0\.1:\d+)`, 0)
	authority := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(authority, fetchOK(t, c.url+"/ca.pem"), 0o600); err != nil {
		t.Fatal(err)
	}
	glasses := start(t, "glasses", []string{"SSL_CERT_FILE=" + authority}, binary, "glasses", "--server", m[1], "--token", c.userToken(t, user))
	glasses.waitLine(`(?i)connected`, 0)
	f.run(t, c, "", always(user), "NODE_EXTRA_CA_CERTS="+authority, "CLOUD_URL="+m[1])
	for style, a := range f.apps {
		a.do(nil, "text", "by TLS from "+style)
		glasses.waitLine("by TLS from "+style, 0)
		a.do(nil, "storeAll", map[string]string{"from": style})
		wantStored(t, a, map[string]string{"from": style})
		if e := a.result(a.send("managed", map[string]any{})); !strings.Contains(e.Error, "Camera permission required") {
			t.Errorf("%s without the camera's permission: %+v", style, e)
		}
		if style == "mini" { // takes permissions from the acknowledgement
			continue
		}
		a.waitLine(`Permission Required|requires .*microphone.* permission`, 0)
		if n := a.count(`Permission (check skipped|API returned)`); n != 0 {
			t.Errorf("%s did not reach the permissions", style)
		}
	}
}
