package store_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/situ-city/situ/internal/embedded/engine"
	"github.com/situ-city/situ/internal/embedded/engine/enginetest"
	"github.com/situ-city/situ/internal/store"
	"github.com/situ-city/situ/internal/store/storetest"
	"github.com/situ-city/situ/pkg/geo"
)

func TestMain(m *testing.M) { os.Exit(enginetest.Run(m)) }

func embedded(t *testing.T) (driver.Conn, string) {
	conn, _ := enginetest.Start(t)
	var name string
	if err := conn.QueryRow(t.Context(), "SELECT currentDatabase()").Scan(&name); err != nil {
		t.Fatal(err)
	}
	return conn, name
}

func TestEmbedded(t *testing.T) { storetest.Run(t, embedded) }

func TestServer(t *testing.T) {
	dsn := os.Getenv("SITU_CLICKHOUSE_DSN")
	if dsn == "" {
		t.Skip("not run: SITU_CLICKHOUSE_DSN names no ClickHouse server")
	}
	storetest.Run(t, func(t *testing.T) (driver.Conn, string) {
		opt, err := clickhouse.ParseDSN(dsn)
		if err != nil {
			t.Fatal(err)
		}
		conn, err := clickhouse.Open(opt)
		if err != nil {
			t.Fatal(err)
		}
		name := fmt.Sprintf("situ_test_%d_%d", os.Getpid(), time.Now().UnixNano())
		t.Cleanup(func() {
			if err := conn.Exec(context.Background(), "DROP DATABASE IF EXISTS "+name+" SYNC"); err != nil {
				t.Error(err)
			}
			conn.Close()
		})
		return conn, name
	})
}

func TestOpenSaysWhatIsMissing(t *testing.T) {
	dead := &clickhouse.Options{Protocol: clickhouse.HTTP, Addr: []string{"store:80"},
		DialContext: func(context.Context, string) (net.Conn, error) { return nil, errors.New("nobody listens") }}
	_, err := store.Open(t.Context(), store.Options{ClickHouse: dead})
	if !errors.Is(err, store.ErrUnavailable) || !store.Retryable(err) {
		t.Errorf("nobody there: %v, want ErrUnavailable", err)
	}
	if _, err := store.Open(t.Context(), store.Options{}); err == nil {
		t.Error("no address at all was taken")
	}
	if _, err := store.Open(t.Context(), store.Options{ClickHouse: dead, DSN: "http://x"}); err == nil {
		t.Error("two addresses were taken")
	}
	if _, err := store.Open(t.Context(), store.Options{ClickHouse: dead, Database: "a; DROP"}); err == nil {
		t.Error("a database name that is SQL was taken")
	}
}

func TestOpenByOptions(t *testing.T) {
	s, err := store.Open(t.Context(), store.Options{ClickHouse: engine.Options(enginetest.Socket(t), ""), Database: "by_options"})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Migrate(t.Context()); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// benchCell stands for H3, which has its own package and its own benchmark.
func benchCell(lon, lat int32) geo.Cell {
	return geo.Cell(0x8c<<52 | uint64(uint32(lon)/100)<<20 | uint64(uint32(lat)/100)&0xfffff)
}
