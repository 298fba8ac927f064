package app

import (
	"net/http"

	"github.com/situ-city/situ/internal/query"
)

func (p *process) tiles() http.Handler   { return http.NotFoundHandler() }
func (p *process) stream() http.Handler  { return http.NotFoundHandler() }
func (p *process) sql() func() query.SQL { return func() query.SQL { return nil } }
