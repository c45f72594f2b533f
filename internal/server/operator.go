package server

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"

	"glimpse/internal/config"
	"glimpse/internal/control/auth"
)

// LocalURL is where a server with this configuration answers on this machine,
// or its public address when it has one. A free port (0) cannot be known.
func LocalURL(cfg config.Config) string {
	if cfg.HTTP.PublicURL != "" {
		return cfg.HTTP.PublicURL
	}
	host, port, err := net.SplitHostPort(cfg.HTTP.Addr)
	if err != nil {
		return "http://" + cfg.HTTP.Addr
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	return "http://" + net.JoinHostPort(host, port)
}

// AdminToken is the operator's token of a server with this configuration: the
// configured one or what the server has written into its data folder.
func AdminToken(cfg config.Config) (string, error) {
	path := filepath.Join(cfg.DataDir, auth.AdminTokenFile)
	if cfg.AdminToken == "" {
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("no admin token: give --token, or the server's --config or --data (%s is not there)", path)
		}
	}
	return auth.Secret(cfg.DataDir, auth.AdminTokenFile, cfg.AdminToken)
}
