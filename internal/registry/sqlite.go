package registry

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"path/filepath"

	_ "modernc.org/sqlite" // registers the driver "sqlite"; pure Go
)

// applicationID marks the SQLite file as situ's ("situ" in ASCII), so that someone else's database is refused. On
// PostgreSQL it is the advisory lock that migrations take.
const applicationID = 0x73697475

// sqlite is the dialect of a file. Transactions that write take the file's lock as they begin, so nothing else has to.
var sqlite = dialect{
	schemaOf:  sqliteSchema,
	translate: func(step string) string { return step }, // the files are written in SQLite's words
	stamp: func(schema int) string {
		return fmt.Sprintf("PRAGMA application_id = %d; PRAGMA user_version = %d", applicationID, schema)
	},
	head:      "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'changes'",
	parameter: func(int) string { return "?" }, // numbered ones are looked for one by one
}

func openSQLite(path string) (*backend, error) {
	b := &backend{name: path, words: sqlite}
	var err error
	if b.write, err = openFile(path, "_txlock=immediate&_journal_mode=WAL&_synchronous=FULL&_foreign_keys=1", 1); err != nil {
		return b, err
	}
	b.read, err = openFile(path, "_query_only=1", 4)
	return b, err
}

// openFile opens the file with a lock wait of ten seconds: the longest transaction (a register of 100,000 Things is
// written in pieces of 5,000) holds the lock well below that.
func openFile(path, settings string, connections int) (*sql.DB, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	name := (&url.URL{Scheme: "file", Path: filepath.ToSlash(abs)}).String() // escapes '?', '#' and '%'
	db, err := sql.Open("sqlite", name+"?_busy_timeout=10000&"+settings)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	return db, nil
}

// sqliteSchema reads which schema the file has, and refuses a newer one and a file that is not situ's.
func sqliteSchema(ctx context.Context, tx *sql.Tx, known int) (int, error) {
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
	}
	return version, newerThan(version, known)
}

// newerThan refuses a schema of a newer situ.
func newerThan(version, known int) error {
	if version > known {
		return fmt.Errorf("schema %d, this build knows up to %d: %w", version, known, ErrNewerSchema)
	}
	return nil
}
