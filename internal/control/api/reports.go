package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"glimpse/internal/control/reports"
)

type reportsInput struct {
	Stream string `query:"stream" maxLength:"128" doc:"Only of this stream."`
	Limit  int    `query:"limit" minimum:"1" maximum:"500" default:"100"`
}

type reportsOutput struct {
	Body struct {
		Reports []reports.Report `json:"reports"`
	}
}

type reportInput struct {
	ID string `path:"id" maxLength:"64"`
}

type reportOutput struct{ Body reports.Report }

func (a *API) registerReports(h huma.API) {
	huma.Register(h, operation("list-reports", http.MethodGet, "/reports", "What became of streams, the newest first; the last 500 of 90 days are kept"), a.listReports)
	huma.Register(h, operation("get-report", http.MethodGet, "/reports/{id}", "One report, with its curve", http.StatusNotFound), a.getReport)
}

func (a *API) listReports(_ context.Context, in *reportsInput) (*reportsOutput, error) {
	out := &reportsOutput{}
	out.Body.Reports = a.deps.Reports.List(in.Stream, in.Limit)
	return out, nil
}

func (a *API) getReport(_ context.Context, in *reportInput) (*reportOutput, error) {
	r, err := a.deps.Reports.Get(in.ID)
	if err != nil {
		return nil, refusal(a.log, err)
	}
	return &reportOutput{Body: r}, nil
}
