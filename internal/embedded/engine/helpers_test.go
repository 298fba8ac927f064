package engine_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/situ-city/situ/internal/embedded/engine"
)

func do(t testing.TB, conn driver.Conn, sql string, args ...any) {
	t.Helper()
	if err := conn.Exec(t.Context(), sql, args...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// one is the single value of a single row.
func one[T any](t testing.TB, conn driver.Conn, sql string, args ...any) T {
	t.Helper()
	var v T
	if err := conn.QueryRow(t.Context(), sql, args...).Scan(&v); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return v
}

func database(t testing.TB, conn driver.Conn) string {
	t.Helper()
	return one[string](t, conn, "SELECT currentDatabase()")
}

func compressed(t testing.TB, socket, database string, method clickhouse.CompressionMethod) driver.Conn {
	t.Helper()
	opt := engine.Options(socket, database)
	opt.Compression = &clickhouse.Compression{Method: method, Level: 1}
	opt.Settings = clickhouse.Settings{"enable_http_compression": 1}
	conn, err := clickhouse.Open(opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// codeOf is ClickHouse's code of an error, 0 if it has none.
func codeOf(err error) int32 {
	var e *clickhouse.Exception
	if errors.As(err, &e) {
		return e.Code
	}
	return 0
}

// web is an HTTP client as curl would be.
type web struct{ c http.Client }

func newWeb(t testing.TB, socket string) *web {
	tr := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", socket)
	}}
	t.Cleanup(tr.CloseIdleConnections)
	return &web{http.Client{Transport: tr}}
}

// post sends body to the store with URL parameters "name=value" and gives status, header
// and text of the answer.
func (w *web) post(t testing.TB, body io.Reader, params ...string) (*http.Response, string) {
	t.Helper()
	v := url.Values{}
	for _, p := range params {
		name, value, _ := strings.Cut(p, "=")
		v.Add(name, value)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://store/?"+v.Encode(), body)
	if err != nil {
		t.Fatal(err)
	}
	res, err := w.c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return res, string(b) + "[" + err.Error() + "]"
	}
	return res, string(b)
}

func (w *web) sql(t testing.TB, sql string, params ...string) string {
	t.Helper()
	res, text := w.post(t, strings.NewReader(sql), params...)
	if res.StatusCode != http.StatusOK {
		t.Errorf("%s: %s: %s", sql, res.Status, text)
	}
	return text
}
