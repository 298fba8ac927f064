package query

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
)

// The ClickHouse HTTP interface, as far as curl and simple clients need it: the query in ?query= or the body, a
// trailing FORMAT or ?default_format=, param_*, the key as user's password, Bearer or X-ClickHouse-Key. Every query
// passes the same gate as /v1/sql.

// clickhouseFormats maps ClickHouse's format names to the gate's.
var clickhouseFormats = map[string]string{
	"JSON": "json", "JSONEachRow": "jsonl", "NDJSON": "jsonl", "CSVWithNames": "csv", "CSV": "csv-bare",
	"TabSeparatedWithNames": "tsv", "TSVWithNames": "tsv", "TabSeparated": "tsv-bare", "TSV": "tsv-bare", "Parquet": "parquet", "ArrowStream": "arrow",
}

var trailingFormat = regexp.MustCompile(`(?is)\s+FORMAT\s+([A-Za-z]+)\s*;?\s*$`)

// ServeClickHouse answers ClickHouse's HTTP interface on ln until ctx ends.
func (s *Server) ServeClickHouse(ctx context.Context, ln net.Listener) error {
	h := s.cfg.Keys.guard(http.HandlerFunc(s.clickhouse), func(string) { s.refused.WithLabelValues("key").Inc() })
	return s.serve(ctx, ln, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/ping" {
			_, _ = io.WriteString(w, "Ok.\n")
			return
		}
		// Whatever the path, this port is the SQL door: it is never opened without the key.
		r.URL.Path = "/clickhouse/"
		h.ServeHTTP(w, r)
	}))
}

func (s *Server) clickhouse(w http.ResponseWriter, r *http.Request) {
	fail := func(status int, text string) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.WriteHeader(status)
		fmt.Fprintln(w, text)
	}
	gate := s.cfg.SQL()
	if gate == nil {
		fail(http.StatusServiceUnavailable, "Code: 210. DB::Exception: no history now; see /readyz. (NETWORK_ERROR)")
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxSQL))
	if err != nil {
		fail(http.StatusRequestEntityTooLarge, "Code: 62. DB::Exception: a query has at most 256 KiB. (SYNTAX_ERROR)")
		return
	}
	sql := strings.TrimSpace(r.URL.Query().Get("query") + " " + string(body))
	name := r.URL.Query().Get("default_format")
	if name == "" {
		name = "TabSeparated"
	}
	if m := trailingFormat.FindStringSubmatchIndex(sql); m != nil {
		name, sql = sql[m[2]:m[3]], sql[:m[0]]
	}
	format, ok := clickhouseFormats[name]
	if !ok {
		fail(http.StatusBadRequest, "Code: 73. DB::Exception: Unknown format "+name+". (UNKNOWN_FORMAT)")
		return
	}
	params := map[string]string{}
	for k, v := range r.URL.Query() {
		if p, ok := strings.CutPrefix(k, "param_"); ok {
			params[p] = v[0]
		}
	}
	out := &lazyHeader{w: w, contentType: mediaTypes[format]}
	if err := gate.Query(r.Context(), sql, format, params, out); err != nil {
		s.refused.WithLabelValues("sql").Inc()
		if out.begun {
			panic(http.ErrAbortHandler)
		}
		status := http.StatusBadRequest
		var known StatusError
		if errors.As(err, &known) {
			status = known.Status()
		}
		fail(status, "Code: 497. DB::Exception: "+err.Error()+". (ACCESS_DENIED)")
	}
}
