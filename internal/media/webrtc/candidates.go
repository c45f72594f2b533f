package webrtc

import (
	"context"
	"log/slog"
	"net"
	"net/http"
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

// candidates lists where this client may reach the socket, best first: the
// configured hosts, the address in the request's Host, the socket's own address
// or those of all interfaces. Loopback only for clients on this host.
func (s *Server) candidates(r *http.Request) []netip.AddrPort {
	var list []netip.Addr
	add := func(a netip.Addr) {
		if !slices.Contains(list, a) && len(list) < maxCandidates && (a.Is4() || s.v6) {
			list = append(list, a)
		}
	}
	for _, a := range s.hosts {
		add(a)
	}
	if !s.socket.wild {
		add(s.Addr().Addr())
	} else {
		local := clientAddr(r).IsLoopback()
		if a, err := netip.ParseAddr(hostname(r.Host)); err == nil && (local || !a.IsLoopback()) && !a.IsUnspecified() {
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
		ports[i] = netip.AddrPortFrom(a, s.Addr().Port())
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

// clientAddr is the address of the client; the zero Addr when it is not one.
func clientAddr(r *http.Request) netip.Addr {
	a, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return a.Addr().Unmap()
}
