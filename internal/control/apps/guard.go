package apps

import (
	"errors"
	"fmt"
	"net/netip"
	"syscall"
)

// ErrPrivateAddress says that a name resolved to an address that strangers may
// not make us call.
var ErrPrivateAddress = errors.New("private address")

// special are the ranges beyond netip's own words that do not lead to a public
// host, or that hold another address inside (RFC 6890, 6052, 3056, 4380).
var special = func() []netip.Prefix {
	var list []netip.Prefix
	for _, p := range []string{
		"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "198.18.0.0/15", "198.51.100.0/24",
		"203.0.113.0/24", "240.0.0.0/4", "::/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/32",
		"2001:db8::/32", "2002::/16", "fec0::/10",
	} {
		list = append(list, netip.MustParsePrefix(p))
	}
	return list
}()

// public says whether an address lies in the open internet.
func public(addr netip.Addr) bool {
	addr = addr.Unmap()
	if !addr.IsGlobalUnicast() || addr.IsPrivate() {
		return false // also loopback, link-local, multicast, unspecified
	}
	for _, p := range special {
		if p.Contains(addr.WithZone("")) {
			return false
		}
	}
	return true
}

// refusePrivate is the Control of a net.Dialer: it sees the resolved address of
// every attempt, so neither a name nor a second look-up can slip past it.
func refusePrivate(_, address string, _ syscall.RawConn) error {
	addr, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%w: %s is no address", ErrPrivateAddress, address)
	}
	if !public(addr.Addr()) {
		return fmt.Errorf("%w: %s is not on the public internet; set outbound.allow_private, or put the app into the configuration file",
			ErrPrivateAddress, addr.Addr())
	}
	return nil
}
