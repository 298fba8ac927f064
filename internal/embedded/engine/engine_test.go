package engine_test

import (
	"os"
	"testing"

	"github.com/situ-city/situ/internal/embedded/engine/enginetest"
)

func TestMain(m *testing.M) { os.Exit(enginetest.Run(m)) }

func TestSelectOne(t *testing.T) {
	conn, _ := enginetest.Start(t)
	var n uint8
	var db string
	if err := conn.QueryRow(t.Context(), "SELECT 1, currentDatabase()").Scan(&n, &db); err != nil {
		t.Fatal(err)
	}
	if n != 1 || db != "test_1" {
		t.Errorf("got %d, %q", n, db)
	}
}
