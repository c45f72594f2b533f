package api

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"reflect"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"glimpse/internal/control/auth"
	"glimpse/internal/control/tap"
)

// Times of a tap's answer.
const (
	tapBeat  = 10 * time.Second // an empty line comes when nothing else does
	tapWrite = 10 * time.Second // a reader that stands still for so long is cut off
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
		return nil, problem(http.StatusServiceUnavailable, codeDraining, "The server is shutting down.")
	}
	a.log.Info("tap opened", "user", user)
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		defer a.log.Info("tap closed", "user", user)
		defer t.Close()
		hc.SetHeader("Content-Type", "application/x-ndjson")
		hc.SetHeader("X-Accel-Buffering", "no") // proxies pass lines on at once
		hc.SetStatus(http.StatusOK)
		if w, ok := hc.BodyWriter().(http.ResponseWriter); ok {
			writeTap(hc.Context(), w, t)
		}
	}}, nil
}

// writeTap writes a tap's events until it ends, the caller hangs up or stands
// still.
func writeTap(ctx context.Context, w http.ResponseWriter, t *tap.Tap) {
	out := http.NewResponseController(w)
	lines := json.NewEncoder(w)
	lines.SetEscapeHTML(false)
	var events []tap.Event
	for {
		_ = out.SetWriteDeadline(time.Now().Add(tapWrite)) // not every writer has one
		var err error
		for _, e := range events {
			err = errors.Join(err, lines.Encode(e))
		}
		if len(events) == 0 { // at the start and as a beat
			_, err = io.WriteString(w, "\n")
		}
		if errors.Join(err, out.Flush()) != nil {
			return
		}
		wait, cancel := context.WithTimeout(ctx, tapBeat)
		events, err = t.Next(wait)
		cancel()
		if ctx.Err() != nil || errors.Is(err, io.EOF) {
			return
		}
	}
}
