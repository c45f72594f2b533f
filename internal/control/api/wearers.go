package api

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"glimpse/internal/control/auth"
	"glimpse/internal/control/session"
	"glimpse/protocol"
)

// Wearer is somebody with a session: their phone is here, or apps run for them.
type Wearer struct {
	User    string   `json:"user"`
	Phone   bool     `json:"phone" doc:"Their phone is connected."`
	Glasses bool     `json:"glasses" doc:"Their glasses are connected to the phone."`
	Model   string   `json:"model,omitempty" doc:"Of the glasses."`
	Battery *int     `json:"battery,omitempty" doc:"Of the glasses, in percent."`
	Apps    []string `json:"apps" doc:"Packages that run."`
	Stream  string   `json:"stream,omitempty" doc:"Id of their stream."`
}

type wearerInput struct {
	User string `path:"user" maxLength:"384"`
}

type wearerAppInput struct {
	User    string `path:"user" maxLength:"384"`
	Package string `path:"package" maxLength:"384"`
}

type wearerOutput struct{ Body Wearer }

type wearersOutput struct {
	Body struct {
		Wearers []Wearer `json:"wearers"`
	}
}

type appStateOutput struct {
	Body struct {
		Status  string `json:"status" enum:"started,stopped"`
		Running bool   `json:"running"`
	}
}

func (a *API) registerWearers(h huma.API) {
	huma.Register(h, operation("list-wearers", http.MethodGet, "/wearers", "Wearers who have a session now"),
		func(ctx context.Context, _ *struct{}) (*wearersOutput, error) {
			out := &wearersOutput{}
			out.Body.Wearers = a.wearers(ctx)
			return out, nil
		})
	huma.Register(h, operation("get-wearer", http.MethodGet, "/wearers/{user}", "One of them", http.StatusNotFound),
		func(ctx context.Context, in *wearerInput) (*wearerOutput, error) {
			for _, w := range a.wearers(ctx) {
				if w.User == auth.UserID(in.User) {
					return &wearerOutput{Body: w}, nil
				}
			}
			return nil, problem(http.StatusNotFound, protocol.CodeSessionNotFound, "This user has no session now.")
		})
	start := operation("start-app", http.MethodPost, "/users/{user}/apps/{package}/start",
		"Start an app for a wearer and wait until it has connected", http.StatusNotFound, http.StatusBadGateway)
	start.DefaultStatus = http.StatusOK
	huma.Register(h, start, func(ctx context.Context, in *wearerAppInput) (*appStateOutput, error) {
		return a.operateApp(ctx, in, true)
	})
	stop := operation("stop-app", http.MethodPost, "/users/{user}/apps/{package}/stop", "Stop an app for a wearer", http.StatusNotFound)
	stop.DefaultStatus = http.StatusOK
	huma.Register(h, stop, func(ctx context.Context, in *wearerAppInput) (*appStateOutput, error) {
		return a.operateApp(ctx, in, false)
	})
}

// wearers lists the sessions in order, with no list absent.
func (a *API) wearers(ctx context.Context) []Wearer {
	list := slices.Clone(a.deps.Wearers.Wearers(ctx))
	slices.SortFunc(list, func(x, y Wearer) int { return strings.Compare(x.User, y.User) })
	for i := range list {
		if list[i].Apps == nil {
			list[i].Apps = []string{}
		}
	}
	if list == nil {
		list = []Wearer{}
	}
	return list
}

// operateApp starts or stops an app in the operator's name. The user must be
// known: a typing error must not make a session.
func (a *API) operateApp(ctx context.Context, in *wearerAppInput, start bool) (*appStateOutput, error) {
	user, ok := a.deps.Users.Get(in.User)
	if !ok {
		return nil, problem(http.StatusNotFound, codeUserNotFound,
			"The user is not known: their core token was not used yet. POST /api/v1/users adds them.")
	}
	if err := a.switchApp(ctx, user.ID, in.Package, baseOf(ctx), start); err != nil {
		return nil, refusal(a.log, err)
	}
	out := &appStateOutput{}
	out.Body.Status, out.Body.Running = appState(start)
	return out, nil
}

func (a *API) switchApp(ctx context.Context, user, pkg, base string, start bool) error {
	if _, ok := a.deps.Apps.App(pkg); !ok {
		return &session.Refusal{Code: protocol.CodePackageNotFound, Text: "The app is not known."}
	}
	if start {
		return a.deps.Wearers.StartApp(ctx, user, pkg, base)
	}
	return a.deps.Wearers.StopApp(ctx, user, pkg)
}

func appState(start bool) (status string, running bool) {
	if start {
		return "started", true
	}
	return "stopped", false
}

// phoneApp answers a phone's POST /apps/{pkg}/start and /stop (WIRE b.3).
func (a *API) phoneApp(start bool) http.HandlerFunc {
	type data struct {
		Status    string `json:"status"`
		IsRunning bool   `json:"isRunning"`
	}
	type answer struct {
		Success bool          `json:"success"`
		Data    *data         `json:"data,omitempty"`
		Code    protocol.Code `json:"code,omitempty"`
		Message string        `json:"message,omitempty"`
	}
	return func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxBody) // phones send {} or nothing; it is not read
		user, p := a.coreUser(r)
		if p == nil {
			if err := a.switchApp(r.Context(), user, r.PathValue("pkg"), a.requestBase(r), start); err != nil {
				p = refusal(a.log, err)
			}
		}
		if p != nil {
			writeJSON(w, p.Status, answer{Code: p.Code, Message: p.Detail})
			return
		}
		status, running := appState(start)
		writeJSON(w, http.StatusOK, answer{Success: true, Data: &data{Status: status, IsRunning: running}})
	}
}
