package api

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"reflect"

	"github.com/danielgtaylor/huma/v2"

	"glimpse/internal/control/auth"
	"glimpse/internal/control/tap"
)

const tapText = `One JSON object a line (application/x-ndjson), as long as the caller listens; an empty line every 10 s when nothing passes.
Kinds: message, connect, close, refused; lost says how many lines a slow caller missed. API keys, stream keys, tokens and
addresses' queries are cut, playback ids shortened. The wearer need not be here yet.`

func (a *API) registerTap(h huma.API) {
	op := operation("tap-wearer", http.MethodGet, "/wearers/{user}/tap",
		"A wearer's websocket messages, both ways, as they pass", http.StatusConflict, http.StatusUnprocessableEntity, http.StatusServiceUnavailable)
	op.Description = tapText
	schema := h.OpenAPI().Components.Schemas
	op.Responses = map[string]*huma.Response{"200": {
		Description: "Lines, until the caller hangs up or the server goes down.",
		Content: map[string]*huma.MediaType{
			"application/x-ndjson": {Schema: huma.SchemaFromType(schema, reflect.TypeFor[tap.Event]())},
		},
	}}
	huma.Register(h, op, a.tap)
}

func (a *API) tap(_ context.Context, in *wearerInput) (*huma.StreamResponse, error) {
	user := auth.UserID(in.User)
	if !auth.ValidName(user) {
		return nil, problem(http.StatusUnprocessableEntity, codeInvalid, "The user "+auth.NameRule+".")
	}
	t, err := a.deps.Taps.Watch(user)
	switch {
	case errors.Is(err, tap.ErrFull):
		return nil, problem(http.StatusConflict, codeLimit, "Too many taps are open.")
	case err != nil:
		return nil, problem(http.StatusServiceUnavailable, codeDraining, textDraining)
	}
	a.log.Info("tap opened", "user", user)
	return following[tap.Event]{
		contentType: "application/x-ndjson", next: t.Next,
		write: func(w io.Writer, e tap.Event) error {
			line := json.NewEncoder(w)
			line.SetEscapeHTML(false)
			return line.Encode(e)
		},
		beat: func(w io.Writer) error { _, err := io.WriteString(w, "\n"); return err },
		done: func() {
			t.Close()
			a.log.Info("tap closed", "user", user)
		},
	}.response(), nil
}

// textDraining is why nothing new is followed.
const textDraining = "The server is shutting down."
