package api

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"glimpse/internal/control/apps"
	"glimpse/protocol"
)

type appBody struct {
	Package     string     `json:"package"`
	URL         string     `json:"url"`
	Permissions []string   `json:"permissions"`
	ReadOnly    bool       `json:"read_only,omitempty" doc:"The app is in the configuration file."`
	Created     *time.Time `json:"created_at,omitempty"`
	APIKey      string     `json:"api_key,omitempty" doc:"Only in the answer to its creation: it is stored as a hash."`
}

type newApp struct {
	Body struct {
		Package     string   `json:"package" maxLength:"128"`
		URL         string   `json:"url" maxLength:"2048" doc:"Of the app server; webhooks go to url/webhook."`
		Permissions []string `json:"permissions,omitempty" maxItems:"16" doc:"CAMERA, MICROPHONE, …, ALL"`
		APIKey      string   `json:"api_key,omitempty" maxLength:"256" doc:"At least 8 characters; one is made when left out."`
	}
}

type appInput struct {
	Package string `path:"package" maxLength:"384"`
}

type appOutput struct{ Body appBody }

type appsOutput struct {
	Body struct {
		Apps []appBody `json:"apps"`
	}
}

func (a *API) registerApps(h huma.API) {
	huma.Register(h, operation("create-app", http.MethodPost, "/apps", "Register an app server",
		http.StatusConflict, http.StatusUnprocessableEntity), a.createApp)
	huma.Register(h, operation("list-apps", http.MethodGet, "/apps", "All registered apps"),
		func(context.Context, *struct{}) (*appsOutput, error) {
			out := &appsOutput{}
			out.Body.Apps = []appBody{}
			for _, app := range a.deps.Apps.List() {
				out.Body.Apps = append(out.Body.Apps, showApp(app))
			}
			return out, nil
		})
	huma.Register(h, operation("delete-app", http.MethodDelete, "/apps/{package}", "Remove an app and stop it for every wearer",
		http.StatusNotFound, http.StatusConflict), a.deleteApp)
}

func (a *API) createApp(ctx context.Context, in *newApp) (*appOutput, error) {
	app, key, err := a.deps.Apps.Create(ctx, apps.Spec{
		Package: in.Body.Package, URL: in.Body.URL, Permissions: in.Body.Permissions, APIKey: in.Body.APIKey,
	})
	if err != nil {
		return nil, refusal(a.log, err)
	}
	a.log.Info("app registered", "app", app.Package)
	body := showApp(app)
	body.APIKey = key
	return &appOutput{Body: body}, nil
}

func (a *API) deleteApp(ctx context.Context, in *appInput) (*struct{}, error) {
	if err := a.deps.Apps.Delete(ctx, in.Package); err != nil {
		return nil, refusal(a.log, err)
	}
	if err := a.deps.Wearers.StopApp(ctx, "", in.Package); err != nil {
		a.log.Warn("deleted app cannot be stopped", "app", in.Package, "err", err)
	}
	a.forget(ctx, []string{in.Package}, a.userIDs()) // whoever gets the name next must not read it
	a.log.Info("app removed", "app", in.Package)
	return nil, nil
}

func showApp(app apps.App) appBody {
	body := appBody{Package: app.Package, URL: app.URL, Permissions: app.Permissions, ReadOnly: app.FromConfig}
	if body.Permissions == nil {
		body.Permissions = []string{}
	}
	if !app.Created.IsZero() {
		body.Created = &app.Created
	}
	return body
}

// appPermission is an entry of the permissions call as SDKs read it (WIRE b.1).
type appPermission struct {
	Type        string `json:"type"`
	Description string `json:"description"`
	ID          string `json:"_id"`
}

// permissions answers GET /api/public/permissions/{pkg}, which SDKs ask without
// any key before they first use the camera or a microphone.
func (a *API) permissions(w http.ResponseWriter, r *http.Request) {
	app, ok := a.deps.Apps.App(r.PathValue("pkg"))
	if !ok {
		writeProblem(w, problem(http.StatusNotFound, protocol.CodePackageNotFound, "The app is not known."))
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{"packageName": app.Package, "permissions": showPermissions(app)})
}

func showPermissions(app apps.App) []appPermission {
	list := make([]appPermission, 0, len(app.Permissions))
	for _, p := range app.Permissions {
		list = append(list, appPermission{Type: p, ID: app.Package + ":" + p})
	}
	return list
}

// writeJSON answers outside the huma handlers.
func writeJSON(w http.ResponseWriter, status int, v any) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the peer may be gone
}
