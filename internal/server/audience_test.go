package server

import "testing"

func TestNetwork(t *testing.T) {
	for remote, want := range map[string]string{
		"203.0.113.77:1234": "203.0.113.0/24", "203.0.113.77": "203.0.113.0/24", "[::ffff:203.0.113.77]:1": "203.0.113.0/24",
		"[2001:db8:1:2::3]:443": "2001:db8:1::/48", "2001:db8:1:2::3": "2001:db8:1::/48", "[fe80::1%eth0]:1": "fe80::/48", "": "", "nonsense": "",
	} {
		if got := network(remote); got != want {
			t.Errorf("%s is shown as %q, want %q", remote, got, want)
		}
	}
}
