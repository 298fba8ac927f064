// Package sqlgate lets analysts' SQL through to ClickHouse, and nothing else.
//
// The embedded engine has no users and no rights, and even readonly SQL reads files, fetches URLs and writes result
// files. So foreign SQL reaches it only as
//
//	SELECT * FROM (
//	<sql>
//	) LIMIT n
//
// after the engine's own parser has shown, by EXPLAIN AST of exactly this text, what it is made of, and every node,
// function and table in it is on a list (rules.go, functions.txt). Text that the parser reads differently than a person
// is therefore judged as the parser reads it. The query then runs with readonly=1 under bounds of time, memory and rows,
// and its output goes to the asker as the engine formats it.
//
// In: one SELECT, its {name:Type} parameters, a format. Out: bytes, or an *Error with an HTTP status and, where the
// engine tells, line and column of the asker's text. It is called by internal/query for /v1/sql; it never rewrites SQL,
// and it never lets through what it does not know.
package sqlgate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Limits of one query. A zero field means its default.
type Limits struct {
	SQLBytes   int           // length of the text; 65536
	ResultRows int           // more is an error, not a shorter answer; 1,000,000
	Time       time.Duration // 30 s
	Memory     int64         // bytes; 1 GiB
	RowsToRead int64         // 2,000,000,000
	Threads    int           // 2
}

func (l Limits) withDefaults() Limits {
	set := func(v *int64, d int64) {
		if *v <= 0 {
			*v = d
		}
	}
	bytes, rows, threads, t := int64(l.SQLBytes), int64(l.ResultRows), int64(l.Threads), int64(l.Time)
	set(&bytes, 64<<10)
	set(&rows, 1_000_000)
	set(&threads, 2)
	set(&t, int64(30*time.Second))
	set(&l.Memory, 1<<30)
	set(&l.RowsToRead, 2_000_000_000)
	l.SQLBytes, l.ResultRows, l.Threads, l.Time = int(bytes), int(rows), int(threads), time.Duration(t)
	return l
}

// Principal is who asks.
type Principal struct {
	Name  string
	Admin bool
}

// Options say where the engine is: Socket, or Endpoint.
type Options struct {
	Socket   string // unix socket of the embedded engine
	Endpoint string // "http://host:8123" of a ClickHouse server
	User     string // on a server, one that may read the views and nothing else
	Password string
	Database string // "" = situ
	Limits   Limits
}

// Gate is safe for concurrent use.
type Gate struct {
	opt    Options
	limits Limits
	base   *url.URL
	client *http.Client
	rules  *rules
}

// New makes a gate. It does not connect.
func New(opt Options) (*Gate, error) {
	if (opt.Socket == "") == (opt.Endpoint == "") {
		return nil, errors.New("a gate wants a socket or an endpoint")
	}
	if opt.Database == "" {
		opt.Database = "situ"
	}
	g := &Gate{opt: opt, limits: opt.Limits.withDefaults(), rules: newRules(opt.Database)}
	transport := &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 4, IdleConnTimeout: time.Minute}
	endpoint := opt.Endpoint
	if opt.Socket != "" {
		endpoint = "http://situ-store"
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", opt.Socket)
		}
	}
	var err error
	if g.base, err = url.Parse(endpoint); err != nil {
		return nil, fmt.Errorf("endpoint of the gate: %w", err)
	}
	g.client = &http.Client{Transport: transport}
	return g, nil
}

// Close lets idle connections go.
func (g *Gate) Close() { g.client.CloseIdleConnections() }

// For gives the gate as one principal sees it, for callers that know nothing of principals.
func (g *Gate) For(p Principal) Querier { return Querier{g, p} }

// Querier is a Gate with its principal.
type Querier struct {
	g *Gate
	p Principal
}

// Query is Gate.Query for this principal.
func (q Querier) Query(ctx context.Context, sql, format string, params map[string]string, w io.Writer) error {
	return q.g.Query(ctx, q.p, sql, format, params, w)
}

// Query runs one SELECT and writes its result to w in the format: json, jsonl, csv, tsv, parquet or arrow. An error is
// an *Error; what was written before it is a beginning of the result and no more.
func (g *Gate) Query(ctx context.Context, p Principal, sql, format string, params map[string]string, w io.Writer) error {
	if !p.Admin {
		return refuse(http.StatusForbidden, "SQL is for the administrator's key until roles exist")
	}
	engineFormat, ok := formats[format]
	if !ok {
		return refuse(http.StatusNotAcceptable, "format %q: want json, jsonl, csv, tsv, parquet or arrow", format)
	}
	q, err := g.prepare(ctx, sql, params)
	if err != nil {
		return err
	}
	settings := g.settings()
	for name, value := range q.settings {
		if name == "max_threads" {
			if n, err := strconv.Atoi(value); err == nil && n > g.limits.Threads {
				continue
			}
		}
		settings.Set(name, value)
	}
	for name, value := range engineFormat.settings {
		settings.Set(name, value)
	}
	settings.Set("default_format", engineFormat.name)
	return g.stream(ctx, q, settings, w)
}

