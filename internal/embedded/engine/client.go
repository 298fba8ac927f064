package engine

import (
	"context"
	"database/sql"
	"net"
	"net/http"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// Options are clickhouse-go's for the store on a unix socket. Database "" means the
// engine's "default". The caller may change them before opening.
//
// Blocks travel uncompressed: the socket is faster than any codec. A request waits as
// long as its context lets it.
func Options(socket, database string) *clickhouse.Options {
	return &clickhouse.Options{
		Protocol: clickhouse.HTTP,
		Addr:     []string{"situ-store:80"}, // a name for messages; DialContext decides
		Auth:     clickhouse.Auth{Database: database},
		DialContext: func(ctx context.Context, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", socket)
		},
		TransportFunc: func(t *http.Transport) (http.RoundTripper, error) {
			t.Proxy = nil // else HTTP_PROXY of the environment would be asked for the socket
			t.WriteBufferSize, t.ReadBufferSize = transportBuffer, transportBuffer
			return t, nil
		},
		DialTimeout:     5 * time.Second,
		ReadTimeout:     time.Hour,
		MaxOpenConns:    maxConns,
		MaxIdleConns:    maxConns,
		ConnMaxLifetime: time.Hour,
	}
}

const (
	transportBuffer = 64 << 10
	maxConns        = 16
)

// Open gives clickhouse-go's own interface to the store. It connects when first used.
func Open(socket, database string) (driver.Conn, error) {
	return clickhouse.Open(Options(socket, database))
}

// OpenDB gives a database/sql handle to the store.
func OpenDB(socket, database string) *sql.DB {
	return clickhouse.OpenDB(Options(socket, database))
}
