package api

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"time"

	"glimpse/internal/control/session"
	"glimpse/protocol"
)

// The calls of phones (WIRE b.3) beside start and stop of an app.

// mountPhone adds the calls of phones.
func (a *API) mountPhone(mux *http.ServeMux) {
	for _, prefix := range []string{"/apps", "/api/apps"} { // phones use both
		mux.HandleFunc("GET "+prefix, a.phoneApps)
		mux.HandleFunc("POST "+prefix+"/{pkg}/start", a.phoneApp(true))
		mux.HandleFunc("POST "+prefix+"/{pkg}/stop", a.phoneApp(false))
	}
	mux.HandleFunc("POST /api/client/device/state", a.phoneDevice)
}

// phoneApps lists the apps that a wearer can start.
func (a *API) phoneApps(w http.ResponseWriter, r *http.Request) {
	type entry struct {
		Package     string          `json:"packageName"`
		Name        string          `json:"name"`
		Type        string          `json:"appType"`
		Permissions []appPermission `json:"permissions"`
		Running     bool            `json:"is_running"`
	}
	user, p := a.coreUser(r)
	if p != nil {
		writeFailure(w, p)
		return
	}
	running := a.deps.Wearers.RunningApps(r.Context(), user)
	list := []entry{}
	for _, app := range a.deps.Apps.List() {
		list = append(list, entry{
			Package: app.Package, Name: app.Package, Type: "standard",
			Permissions: showPermissions(app), Running: slices.Contains(running, app.Package),
		})
	}
	writeJSON(w, http.StatusOK, map[string]any{"success": true, "data": list})
}

// phoneDevice takes what a phone says of the glasses, only what changed.
func (a *API) phoneDevice(w http.ResponseWriter, r *http.Request) {
	user, p := a.coreUser(r)
	if p != nil {
		writeFailure(w, p)
		return
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(sdkTime)) // a recorder has none
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var tooLong *http.MaxBytesError
	if errors.As(err, &tooLong) {
		writeFailure(w, problem(http.StatusRequestEntityTooLarge, codeTooLarge, "The body is longer than 64 KiB."))
		return
	}
	var patch map[string]json.RawMessage
	if err != nil || session.Decode(raw, &patch) != nil || patch == nil {
		writeFailure(w, problem(http.StatusBadRequest, codeInvalid, "Send an object with what changed of the glasses."))
		return
	}
	state, err := a.deps.Wearers.DeviceState(r.Context(), user, patch)
	if err != nil {
		writeFailure(w, refusal(a.log, err))
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{
		"success": true, "appliedState": state, "timestamp": protocol.Time{Time: time.Now()},
	})
}
