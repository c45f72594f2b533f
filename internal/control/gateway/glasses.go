package gateway

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/coder/websocket"

	"glimpse/internal/control/auth"
	"glimpse/internal/control/tap"
	"glimpse/internal/strangers"
	"glimpse/protocol"
)

// ServeGlasses is the handler of /glasses-ws. The core token comes as a bearer
// or as ?token=; without a valid one the upgrade is refused with 401.
func (g *Gateway) ServeGlasses(w http.ResponseWriter, r *http.Request) {
	user, problem := g.coreUser(r)
	if problem != "" {
		g.refused.Add(1)
		g.log.Warn("phone refused", "remote", r.RemoteAddr, "reason", problem)
		refuseUpgrade(w, problem)
		return
	}
	strangers.Known(r.Context())
	g.serve(w, r, g.cfg.PhoneIdle, func(ctx context.Context, c *connection) {
		c.out.tapped.belongs(user, tap.Glasses, "")
		c.out.tapped.connected()
		link, err := g.sessions.AttachPhone(ctx, user, reachedBy(r), c.out)
		if err != nil {
			g.refused.Add(1)
			g.log.Warn("phone cannot be served", "user", user, "error", err)
			c.out.Close(int(websocket.StatusServiceRestart), "server restarting")
			return
		}
		g.phones.Add(1)
		defer g.phones.Add(-1)
		defer link.Gone(g.ctx)
		c.ws.SetReadLimit(limitAfter)
		for {
			text, frame, err := c.read(ctx)
			if err != nil {
				if !goodbye(err) {
					g.log.Debug("phone socket ended", "user", user, "error", err)
				}
				return
			}
			if text {
				err = link.Receive(ctx, frame)
			} else {
				err = link.ReceiveAudio(ctx, frame)
			}
			if err != nil {
				return
			}
		}
	})
}

// coreUser finds the wearer whom a request's token names. A problem is the
// sentence that the phone is told.
func (g *Gateway) coreUser(r *http.Request) (user, problem string) {
	token, found := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !found {
		token = r.URL.Query().Get("token")
	}
	if token == "" {
		return "", auth.TextNoToken
	}
	named, err := g.tokens.CoreUser(token)
	if err != nil {
		return "", auth.TextInvalidToken
	}
	if user = auth.UserID(named); !auth.ValidName(user) {
		return "", auth.TextNoUserID
	}
	return user, ""
}

// refuseUpgrade answers 401 in the words that phones know.
func refuseUpgrade(w http.ResponseWriter, problem string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusUnauthorized)
	_ = json.NewEncoder(w).Encode(&protocol.ErrorMessage{ // the peer may be gone
		Envelope: protocol.Envelope{Type: protocol.TypeConnectionError, Timestamp: protocol.Time{Time: time.Now()}},
		Message:  problem,
	})
}

// reachedBy is the address under which a request reached us.
func reachedBy(r *http.Request) string {
	if r.TLS != nil {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}
