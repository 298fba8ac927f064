package app

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/situ-city/situ/internal/live"
	"github.com/situ-city/situ/internal/query"
	"github.com/situ-city/situ/internal/sqlgate"
	"github.com/situ-city/situ/internal/tile"
)

// tiles serves the live state as MVT.
func (p *process) tiles() http.Handler {
	return tile.NewHandler(tile.Config{Source: p.live, Catalogue: p.catalogue, Scope: query.Scope,
		Metrics: tile.NewMetrics(p.metrics), Bounds: p.divisions.Bounds()})
}

// stream pushes its changes to open pages.
func (p *process) stream() http.Handler {
	return live.NewHandler(live.Config{Source: p.live, Catalogue: p.catalogue, Scope: query.Scope, Metrics: live.NewMetrics(p.metrics)})
}

// sql gives the gate while there is a store behind it. On a ClickHouse server it wants that server's HTTP address.
func (p *process) sql() (func() query.SQL, error) {
	opt, err := p.gateOptions()
	if err != nil {
		return nil, err
	}
	switch {
	case opt.Socket != "" || opt.Endpoint != "":
	case p.cfg.ClickHouse != "":
		return func() query.SQL { return noSQL{} }, nil
	default:
		return func() query.SQL { return nil }, nil
	}
	gate, err := sqlgate.New(opt)
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

// gateOptions say where analysts' SQL goes: to the socket that is the store, or to the address that was given for it.
// A server's DSN is the writer's, so it is never used for SQL of others.
func (p *process) gateOptions() (sqlgate.Options, error) {
	opt := sqlgate.Options{Socket: p.socket, Database: p.cfg.Database}
	if socket, ok := strings.CutPrefix(p.cfg.ClickHouse, "unix://"); ok {
		opt.Socket = socket
	}
	if p.cfg.SQLClickHouse == "" {
		return opt, nil
	}
	u, err := url.Parse(p.cfg.SQLClickHouse)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return opt, fmt.Errorf("%w: --sql-clickhouse: want http://user:password@host:8123", ErrConfig)
	}
	if opt.Socket != "" {
		return opt, fmt.Errorf("%w: --sql-clickhouse is for a ClickHouse server; here SQL goes to the engine's socket", ErrConfig)
	}
	opt.User = u.User.Username()
	opt.Password, _ = u.User.Password()
	u.User = nil
	opt.Endpoint = u.String()
	return opt, nil
}

// noSQL answers where a server stores, and nobody said where SQL of others may go.
type noSQL struct{}

func (noSQL) Query(context.Context, string, string, map[string]string, io.Writer) error {
	return noSQL{}
}

func (noSQL) Error() string {
	return "SQL is off: give --sql-clickhouse, the HTTP address of the ClickHouse server with a user that may read and nothing else"
}

// Status implements query.StatusError.
func (noSQL) Status() int { return http.StatusServiceUnavailable }
