//go:build !unix

package server

import "net"

// withSpare does nothing where descriptors have no limit of their own.
func withSpare(l *net.TCPListener) net.Listener { return l }
