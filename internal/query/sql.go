package query

import (
	"errors"
	"io"
	"net/http"
	"strings"
)

// StatusError is an error that knows its HTTP status.
type StatusError interface {
	error
	Status() int
}

const maxSQL = 256 << 10

// formats maps names and media types to the gate's format names.
var formats = map[string]string{
	"json": "json", "application/json": "json",
	"jsonl": "jsonl", "ndjson": "jsonl", "application/x-ndjson": "jsonl", "application/jsonl": "jsonl",
	"csv": "csv", "text/csv": "csv",
	"tsv": "tsv", "text/tab-separated-values": "tsv",
	"parquet": "parquet", "application/vnd.apache.parquet": "parquet",
	"arrow": "arrow", "application/vnd.apache.arrow.stream": "arrow",
}

var mediaTypes = map[string]string{
	"json": "application/json", "jsonl": "application/x-ndjson", "csv": "text/csv; charset=utf-8",
	"csv-bare": "text/csv; charset=utf-8; header=absent", "tsv-bare": "text/tab-separated-values; charset=utf-8",
	"tsv": "text/tab-separated-values; charset=utf-8", "parquet": "application/vnd.apache.parquet",
	"arrow": "application/vnd.apache.arrow.stream",
}

// sql answers POST /v1/sql: the body is one SELECT, ?param_x= are its parameters, format= or Accept the form.
func (s *Server) sql(w http.ResponseWriter, r *http.Request) {
	gate := s.cfg.SQL()
	if gate == nil {
		problem(w, http.StatusServiceUnavailable, "no history", "the ClickHouse engine is not available now; see /readyz")
		return
	}
	format, ok := formatOf(r)
	if !ok {
		problem(w, http.StatusNotAcceptable, "unknown format", "want format=json, jsonl, csv, tsv, parquet or arrow")
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxSQL))
	if err != nil {
		problem(w, http.StatusRequestEntityTooLarge, "too long", "a query has at most 256 KiB")
		return
	}
	params := map[string]string{}
	for name, v := range r.URL.Query() {
		if p, ok := strings.CutPrefix(name, "param_"); ok && len(v) > 0 {
			params[p] = v[0]
		}
	}
	out := &lazyHeader{w: w, contentType: mediaTypes[format]}
	if err := gate.Query(r.Context(), string(body), format, params, out); err != nil {
		s.sqlFailed(out, w, err)
	}
}

// sqlFailed says what went wrong, if there is still a way to: once rows have left, only breaking off is.
func (s *Server) sqlFailed(out *lazyHeader, w http.ResponseWriter, err error) {
	s.refused.WithLabelValues("sql").Inc()
	if out.begun {
		s.cfg.Logger.Warn("query broke off", "component", "query", "err", err)
		panic(http.ErrAbortHandler) // net/http's way to end a response so that the client sees it is not whole
	}
	status := http.StatusBadRequest
	var known StatusError
	if errors.As(err, &known) {
		status = known.Status()
	}
	problem(w, status, "query refused", err.Error())
}

func formatOf(r *http.Request) (string, bool) {
	if f := r.URL.Query().Get("format"); f != "" {
		name, ok := formats[strings.ToLower(f)]
		return name, ok
	}
	for _, a := range strings.Split(r.Header.Get("Accept"), ",") {
		media, _, _ := strings.Cut(a, ";")
		if name, ok := formats[strings.TrimSpace(media)]; ok {
			return name, true
		}
	}
	return "json", true
}

// lazyHeader sets the content type with the first byte, so that an error before it can still be a problem document.
type lazyHeader struct {
	w           http.ResponseWriter
	contentType string
	begun       bool
}

func (l *lazyHeader) Write(b []byte) (int, error) {
	if !l.begun {
		l.begun = true
		l.w.Header().Set("Content-Type", l.contentType)
	}
	return l.w.Write(b)
}
