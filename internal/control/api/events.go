package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"glimpse/internal/control/auth"
	"glimpse/internal/control/events"
)

const eventsText = `Server-sent events: each has an id and, as its data, one JSON object on one line; there is no event field, so that one
handler sees all types. A message with an id and no data comes at the beginning and every 10 s when nothing happens.

Whoever comes back sends the last id as Last-Event-ID, as browsers do by themselves, or as after; the header is the newer
one and wins. after=0 begins with the oldest event that is kept. The newest 4,096 are kept, in memory. Where some are
missing, because the caller was away for too long or too slow or the server has restarted, an event of type gap comes first:
what is followed should then be read anew. Filters never leave a gap out. Events of one wearer beyond 256 in 10 s are left
out, and counted by events.suppressed.

Types: `

type eventsInput struct {
	Types  []string `query:"type" maxItems:"32" doc:"Only these, \"stream.*\" for all that begin so; separated by commas."`
	Wearer string   `query:"wearer" maxLength:"384" doc:"Only of this user."`
	Stream string   `query:"stream" maxLength:"128" doc:"Only of the stream with this id."`
	After  int64    `query:"after" minimum:"0" doc:"Id of the last event that the caller has seen."`
	Last   int64    `header:"Last-Event-ID" minimum:"0" doc:"The same, from a browser that comes back."`
	fresh  bool
}

// Resolve implements huma.Resolver: no id at all means from now on.
func (in *eventsInput) Resolve(hc huma.Context) []error {
	in.fresh = hc.Query("after") == "" && hc.Header("Last-Event-ID") == ""
	if hc.Header("Last-Event-ID") != "" {
		in.After = in.Last
	}
	return nil
}

func (a *API) registerEvents(h huma.API) {
	op := operation("follow-events", http.MethodGet, "/events", "What happens on this server, as it happens",
		http.StatusConflict, http.StatusUnprocessableEntity, http.StatusServiceUnavailable)
	var types []string
	for _, t := range events.Types() {
		types = append(types, string(t))
	}
	op.Description = eventsText + strings.Join(types, ", ") + "."
	op.Responses = map[string]*huma.Response{"200": {
		Description: "Events, until the caller hangs up or the server goes down.",
		Content: map[string]*huma.MediaType{
			"text/event-stream": {Schema: huma.SchemaFromType(h.OpenAPI().Components.Schemas, reflect.TypeFor[events.Event]())},
		},
	}}
	huma.Register(h, op, a.followEvents)
}

func (a *API) followEvents(_ context.Context, in *eventsInput) (*huma.StreamResponse, error) {
	filter := events.Filter{Types: in.Types, Stream: in.Stream}
	if in.Wearer != "" {
		filter.Wearer = auth.UserID(in.Wearer)
	}
	for _, want := range in.Types {
		if !events.Known(want) {
			return nil, problem(http.StatusUnprocessableEntity, codeInvalid,
				fmt.Sprintf("No event has the type %.64q; the description of this call lists them.", want))
		}
	}
	after := in.After
	if in.fresh {
		after = -1
	}
	sub, err := a.deps.Events.Subscribe(filter, after)
	switch {
	case errors.Is(err, events.ErrFull):
		return nil, problem(http.StatusConflict, codeLimit, "Too many callers follow the events.")
	case err != nil:
		return nil, problem(http.StatusServiceUnavailable, codeDraining, textDraining)
	}
	return following[events.Event]{
		contentType: "text/event-stream", next: sub.Next, done: sub.Close,
		write: writeEvent,
		beat:  func(w io.Writer) error { _, err := fmt.Fprintf(w, "id: %d\n\n", sub.Cursor()); return err },
	}.response(), nil
}

// writeEvent writes one event; JSON has no line breaks of its own.
func writeEvent(w io.Writer, e events.Event) error {
	data, err := json.Marshal(e)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "id: %d\ndata: %s\n\n", e.ID, data)
	return err
}
