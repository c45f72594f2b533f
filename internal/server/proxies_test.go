package server

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
)

// Only what a trusted proxy says last counts; others cannot name anybody.
func TestForwarded(t *testing.T) {
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	for name, c := range map[string]struct {
		peer    string
		said    []string
		trusted []netip.Prefix
		want    string
	}{
		"a proxy":                 {"10.1.2.3:99", []string{"203.0.113.7"}, trusted, "203.0.113.7:0"},
		"two proxies":             {"[::1]:99", []string{"198.51.100.1, 203.0.113.7, 10.9.9.9"}, trusted, "203.0.113.7:0"},
		"two headers":             {"10.1.2.3:99", []string{"203.0.113.7", "10.9.9.9"}, trusted, "203.0.113.7:0"},
		"mapped":                  {"[::ffff:10.1.2.3]:99", []string{"2001:db8::1"}, trusted, "[2001:db8::1]:0"},
		"only proxies":            {"10.1.2.3:99", []string{"10.4.4.4"}, trusted, "10.4.4.4:0"},
		"nothing said":            {"10.1.2.3:99", nil, trusted, "10.1.2.3:99"},
		"nonsense":                {"10.1.2.3:99", []string{"203.0.113.7, unknown"}, trusted, "10.1.2.3:99"},
		"nonsense behind a proxy": {"10.1.2.3:99", []string{"evil, 10.4.4.4"}, trusted, "10.4.4.4:0"},
		"a stranger":              {"192.0.2.9:99", []string{"203.0.113.7"}, trusted, "192.0.2.9:99"},
		"none trusted":            {"10.1.2.3:99", []string{"203.0.113.7"}, nil, "10.1.2.3:99"},
	} {
		got := ""
		h := forwarded(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.RemoteAddr }), c.trusted)
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = c.peer
		for _, s := range c.said {
			r.Header.Add("X-Forwarded-For", s)
		}
		h.ServeHTTP(httptest.NewRecorder(), r)
		if got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

// Whatever a client writes into the header, once the proxy added the client's own
// address it is that one; without a proxy before us the header means nothing.
func FuzzForwarded(f *testing.F) {
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	f.Add("203.0.113.7", "10.9.9.9, 10.1.1.1")
	f.Add("::ffff:10.0.0.1, , 2001:db8::1%eth0,[::1]:80", "fe80::1%25x")
	f.Add("unknown", "")
	f.Fuzz(func(t *testing.T, first, second string) {
		ask := func(peer string, said ...string) (got string) {
			h := forwarded(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.RemoteAddr }), trusted)
			r := &http.Request{RemoteAddr: peer, Header: http.Header{"X-Forwarded-For": said}}
			h.ServeHTTP(nil, r)
			if r.RemoteAddr != peer {
				t.Errorf("the server's own request now says %q", r.RemoteAddr)
			}
			return got
		}
		if got := ask("192.0.2.9:99", first, second); got != "192.0.2.9:99" {
			t.Errorf("a stranger is %q", got)
		}
		if got := ask("10.1.2.3:99", first, second, "198.51.100.4"); got != "198.51.100.4:0" {
			t.Errorf("a client of the proxy is %q", got)
		}
		got, err := netip.ParseAddrPort(ask("10.1.2.3:99", first, second))
		switch {
		case err != nil:
			t.Error(err)
		case got.Addr().Is4In6() || got.Addr().Zone() != "":
			t.Errorf("%v has two spellings", got)
		}
	})
}
