package api

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"glimpse/internal/control/apps"
	"glimpse/internal/control/auth"
	"glimpse/internal/control/reports"
	"glimpse/internal/control/session"
	"glimpse/internal/control/storage"
	"glimpse/internal/control/streams"
	"glimpse/protocol"
)

// Codes of the API beside those of the protocol package.
const (
	codeNotFound     protocol.Code = "NOT_FOUND"
	codeUnauthorized protocol.Code = "UNAUTHORIZED"
	codeCSRF         protocol.Code = "CSRF"
	codeTooMany      protocol.Code = "TOO_MANY_REQUESTS"
	codeInvalid      protocol.Code = "INVALID_REQUEST"
	codeExists       protocol.Code = "ALREADY_EXISTS"
	codeReadOnly     protocol.Code = "READ_ONLY"
	codeLimit        protocol.Code = "LIMIT_REACHED"
	codeUserNotFound protocol.Code = "USER_NOT_FOUND"
	codeTooLarge     protocol.Code = "TOO_LARGE"
	codeWrongHost    protocol.Code = "WRONG_HOST"
	codeDraining     protocol.Code = "DRAINING"
)

// Problem is every error of the API (RFC 9457) with a stable code. Detail is a
// sentence for humans.
type Problem struct {
	Title  string        `json:"title"`
	Status int           `json:"status"`
	Detail string        `json:"detail"`
	Code   protocol.Code `json:"code"`
	Errors []Fault       `json:"errors,omitempty"`
}

// Fault is one of several things that are wrong with a request.
type Fault struct {
	Message  string `json:"message"`
	Location string `json:"location,omitempty"` // like body.name
}

func problem(status int, code protocol.Code, detail string) *Problem {
	return &Problem{Title: http.StatusText(status), Status: status, Detail: detail, Code: code}
}

// Error implements error.
func (p *Problem) Error() string { return string(p.Code) + ": " + p.Detail }

// GetStatus implements huma.StatusError.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType implements huma.ContentTypeFilter.
func (p *Problem) ContentType(string) string { return "application/problem+json" }

// writeProblem answers with p outside the huma handlers.
func writeProblem(w http.ResponseWriter, p *Problem) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // the peer may be gone
}

// problems is the transformer that gives the framework's own errors our shape.
// The values that the framework would echo are left out: one may be a key.
func problems(_ huma.Context, _ string, v any) (any, error) {
	e, ok := v.(*huma.ErrorModel)
	if !ok {
		return v, nil
	}
	p := problem(e.Status, frameworkCode(e.Status), sentence(e.Detail))
	for _, d := range e.Errors {
		if d != nil {
			p.Errors = append(p.Errors, Fault{Message: d.Message, Location: d.Location})
		}
	}
	if len(p.Errors) > 0 {
		p.Detail = "The request is not valid: " + p.Errors[0].Location + ": " + p.Errors[0].Message + "."
	}
	if e.Status >= http.StatusInternalServerError {
		p.Detail, p.Errors = "Something went wrong on the server; its log says what.", nil
	}
	return p, nil
}

func frameworkCode(status int) protocol.Code {
	switch {
	case status == http.StatusRequestEntityTooLarge:
		return codeTooLarge
	case status >= http.StatusInternalServerError:
		return protocol.CodeInternal
	}
	return codeInvalid
}

// describeProblem tells the description about the fields of Problem, which the
// framework would describe as its own error.
func describeProblem(doc *huma.OpenAPI) {
	model := doc.Components.Schemas.Map()["ErrorModel"]
	if model == nil {
		return
	}
	for _, unused := range []string{"type", "instance"} {
		delete(model.Properties, unused)
	}
	model.Properties["code"] = &huma.Schema{Type: huma.TypeString, Description: "A stable code for programs.", Examples: []any{"NOT_FOUND"}}
	model.Required = append(model.Required, "code", "detail", "status", "title")
	if detail := doc.Components.Schemas.Map()["ErrorDetail"]; detail != nil {
		delete(detail.Properties, "value")
	}
}

