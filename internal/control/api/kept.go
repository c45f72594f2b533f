package api

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"

	"glimpse/protocol"
)

// keptTime is what one call of an app about recordings may take.
const keptTime = 20 * time.Second

// KeptHandles reports whether a path below a stream's page is for apps that
// record it or make clips. It looks at its form only.
func KeptHandles(rest string) bool { return rest == "recording" || rest == "clips" }

// ServeKept answers apps that hold a stream's address: POST and DELETE recording
// start and stop it, POST clips makes a clip. Whoever may have its pictures may
// keep them; stream is its id, empty when nobody knows it.
func (a *API) ServeKept(w http.ResponseWriter, r *http.Request, stream, rest string) {
	app, p := a.PictureApp(r)
	if p != nil {
		writeProblem(w, p)
		return
	}
	if app == operatorName {
		app = ""
	}
	if stream == "" {
		writeProblem(w, problem(http.StatusNotFound, protocol.CodeStreamNotFound, "There is no such stream."))
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), keptTime)
	defer cancel()
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	rec, status, err := a.keep(ctx, r, app, stream, rest)
	if err != nil {
		writeProblem(w, refusal(a.log, err))
		return
	}
	writeJSON(w, status, a.endpoints(a.requestBase(r)).recording(rec))
}

// keep does what an app asks.
func (a *API) keep(ctx context.Context, r *http.Request, app, stream, rest string) (rec Recording, status int, err error) {
	switch {
	case rest == "clips" && r.Method == http.MethodPost:
		var body clipBody
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil && !errors.Is(err, io.EOF) {
			return rec, 0, problem(http.StatusBadRequest, codeInvalid, `Send {"last": seconds}, or {"from": time, "to": time}.`)
		}
		spec, err := body.spec()
		if err != nil {
			return rec, 0, err
		}
		spec.Stream, spec.By = stream, app
		rec, err = a.deps.Clips.Clip(ctx, spec)
		return rec, http.StatusCreated, err
	case rest == "recording" && (r.Method == http.MethodPost || r.Method == http.MethodDelete):
		on := r.Method == http.MethodPost
		now, err := a.deps.Recordings.Record(ctx, stream, app, on)
		if err != nil {
			return rec, 0, err
		}
		if now == nil {
			return rec, 0, problem(http.StatusConflict, codeNotRecorded, "The stream is not being recorded.")
		}
		if on {
			return *now, http.StatusCreated, nil
		}
		return *now, http.StatusOK, nil
	}
	return rec, 0, problem(http.StatusMethodNotAllowed, codeInvalid, "POST starts or makes, DELETE of recording stops.")
}
