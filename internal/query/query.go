// Package query is the stage that people meet: the HTTP interface of docs/api.md over the registry, the live
// situation, the history and the page (steps 7 and 8 of the journey end here).
//
// It owns the registry, which it alone writes, and the live state, which it feeds from the bus. What it refuses is
// answered as application/problem+json and counted in situ_query_refused_total by reason. It never reads a table
// by SQL of its own making from user input: SQL goes through internal/sqlgate.
package query

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/situ-city/situ/internal/deadletter"
	"github.com/situ-city/situ/internal/livestate"
	"github.com/situ-city/situ/internal/registry"
	"github.com/situ-city/situ/internal/store"
	"github.com/situ-city/situ/internal/version"
	"github.com/situ-city/situ/pkg/geo"
	"github.com/situ-city/situ/pkg/sensor"
)

// History is what the stage asks of the store (internal/store).
type History interface {
	Observations(ctx context.Context, id sensor.DatastreamID, from, to int64, limit int, cursor string) ([]store.Point, string, error)
	DeadLetters(ctx context.Context, f store.DeadLetterFilter) ([]store.StoredDeadLetter, string, error)
	DeadLetter(ctx context.Context, id sensor.Identity) (store.StoredDeadLetter, error)
	LetterNames(ctx context.Context, f store.DeadLetterFilter) ([]sensor.Identity, string, error)
	Accounts
}

// Letters replays dead letters (internal/deadletter).
type Letters interface {
	Replay(ctx context.Context, ids []sensor.Identity, o deadletter.Options) ([]deadletter.Verdict, error)
}

// SQL is the gate that analysts' SQL passes.
type SQL interface {
	// Query answers with the result in format (json, jsonl, csv, tsv, parquet, arrow) or an error with a status.
	Query(ctx context.Context, sql, format string, params map[string]string, w io.Writer) error
}

// Config of a Server. Every field is needed unless it says otherwise.
type Config struct {
	Registry  *registry.Registry
	Live      *livestate.State
	Catalogue *sensor.Catalogue
	Models    *sensor.Models // nil: there are none
	Divisions *geo.Divisions
	History   func() History // nil result: no history now
	SQL       func() SQL     // nil result: no SQL now
	Letters   Letters
	Redecode  Redecode // nil: payloads cannot be read again here
	Tiles     http.Handler
	Stream    http.Handler // /live
	Page      http.Handler
	Keys      *Keys
	Metrics   http.Handler
	Ready     func() []NotReady
	Status    func() Status
	Logger    *slog.Logger
	Registrer prometheus.Registerer
}

// NotReady names a part that is not ready, and why.
type NotReady struct {
	Component string `json:"component"`
	Why       string `json:"why"`
}

// Status is what the page's head line shows.
type Status struct {
	Version      string    `json:"version"`
	Started      time.Time `json:"started"`
	Now          time.Time `json:"now"`
	Demo         bool      `json:"demo"`
	History      string    `json:"history" enum:"on,off,unavailable"`
	Banner       string    `json:"banner,omitempty"`
	Things       int       `json:"things"`
	Datastreams  int       `json:"datastreams"`
	Observations uint64    `json:"observations"`
	DeadLetters  uint64    `json:"dead_letters"`
	Rates        Rates     `json:"rates"`
	AgeS         *float64  `json:"age_s,omitempty" doc:"age of the newest value, seconds"`
	Sets         []string  `json:"sets" doc:"properties that have values on the map"`

	Balance  *BalanceSummary `json:"balance,omitempty" doc:"absent without history, and before it was counted once"`
	Canaries []CanaryState   `json:"canaries" doc:"one a gateway"`
}

// Rates are means over the last seconds.
type Rates struct {
	MessagesPerS     float64 `json:"messages_per_s"`
	ObservationsPerS float64 `json:"observations_per_s"`
}

// Server answers HTTP. Make one with New.
type Server struct {
	cfg     Config
	handler http.Handler
	refused *prometheus.CounterVec
	took    *prometheus.HistogramVec
}

// New wires the routes.
func New(cfg Config) *Server {
	s := &Server{cfg: cfg,
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "situ_query_refused_total", Help: "Requests refused, by reason."}, []string{"reason"}),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "situ_query_request_seconds", Help: "Time to answer, by route.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 15)}, []string{"route"}),
	}
	cfg.Registrer.MustRegister(s.refused, s.took)
	mux := http.NewServeMux()
	hc := huma.DefaultConfig("situ", version.Number)
	hc.DocsPath, hc.SchemasPath, hc.CreateHooks = "", "", nil // its docs page loads from a CDN; $schema links are noise
	api := humago.New(mux, hc)
	s.routes(api)
	describe(api.OpenAPI())
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok\n") })
	mux.HandleFunc("GET /readyz", s.readyz)
	mux.Handle("GET /metrics", cfg.Metrics)
	mux.Handle("/tiles/", cfg.Tiles)
	mux.Handle("GET /live", cfg.Stream)
	mux.HandleFunc("GET /v1/divisions.geojson", s.outlines)
	mux.HandleFunc("POST /v1/sql", s.sql)
	mux.HandleFunc("POST /v1/register", s.register)
	mux.HandleFunc("POST /v1/redecode", s.redecode)
	mux.Handle("/clickhouse/", http.StripPrefix("/clickhouse", http.HandlerFunc(s.clickhouse)))
	mux.HandleFunc("/login", cfg.Keys.login)
	mux.HandleFunc("/v1/", func(w http.ResponseWriter, r *http.Request) {
		problem(w, http.StatusNotFound, "no such path", r.Method+" "+r.URL.Path+" is not part of the interface; see /openapi.json")
	})
	mux.Handle("/", cfg.Page)
	s.handler = s.timed(cfg.Keys.guard(mux, func(string) { s.refused.WithLabelValues("key").Inc() }), mux)
	return s
}

// timed measures each route, but not the streams, which last as long as their viewer looks.
func (s *Server) timed(next http.Handler, mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, route := mux.Handler(r)
		if route == "GET /live" || route == "POST /v1/redecode" {
			next.ServeHTTP(w, r)
			return
		}
		started := time.Now()
		next.ServeHTTP(w, r)
		s.took.WithLabelValues(route).Observe(time.Since(started).Seconds())
	})
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// Bounds on a request.
const (
	readHeaderTimeout = 10 * time.Second
	idleTimeout       = 2 * time.Minute // of a connection between two requests
	maxBody           = 32 << 20
)

// Serve answers on ln until ctx ends; requests under way get five seconds to finish.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error { return s.serve(ctx, ln, s) }

func (s *Server) serve(ctx context.Context, ln net.Listener, h http.Handler) error {
	srv := &http.Server{Handler: h, ReadHeaderTimeout: readHeaderTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: 64 << 10,
		BaseContext: func(net.Listener) context.Context { return ctx },
		ErrorLog:    slog.NewLogLogger(s.cfg.Logger.Handler(), slog.LevelDebug)}
	done := make(chan error, 1)
	go func() {
		<-ctx.Done()
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		done <- srv.Shutdown(grace)
	}()
	if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	<-done
	return nil
}

func (s *Server) readyz(w http.ResponseWriter, _ *http.Request) {
	list := s.cfg.Ready()
	if len(list) == 0 {
		_, _ = io.WriteString(w, "ready\n")
		return
	}
	writeJSON(w, http.StatusServiceUnavailable, map[string]any{"not_ready": list})
}

func (s *Server) outlines(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/geo+json")
	w.Header().Set("Cache-Control", "public, max-age=3600")
	_, _ = w.Write(s.cfg.Divisions.GeoJSON())
}
