package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"glimpse/internal/control/auth"
)

type userBody struct {
	ID       string     `json:"id"`
	ReadOnly bool       `json:"read_only,omitempty" doc:"The user is in the configuration file."`
	Created  *time.Time `json:"created_at,omitempty"`
}

type newUser struct {
	Body struct {
		ID string `json:"id" maxLength:"128" doc:"An e-mail address as a rule; lower case."`
	}
}

type userInput struct {
	ID string `path:"id" maxLength:"384"`
}

type userOutput struct{ Body userBody }

type usersOutput struct {
	Body struct {
		Users []userBody `json:"users"`
	}
}

func (a *API) registerUsers(h huma.API) {
	huma.Register(h, operation("create-user", http.MethodPost, "/users", "Add a wearer",
		http.StatusConflict, http.StatusUnprocessableEntity),
		func(ctx context.Context, in *newUser) (*userOutput, error) {
			user, err := a.deps.Users.Create(ctx, in.Body.ID)
			if err != nil {
				return nil, refusal(a.log, err)
			}
			return &userOutput{Body: showUser(user)}, nil
		})
	huma.Register(h, operation("list-users", http.MethodGet, "/users", "All wearers who are known"),
		func(context.Context, *struct{}) (*usersOutput, error) {
			out := &usersOutput{}
			out.Body.Users = []userBody{}
			for _, user := range a.deps.Users.List() {
				out.Body.Users = append(out.Body.Users, showUser(user))
			}
			return out, nil
		})
	huma.Register(h, operation("delete-user", http.MethodDelete, "/users/{id}",
		"Remove a wearer; a core token of theirs stays valid and adds them again", http.StatusNotFound, http.StatusConflict),
		func(ctx context.Context, in *userInput) (*struct{}, error) {
			if err := a.deps.Users.Delete(ctx, in.ID); err != nil {
				return nil, refusal(a.log, err)
			}
			var pkgs []string
			for _, app := range a.deps.Apps.List() {
				pkgs = append(pkgs, app.Package)
			}
			a.forget(ctx, pkgs, []string{auth.UserID(in.ID)})
			return nil, nil
		})
}

// userIDs are the ids of everybody who is known.
func (a *API) userIDs() []string {
	var ids []string
	for _, user := range a.deps.Users.List() {
		ids = append(ids, user.ID)
	}
	return ids
}

func showUser(u auth.User) userBody {
	body := userBody{ID: u.ID, ReadOnly: u.FromConfig}
	if !u.Created.IsZero() {
		body.Created = &u.Created
	}
	return body
}
