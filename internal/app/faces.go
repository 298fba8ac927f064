package app

import (
	"net/http"

	"github.com/situ-city/situ/internal/query"
	"github.com/situ-city/situ/internal/sqlgate"
	"github.com/situ-city/situ/internal/tile"
)

// tiles serves the live state as MVT.
func (p *process) tiles() http.Handler {
	return tile.NewHandler(tile.Config{Source: p.live, Catalogue: p.catalogue, Scope: query.Scope,
		Metrics: tile.NewMetrics(p.metrics), Bounds: p.divisions.Bounds()})
}

func (p *process) stream() http.Handler { return http.NotFoundHandler() }

// sql gives the gate while there is a store behind it. On a ClickHouse server it wants that server's HTTP address.
func (p *process) sql() (func() query.SQL, error) {
	if p.socket == "" {
		return func() query.SQL { return nil }, nil
	}
	gate, err := sqlgate.New(sqlgate.Options{Socket: p.socket})
	if err != nil {
		return nil, err
	}
	p.Later(func() error { gate.Close(); return nil })
	return func() query.SQL {
		if p.store.Load() == nil {
			return nil
		}
		return gate.For(sqlgate.Principal{Name: "admin", Admin: true}) // /v1/sql lets nobody else through to it
	}, nil
}
