package server

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"path/filepath"
	"slices"
	"time"

	"glimpse/internal/config"
	"glimpse/internal/control/api"
	"glimpse/internal/control/apps"
	"glimpse/internal/control/auth"
	"glimpse/internal/control/streams"
)

// natsDir is where the embedded store keeps its files.
func natsDir(dataDir string) string { return filepath.Join(dataDir, "nats") }

// CoreToken signs a core token for a user with the configured secret, or the
// one in the data folder, without a running server.
func CoreToken(cfg config.Config, id string) (string, error) {
	id = auth.UserID(id)
	if !auth.ValidName(id) {
		return "", fmt.Errorf("user id %q: %s", id, auth.NameRule)
	}
	secret, err := auth.Secret(cfg.DataDir, auth.CoreSecretFile, cfg.CoreTokenSecret)
	if err != nil {
		return "", err
	}
	return auth.NewCoreTokens(secret, time.Now).Sign(id)
}

// coreTokens checks tokens of phones; a valid one makes its user.
type coreTokens struct {
	tokens *auth.CoreTokens
	users  *auth.Users
	log    *slog.Logger
}

// CoreUser returns the token's user. A user who cannot be stored is served all
// the same: their phone would take a refusal for a bad token.
func (c *coreTokens) CoreUser(token string) (string, error) {
	user, err := c.tokens.CoreUser(token)
	if err != nil || user == "" {
		return user, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := c.users.Ensure(ctx, user); err != nil {
		c.log.Error("user cannot be stored", "user", user, "error", err)
	}
	return user, nil
}

// endpoints makes URLs under a base address.
func (s *Server) endpoints(base string) api.Endpoints {
	return s.Info().Endpoints(base)
}

// candidates are the configured hosts, the public address's and the domain.
func (s *Server) candidates() []string {
	hosts := slices.Clone(s.cfg.WebRTC.Hosts)
	if u, err := url.Parse(s.cfg.HTTP.PublicURL); err == nil && u.Hostname() != "" {
		hosts = append(hosts, u.Hostname())
	}
	if s.cfg.HTTPS.Domain != "" {
		hosts = append(hosts, s.cfg.HTTPS.Domain)
	}
	return hosts
}

func userIDs(users []config.User) []string {
	var ids []string
	for _, u := range users {
		ids = append(ids, u.ID)
	}
	return ids
}

func appSpecs(list []config.App) []apps.Spec {
	var specs []apps.Spec
	for _, a := range list {
		specs = append(specs, apps.Spec{Package: a.Package, APIKey: a.APIKey, URL: a.URL, Permissions: a.Permissions})
	}
	return specs
}

func configured(list []config.Stream) []streams.Configured {
	var c []streams.Configured
	for _, s := range list {
		to := streams.Configured{Name: s.Name, IngestKey: s.IngestKey, PlaybackID: s.PlaybackID, Passphrase: s.Passphrase, Record: s.Record}
		for _, d := range s.Restream {
			to.Restream = append(to.Restream, streams.Output{URL: d.URL, Name: d.Name})
		}
		c = append(c, to)
	}
	return c
}
