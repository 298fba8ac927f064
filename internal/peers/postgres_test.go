package peers

import (
	"database/sql"
	"strings"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib" // registers the driver "pgx"
)

// A server that was cut off in the middle comes back with what was committed, and asks for its password.
func TestPostgres(t *testing.T) {
	s := Postgres(t, "fsync=on")
	db, err := sql.Open("pgx", s.DSN)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), "CREATE TABLE kept AS SELECT 42 AS n"); err != nil {
		t.Fatal(err)
	}
	s.Kill()
	if err := db.PingContext(t.Context()); err == nil {
		t.Error("answers after its death")
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	var n int
	if err := db.QueryRowContext(t.Context(), "SELECT n FROM kept").Scan(&n); err != nil || n != 42 {
		t.Errorf("%d, %v", n, err)
	}
	stranger, err := sql.Open("pgx", strings.Replace(s.DSN, "sesame", "guess", 1))
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	if err := stranger.PingContext(t.Context()); err == nil || !strings.Contains(err.Error(), "28P01") {
		t.Errorf("a wrong password: %v", err)
	}
	if !strings.Contains(s.Log(), "password authentication failed") {
		t.Errorf("said:\n%s", s.Log())
	}
}