// query is a statement that has passed, as it will be sent.
type query struct {
	text     string // wrapped
	offset   int    // where the asker's text begins in it
	sql      string // the asker's text
	settings map[string]string
	params   map[string]string
}

const (
	before = "SELECT * FROM (\n"
	after  = "\n) LIMIT "
)

// prepare lexes, wraps and judges.
func (g *Gate) prepare(ctx context.Context, sql string, params map[string]string) (*query, error) {
	if len(sql) > g.limits.SQLBytes {
		return nil, refuse(http.StatusRequestEntityTooLarge, "the query has %d bytes, the bound is %d", len(sql), g.limits.SQLBytes)
	}
	l, err := lex(sql)
	if err != nil {
		return nil, err
	}
	for name := range params {
		if !plainName(name) {
			return nil, refuse(http.StatusBadRequest, "parameter %q: a name has letters, digits and '_'", name)
		}
	}
	q := &query{text: before + l.sql + after + strconv.Itoa(g.limits.ResultRows+1), offset: len(before), sql: sql,
		settings: l.settings, params: params}
	tree, err := g.explain(ctx, q)
	if err != nil {
		return nil, err
	}
	if err := g.rules.check(tree, l.ctes); err != nil {
		return nil, err
	}
	return q, nil
}

// settings are those of every query. Who asks cannot change them: readonly=1 forbids it.
func (g *Gate) settings() url.Values {
	l := g.limits
	return url.Values{
		"database":             {g.opt.Database},
		"readonly":             {"1"},
		"max_execution_time":   {strconv.FormatFloat(l.Time.Seconds(), 'f', -1, 64)},
		"max_memory_usage":     {strconv.FormatInt(l.Memory, 10)},
		"max_rows_to_read":     {strconv.FormatInt(l.RowsToRead, 10)},
		"max_result_rows":      {strconv.Itoa(l.ResultRows)},
		"max_result_bytes":     {strconv.FormatInt(l.Memory/2, 10)},
		"result_overflow_mode": {"throw"},
		"max_temporary_data_on_disk_size_for_query": {strconv.FormatInt(2*l.Memory, 10)},
		"max_threads":        {strconv.Itoa(l.Threads)},
		"max_ast_depth":      {"500"},
		"max_subquery_depth": {"50"},
	}
}

// explain asks the engine's parser what the text is.
func (g *Gate) explain(ctx context.Context, q *query) (*node, error) {
	settings := g.settings()
	settings.Set("default_format", "TabSeparatedRaw")
	const explain = "EXPLAIN AST "
	asked := *q
	asked.text, asked.offset = explain+q.text, len(explain)+q.offset
	res, err := g.post(ctx, &asked, settings)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	out, err := io.ReadAll(io.LimitReader(res.Body, maxTree+1))
	if err != nil {
		return nil, unavailable(err)
	}
	if len(out) > maxTree {
		return nil, refuse(http.StatusBadRequest, "the query is too large when taken apart")
	}
	return parseTree(string(out))
}

// maxTree bounds the text of a syntax tree.
const maxTree = 8 << 20

// post sends a query and gives an answer with status 200, or the engine's error in the asker's terms.
func (g *Gate) post(ctx context.Context, q *query, settings url.Values) (*http.Response, error) {
	for name, value := range q.params {
		settings.Set("param_"+name, escapeParameter(value))
	}
	u := *g.base
	u.RawQuery = settings.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), strings.NewReader(q.text))
	if err != nil {
		return nil, unavailable(err)
	}
	if g.opt.User != "" {
		req.SetBasicAuth(g.opt.User, g.opt.Password)
	}
	res, err := g.client.Do(req)
	if err != nil {
		return nil, unavailable(err)
	}
	if res.StatusCode == http.StatusOK {
		return res, nil
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, maxException))
	if err != nil {
		return nil, unavailable(err)
	}
	return nil, q.explainError(string(text))
}

// escapeParameter writes a value the way param_name wants it, which is TabSeparated's.
func escapeParameter(s string) string {
	return strings.NewReplacer(`\`, `\\`, "\t", `\t`, "\n", `\n`, "\r", `\r`, "\x00", `\0`).Replace(s)
}
