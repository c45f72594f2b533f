package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/coder/websocket"

	"glimpse/internal/control/auth"
	"glimpse/internal/control/session"
	"glimpse/internal/control/tap"
	"glimpse/internal/strangers"
	"glimpse/protocol"
)

// ServeApp is the handler of /app-ws.
func (g *Gateway) ServeApp(w http.ResponseWriter, r *http.Request) {
	g.serve(w, r, g.cfg.AppIdle, func(ctx context.Context, c *connection) {
		link := g.greetApp(ctx, c, r)
		if link == nil {
			g.refused.Add(1)
			return
		}
		strangers.Known(r.Context())
		g.apps.Add(1)
		defer g.apps.Add(-1)
		defer link.Gone(g.ctx)
		c.ws.SetReadLimit(limitAfter)
		for {
			text, frame, err := c.read(ctx)
			if err != nil {
				if !goodbye(err) {
					g.log.Debug("app socket ended", "remote", r.RemoteAddr, "error", err)
				}
				return
			}
			if !text { // apps have nothing binary to say
				continue
			}
			if link.Receive(ctx, frame) != nil {
				return
			}
		}
	})
}

// greetApp reads the first frame, which must come within AuthTimeout, and
// attaches the socket to its session. It returns nil after a refusal.
func (g *Gateway) greetApp(ctx context.Context, c *connection, r *http.Request) *session.AppLink {
	late := time.AfterFunc(g.cfg.AuthTimeout, func() {
		c.out.Close(int(websocket.StatusTryAgainLater), "no init in time")
	})
	defer late.Stop()
	text, frame, err := c.read(ctx)
	if err != nil {
		return nil
	}
	var init protocol.AppInit
	if !text || session.Decode(frame, &init) != nil ||
		(init.Type != protocol.TypeAppInit && init.Type != protocol.TypeReconnect) {
		c.refuse(protocol.TypeAppError, protocol.CodeMalformedMessage, "The first message must be "+protocol.TypeAppInit,
			websocket.StatusProtocolError)
		return nil
	}
	hello, key, mini := identify(&init, r.Header)
	c.out.tapped.belongs(g.sessions.Owner(hello.SessionID), tap.App, hello.Package)
	if !g.knows(c, r, hello.Package, key) {
		c.out.tapped.passed(true, websocket.MessageText, frame)
		c.out.tapped.refused("wrong API key")
		return nil
	}
	c.out.tapped.connected()
	c.out.tapped.passed(true, websocket.MessageText, frame)
	link, err := g.sessions.AttachApp(ctx, hello, c.out)
	if err == nil {
		return link
	}
	var refusal *session.Refusal
	if !errors.As(err, &refusal) { // we go down, or the peer has gone
		c.out.Close(int(websocket.StatusServiceRestart), "server restarting")
		return nil
	}
	g.log.Info("app refused", "app", hello.Package, "code", refusal.Code)
	c.out.tapped.refused(refusal.Text)
	if mini { // anything but NOT_RUNNING would make it knock on
		c.refuse(protocol.TypeReconnectRejected, protocol.CodeNotRunning, refusal.Text, websocket.StatusNormalClosure)
	} else {
		c.refuse(protocol.TypeAppError, refusal.Code, refusal.Text, websocket.StatusNormalClosure)
	}
	return nil
}

// knows checks the API key and refuses the socket when it is wrong. Whoever
// tries too many for one app from one address is put off without a check; the
// close code then says "later", since the app itself may be behind it.
func (g *Gateway) knows(c *connection, r *http.Request, pkg, key string) bool {
	from := auth.AddressKey(r.RemoteAddr) + " " + pkg // apps behind one address do not hurt each other
	if !g.bad.Allowed(from) {
		c.out.Close(int(websocket.StatusTryAgainLater), "too many wrong keys")
		return false
	}
	if g.keys.CheckKey(pkg, key) {
		return true
	}
	g.bad.Failed(from)
	g.log.Warn("app refused: bad API key", "remote", r.RemoteAddr)
	c.refuse(protocol.TypeAppError, protocol.CodeInvalidAPIKey, "Invalid API key", websocket.StatusPolicyViolation)
	return false
}

// identify takes an app's identity from its first frame and, where that is
// silent, from the upgrade's headers, which only a MiniAppServer sends.
func identify(init *protocol.AppInit, h http.Header) (hello session.AppHello, key string, mini bool) {
	first := func(a, b string) string {
		if a != "" {
			return a
		}
		return b
	}
	mini = init.SDKVersion != "" || h.Get("x-session-id") != "" || h.Get("x-package-name") != ""
	hello = session.AppHello{
		SessionID: first(init.SessionID, h.Get("x-session-id")),
		Package:   first(init.PackageName, h.Get("x-package-name")),
		Mini:      mini,
	}
	if user := auth.UserID(h.Get("x-user-id")); hello.SessionID == "" && user != "" {
		hello.SessionID = user + "-" + hello.Package
	}
	return hello, first(init.APIKey, h.Get("x-api-key")), mini
}

// refuse queues an error message and the close that follows it.
func (c *connection) refuse(typ string, code protocol.Code, text string, closing websocket.StatusCode) {
	frame, err := json.Marshal(&protocol.ErrorMessage{
		Envelope: protocol.Envelope{Type: typ, Timestamp: protocol.Time{Time: time.Now()}},
		Code:     string(code), Message: text,
	})
	if err == nil { // plain strings always can be written
		c.out.Send(frame)
	}
	c.out.Close(int(closing), text)
}
