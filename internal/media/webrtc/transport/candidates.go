package transport

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"time"
)

const maxCandidates = 16

// resolveHosts turns configured hosts into addresses: literals as they are,
// names by DNS, once. A name that does not resolve is reported and left out.
func resolveHosts(hosts []string, log *slog.Logger) []netip.Addr {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	var list []netip.Addr
	for _, h := range hosts {
		if a, err := netip.ParseAddr(h); err == nil {
			list = append(list, a.Unmap())
			continue
		}
		found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", h)
		if err != nil {
			log.Warn("webrtc host does not resolve", "host", h, "error", err)
		}
		for _, a := range found {
			list = append(list, a.Unmap())
		}
	}
	return list
}

// interfaceAddresses returns the host's usable addresses, loopback last.
func interfaceAddresses() []netip.Addr {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	var list, loopback []netip.Addr
	for _, a := range all {
		n, ok := a.(*net.IPNet)
		if !ok {
			continue
		}
		addr, ok := netip.AddrFromSlice(n.IP)
		addr = addr.Unmap()
		switch {
		case !ok || addr.IsLinkLocalUnicast():
		case addr.IsLoopback():
			loopback = append(loopback, addr)
		default:
			list = append(list, addr)
		}
	}
	return append(list, loopback...)
}

// Candidates lists where a client may reach us, best first, for UDP and (on the
// same port) TCP: the configured hosts, the address by which it called us, the
// socket's own address or those of all interfaces. Loopback only for clients on
// this host. called is the Host header of its request.
func (m *Mux) Candidates(client netip.Addr, called string) []netip.AddrPort {
	var list []netip.Addr
	add := func(a netip.Addr) {
		if !slices.Contains(list, a) && len(list) < maxCandidates && (a.Is4() || m.v6) {
			list = append(list, a)
		}
	}
	for _, a := range m.hosts {
		add(a)
	}
	if !m.socket.Wild() {
		add(m.Addr().Addr())
	} else {
		local := client.IsLoopback()
		if a, err := netip.ParseAddr(hostname(called)); err == nil && (local || !a.IsLoopback()) && !a.IsUnspecified() {
			add(a.Unmap())
		}
		for _, a := range interfaceAddresses() {
			if local || !a.IsLoopback() {
				add(a)
			}
		}
	}
	ports := make([]netip.AddrPort, len(list))
	for i, a := range list {
		ports[i] = netip.AddrPortFrom(a, m.Addr().Port())
	}
	return ports
}

// hostname is the Host header without port and brackets.
func hostname(host string) string {
	if h, _, err := net.SplitHostPort(host); err == nil {
		return h
	}
	if len(host) > 1 && host[0] == '[' {
		return host[1 : len(host)-1]
	}
	return host
}
