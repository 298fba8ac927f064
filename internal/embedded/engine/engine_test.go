package engine_test

import (
	"os"
	"strings"
	"testing"

	"github.com/situ-city/situ/internal/embedded/engine"
	"github.com/situ-city/situ/internal/embedded/engine/enginetest"
)

func TestMain(m *testing.M) { os.Exit(enginetest.Run(m)) }

func TestSelectOne(t *testing.T) {
	conn, socket := enginetest.Start(t)
	var n uint8
	var db string
	if err := conn.QueryRow(t.Context(), "SELECT 1, currentDatabase()").Scan(&n, &db); err != nil {
		t.Fatal(err)
	}
	if n != 1 || !strings.HasPrefix(db, "test_") {
		t.Errorf("got %d, %q", n, db)
	}
	if got := one[string](t, conn, "EXPLAIN AST SELECT a FROM b"); got != "SelectWithUnionQuery (children 1)" {
		t.Errorf("EXPLAIN AST: %q", got)
	}
	std := engine.OpenDB(socket, db)
	defer std.Close()
	if err := std.QueryRowContext(t.Context(), "SELECT currentDatabase()").Scan(&db); err != nil || !strings.HasPrefix(db, "test_") {
		t.Errorf("database/sql: %q, %v", db, err)
	}
}