// refusals maps the registries' errors to status, code and sentence.
var refusals = []struct {
	err    error
	status int
	code   protocol.Code
}{
	{streams.ErrUnknown, http.StatusNotFound, protocol.CodeStreamNotFound},
	{streams.ErrConfig, http.StatusConflict, codeReadOnly},
	{streams.ErrInvalid, http.StatusUnprocessableEntity, codeInvalid},
	{streams.ErrFull, http.StatusConflict, codeLimit},
	{streams.ErrOutputs, http.StatusConflict, protocol.CodeMaxOutputs},
	{streams.ErrOutputExists, http.StatusConflict, protocol.CodeDuplicateURL},
	{streams.ErrOutputUnknown, http.StatusNotFound, protocol.CodeOutputNotFound},
	{streams.ErrOutputURL, http.StatusUnprocessableEntity, protocol.CodeInvalidURL},
	{apps.ErrUnknown, http.StatusNotFound, protocol.CodePackageNotFound},
	{apps.ErrConfig, http.StatusConflict, codeReadOnly},
	{apps.ErrExists, http.StatusConflict, codeExists},
	{apps.ErrInvalid, http.StatusUnprocessableEntity, codeInvalid},
	{auth.ErrUserUnknown, http.StatusNotFound, codeUserNotFound},
	{auth.ErrUserConfig, http.StatusConflict, codeReadOnly},
	{auth.ErrUserExists, http.StatusConflict, codeExists},
	{auth.ErrUserName, http.StatusUnprocessableEntity, codeInvalid},
	{ErrRecordingUnknown, http.StatusNotFound, codeRecordingGone},
	{ErrRecordingOff, http.StatusConflict, codeNeverRecorded},
	{ErrRecordingQuota, http.StatusInsufficientStorage, codeQuota},
	{ErrRecordingDisk, http.StatusInsufficientStorage, codeDiskFull},
	{ErrClipRange, http.StatusUnprocessableEntity, codeClipRange},
	{ErrClipTooLong, http.StatusUnprocessableEntity, codeInvalid},
	{ErrClipNotLive, http.StatusConflict, codeNotLive},
	{ErrClipMany, http.StatusTooManyRequests, codeTooMany},
	{ErrRecordingOpen, http.StatusConflict, codeInProgress},
	{reports.ErrUnknown, http.StatusNotFound, codeNotFound},
	{storage.ErrInvalid, http.StatusBadRequest, codeInvalid},
	{storage.ErrFull, http.StatusRequestEntityTooLarge, codeTooLarge}, // SDKs know the status
}

// refusal turns any error into a problem. What it does not know is logged and
// becomes "internal": strangers do not read our errors.
func refusal(log *slog.Logger, err error) *Problem {
	for _, r := range refusals {
		if errors.Is(err, r.err) {
			return problem(r.status, r.code, sentence(err.Error()))
		}
	}
	var p *Problem
	if errors.As(err, &p) {
		return p
	}
	var said *session.Refusal
	if errors.As(err, &said) {
		return problem(refusalStatus(said.Code), said.Code, said.Text)
	}
	switch {
	case errors.Is(err, context.Canceled): // the caller hung up and reads nothing
		return problem(http.StatusServiceUnavailable, protocol.CodeInternal, "The call was given up.")
	case errors.Is(err, context.DeadlineExceeded):
		log.Warn("api call took too long", "err", err)
		return problem(http.StatusGatewayTimeout, protocol.CodeTimeout, "It took too long (timeout).")
	}
	log.Error("api call failed", "err", err)
	return problem(http.StatusInternalServerError, protocol.CodeInternal, "Something went wrong on the server; its log says what.")
}

// sentence makes an error's text one.
func sentence(text string) string {
	if text == "" {
		return ""
	}
	return strings.ToUpper(text[:1]) + text[1:] + "."
}

// refusalStatus gives a session's refusal its HTTP status.
func refusalStatus(code protocol.Code) int {
	switch code {
	case protocol.CodeMalformedMessage:
		return http.StatusBadRequest
	case protocol.CodePackageNotFound, protocol.CodeSessionNotFound, protocol.CodeStreamNotFound, protocol.CodeOutputNotFound:
		return http.StatusNotFound
	case protocol.CodePermissionDenied, protocol.CodeNotOwner, protocol.CodeNotViewer:
		return http.StatusForbidden
	case protocol.CodeInvalidURL:
		return http.StatusUnprocessableEntity
	case protocol.CodeTimeout:
		return http.StatusGatewayTimeout
	case protocol.CodeAppNotStarted: // its server did not answer or did not connect
		return http.StatusBadGateway
	case protocol.CodeInternal:
		return http.StatusInternalServerError
	}
	return http.StatusConflict
}
