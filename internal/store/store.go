// Package store is ClickHouse: the tables of schema/clickhouse, blocks of observations in, history out (step 6 of 8).
//
// In: sensor.Batch columns, one range of a log at a time, under a deduplication token that names the range. Out: rows
// of situ.observations and what stands beside them, the newest observation per Datastream for livestate, pages for the
// HTTP interface. Times are Unix milliseconds UTC, positions 1e-7 degrees WGS 84, results in canonical units; a result
// comes back with the bits it went in with (scale.go).
//
// The embedded engine and a ClickHouse server are the same to this package: it knows clickhouse-go and SQL, nothing
// else. It is used by internal/ingester (writes), internal/livestate and internal/query (reads); analysts' own SQL
// never passes here but through internal/sqlgate. It refuses nothing by content: what cannot be stored is an error
// (errors.go says whether trying again may help), never a dropped row.
package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"sync"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/situ-city/situ/pkg/geo"
	"github.com/situ-city/situ/schema"
)

// DefaultDatabase holds all tables and views.
const DefaultDatabase = "situ"

// Options say where ClickHouse is. Exactly one of Conn, ClickHouse, DSN is given.
type Options struct {
	Conn       driver.Conn         // an open connection; Close leaves it open
	ClickHouse *clickhouse.Options // e.g. engine.Options(socket, "")
	DSN        string              // "clickhouse://user:password@host:9000" or "http://..."

	Database string // "" = DefaultDatabase; tests use their own
	Cluster  string // "" = one node; else the name for ON CLUSTER, and Replicated tables
	Shared   bool   // other processes insert as well: repeats of one process in another are looked for by Recompute

	// Cell gives the H3 cell of resolution 12 of a position in 1e-7 degrees. Rows that come without a cell and with a
	// position get it. nil leaves their cell 0.
	Cell func(lon, lat int32) geo.Cell
	Log  *slog.Logger // nil = silent
}

// Store is safe for concurrent use; inserts of rows pass one at a time, because they share their column memory.
type Store struct {
	conn driver.Conn
	own  bool // Close closes conn
	db   string
	opt  Options
	log  *slog.Logger

	types sync.Map // column types of INSERTs, by table and columns

	inserting sync.Mutex // guards rows
	rows      *columns

	marks marks // what was marked for the roll-ups lately
	rules judgeRules
}

var nameOK = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,63}$`)

// Open checks that ClickHouse answers. It does not touch the tables: see Migrate.
func Open(ctx context.Context, opt Options) (*Store, error) {
	if opt.Database == "" {
		opt.Database = DefaultDatabase
	}
	if !nameOK.MatchString(opt.Database) {
		return nil, fmt.Errorf("database %q: not a plain name", opt.Database)
	}
	s := &Store{conn: opt.Conn, db: opt.Database, opt: opt, log: opt.Log, rows: newColumns(opt.Cell)}
	var err error
	if s.rules, err = loadJudgeRules(schema.Judgements()); err != nil {
		return nil, err
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if err := s.connect(); err != nil {
		return nil, err
	}
	if err := s.Ping(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Store) connect() error {
	given := 0
	for _, b := range []bool{s.opt.Conn != nil, s.opt.ClickHouse != nil, s.opt.DSN != ""} {
		if b {
			given++
		}
	}
	if given != 1 {
		return fmt.Errorf("store wants exactly one of a connection, ClickHouse options, a DSN; it got %d", given)
	}
	opt := s.opt.ClickHouse
	if s.opt.DSN != "" {
		var err error
		if opt, err = clickhouse.ParseDSN(s.opt.DSN); err != nil {
			return fmt.Errorf("read DSN of ClickHouse: %w", err)
		}
		opt.Auth.Database = "" // all names are qualified, and the database may not exist yet
	}
	if opt == nil {
		return nil
	}
	conn, err := clickhouse.Open(opt)
	if err != nil {
		return fmt.Errorf("open ClickHouse: %w", err)
	}
	s.conn, s.own = conn, true
	return nil
}

// Ping asks for an answer.
func (s *Store) Ping(ctx context.Context) error {
	return wrap("ping ClickHouse", s.exec(ctx, "SELECT 1"))
}

// Close ends the connections that Open made.
func (s *Store) Close() error {
	if !s.own {
		return nil
	}
	return s.conn.Close()
}

// Database is where the tables are.
func (s *Store) Database() string { return s.db }

// sql puts the database's name before every table: "~things" is "situ.things".
func (s *Store) sql(text string) string {
	b := make([]byte, 0, len(text)+64)
	for i := range len(text) {
		if text[i] == '~' {
			b = append(append(b, s.db...), '.')
		} else {
			b = append(b, text[i])
		}
	}
	return string(b)
}

func (s *Store) exec(ctx context.Context, query string, args ...any) error {
	return s.conn.Exec(ctx, s.sql(query), args...)
}

// each runs query and calls scan for every row.
func (s *Store) each(ctx context.Context, query string, scan func(driver.Rows) error, args ...any) error {
	rows, err := s.conn.Query(ctx, s.sql(query), args...)
	if err != nil {
		return err
	}
	for rows.Next() {
		if err := scan(rows); err != nil {
			return errors.Join(err, rows.Close())
		}
	}
	if err := rows.Err(); err != nil {
		return errors.Join(err, rows.Close())
	}
	return rows.Close()
}
