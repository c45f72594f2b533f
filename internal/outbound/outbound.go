// Package outbound keeps connections that strangers can cause away from what only
// this machine or its network should reach: webhooks, restreams. Addresses are
// judged after names have been resolved, at every attempt, so neither a name nor
// a second look-up slips past. It owns nothing and has no state.
package outbound

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
)

// ErrPrivate says that a name resolved to an address that strangers may
// not make us call.
var ErrPrivate = errors.New("private address")

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

// Public says whether an address lies in the open internet.
func Public(addr netip.Addr) bool {
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

// Dialer refuses addresses that are not public with ErrPrivate, unless
// allowPrivate. The caller may set its other fields.
func Dialer(allowPrivate bool) *net.Dialer {
	if allowPrivate {
		return &net.Dialer{}
	}
	return &net.Dialer{Control: func(_, address string, _ syscall.RawConn) error {
		at, err := netip.ParseAddrPort(address)
		if err != nil {
			return fmt.Errorf("%w: %s is no address", ErrPrivate, address)
		}
		return check(at.Addr())
	}}
}

// Resolve is for libraries that dial by themselves, of which a name would be
// resolved again: it returns the first address of a host that Dialer would call.
func Resolve(ctx context.Context, host string, allowPrivate bool) (netip.Addr, error) {
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return netip.Addr{}, err
	}
	for _, addr := range found {
		if err = check(addr); err == nil || allowPrivate {
			return addr.Unmap(), nil
		}
	}
	return netip.Addr{}, err // a look-up without an error has an address
}

func check(addr netip.Addr) error {
	if Public(addr) {
		return nil
	}
	return fmt.Errorf("%w: %s is not on the public internet (outbound.allow_private permits it)", ErrPrivate, addr)
}
