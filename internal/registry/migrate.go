package registry

import (
	"context"
	"crypto/rand"
	"database/sql"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
)

//go:embed migrations/*.sql
var migrations embed.FS

// applicationID marks the SQLite file as situ's ("situ" in ASCII), so that someone else's database is refused.
const applicationID = 0x73697475

// migrate brings the file to this build's schema. Each step is one transaction that re-reads where the file
// stands, so running it twice, or from two processes at once, does the work once.
func migrate(ctx context.Context, db *sql.DB, now int64) error {
	steps, err := migrationSteps()
	if err != nil {
		return err
	}
	for {
		done, err := migrateOne(ctx, db, steps, now)
		if err != nil || done {
			return err
		}
	}
}

// migrationSteps gives the texts of 0001_*.sql, 0002_*.sql, ... in order.
func migrationSteps() ([]string, error) {
	names, err := fs.Glob(migrations, "migrations/*.sql") // sorted by name
	if err != nil {
		return nil, err
	}
	var steps []string
	for i, name := range names {
		number, _, _ := strings.Cut(strings.TrimPrefix(name, "migrations/"), "_")
		if n, err := strconv.Atoi(number); err != nil || n != i+1 {
			return nil, fmt.Errorf("migration %s stands at place %d", name, i+1)
		}
		text, err := migrations.ReadFile(name)
		if err != nil {
			return nil, err
		}
		steps = append(steps, string(text))
	}
	return steps, nil
}

func migrateOne(ctx context.Context, db *sql.DB, steps []string, now int64) (done bool, err error) {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return false, err
	}
	defer tx.Rollback() // no-op after Commit
	at, err := schemaOf(ctx, tx, len(steps))
	if err != nil || at == len(steps) {
		return true, err
	}
	stamp := fmt.Sprintf("PRAGMA application_id = %d; PRAGMA user_version = %d", applicationID, at+1)
	for _, text := range []string{steps[at], stamp} {
		if _, err := tx.ExecContext(ctx, text); err != nil {
			return false, fmt.Errorf("migration %d: %w", at+1, err)
		}
	}
	if at == 0 {
		id := make([]byte, 16)
		rand.Read(id) // never fails
		if _, err := tx.ExecContext(ctx, "INSERT INTO ledger (one, id, made) VALUES (1, ?, ?)", hex.EncodeToString(id), now); err != nil {
			return false, err
		}
	}
	return false, tx.Commit()
}

// schemaOf reads which schema the file has, and refuses a newer one and a file that is not situ's.
func schemaOf(ctx context.Context, tx *sql.Tx, known int) (int, error) {
	var application, version, tables int
	err := tx.QueryRowContext(ctx, `SELECT (SELECT application_id FROM pragma_application_id),
		(SELECT user_version FROM pragma_user_version), (SELECT count(*) FROM sqlite_schema)`).
		Scan(&application, &version, &tables)
	switch {
	case err != nil:
		return 0, err
	case application == 0 && version == 0 && tables == 0:
		return 0, nil
	case application != applicationID:
		return 0, fmt.Errorf("application id %#x, %d tables: %w", application, tables, ErrNotRegistry)
	case version > known:
		return 0, fmt.Errorf("schema %d, this build knows up to %d: %w", version, known, ErrNewerSchema)
	}
	return version, nil
}
