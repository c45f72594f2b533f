package api

import (
	"net/http"
	"strings"
	"time"

	"glimpse/internal/control/apps"
	"glimpse/protocol"
)

// operatorName is the operator's among apps; no package may be called so.
const operatorName = "(operator)"

// PictureApp returns the app that a request for a stream's pictures comes from: it
// has shown its key, as Authorization: Bearer package:key or, for programs that
// take only user and password, as Basic, and it may use the camera. The admin
// token counts too.
func (a *API) PictureApp(r *http.Request) (app string, p *Problem) {
	token, ok := bearer(r)
	if user, password, basic := r.BasicAuth(); basic {
		token, ok = user+":"+password, true
	}
	if ok && !strings.Contains(token, ":") {
		if p := a.checkToken(r.RemoteAddr, token); p != nil {
			return "", p
		}
		return operatorName, nil
	}
	app, p = a.checkApp(r, token)
	if p != nil {
		return "", p
	}
	if known, _ := a.deps.Apps.App(app); !known.Allowed(apps.PermissionCamera) {
		return "", problem(http.StatusForbidden, protocol.CodePermissionDenied, "The app needs the permission CAMERA to have pictures.")
	}
	return app, nil
}

// FrameSubscriber is an app that is given a stream's pictures.
type FrameSubscriber struct {
	App     string    `json:"app" doc:"Package, or (operator)."`
	FPS     float64   `json:"fps" doc:"Pictures a second that it asked for."`
	Width   int       `json:"width" doc:"Of the pictures; 0 before the first."`
	Height  int       `json:"height"`
	Format  string    `json:"format" enum:"jpeg,rgb,gray"`
	State   string    `json:"state" enum:"no_video,starting,running,overloaded,stopped"`
	Since   time.Time `json:"since"`
	Sent    uint64    `json:"sent"`
	Dropped uint64    `json:"dropped" doc:"Pictures that it was too slow for."`
}
