package registry

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
)

// ErrAddress: the PostgreSQL address cannot be used. What is wrong with it is not shown: it may hold a password.
var ErrAddress = errors.New("not a PostgreSQL address (want postgres://user@host:5432/database, with sslmode=verify-full or another one said for a host that is not this machine)")

const (
	lockWithin = 10 * time.Second // how long a transaction waits for another's lock, as on SQLite
	idleWithin = 20 * time.Second // how long a session that does nothing may hold one
	dialWithin = 10 * time.Second

	attemptWithin = time.Minute // a piece of a register (5,000 rows) takes two seconds
)

// postgres is the dialect of a PostgreSQL database. A sequence would give numbers in the order of asking, not of
// committing: a reader that has seen 8 could miss 7. So numbers come from a row that each writing transaction locks
// first and holds until its commit. Read committed: what follows the lock sees all that was committed before it.
var postgres = dialect{
	reading:   &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true},
	migrating: fmt.Sprintf("SELECT pg_advisory_xact_lock(%d)", applicationID),
	schemaOf:  postgresSchema,
	translate: strings.NewReplacer(") STRICT;", ");", "INTEGER PRIMARY KEY AUTOINCREMENT", "BIGINT PRIMARY KEY",
		"INTEGER", "BIGINT", "BLOB", "BYTEA").Replace,
	stamp:     postgresStamp,
	writing:   "SELECT head FROM situ_registry FOR UPDATE",
	head:      "SELECT head FROM situ_registry",
	advance:   "UPDATE situ_registry SET head = $1",
	parameter: func(n int) string { return "$" + strconv.Itoa(n) },
	transient: postgresTransient,
	within:    attemptWithin,
}

// IsPostgres reports whether a registry's address is one of PostgreSQL, not a file.
func IsPostgres(address string) bool {
	return strings.HasPrefix(address, "postgres://") || strings.HasPrefix(address, "postgresql://")
}

// CheckPostgres looks at an address without connecting. The error does not show it.
func CheckPostgres(address string) error {
	_, err := parsePostgres(address, "")
	return err
}

func parsePostgres(address, password string) (*pgx.ConnConfig, error) {
	cfg, err := pgx.ParseConfig(address)
	if err != nil || !IsPostgres(address) {
		return nil, ErrAddress
	}
	plain := cfg.TLSConfig == nil && isFar(cfg.Host)
	for _, f := range cfg.Fallbacks { // sslmode=prefer, the default, ends there
		plain = plain || f.TLSConfig == nil && isFar(f.Host)
	}
	if plain && !strings.Contains(address, "sslmode=disable") { // in the clear only when it is asked for
		return nil, ErrAddress
	}
	if password != "" {
		cfg.Password = password
	}
	if cfg.ConnectTimeout == 0 {
		cfg.ConnectTimeout = dialWithin
	}
	if cfg.RuntimeParams["application_name"] == "" {
		cfg.RuntimeParams["application_name"] = "situ-registry"
	}
	return cfg, nil
}

func isFar(host string) bool {
	ip := net.ParseIP(host)
	return !strings.HasPrefix(host, "/") && host != "localhost" && (ip == nil || !ip.IsLoopback())
}

func openPostgres(address, password string) (*backend, error) {
	b := &backend{name: "postgres", words: postgres}
	cfg, err := parsePostgres(address, password)
	if err != nil {
		return b, err
	}
	b.name = fmt.Sprintf("postgres://%s@%s/%s", cfg.User, net.JoinHostPort(cfg.Host, strconv.Itoa(int(cfg.Port))), cfg.Database)
	open := func(connections int, readOnly string) *sql.DB {
		db := stdlib.OpenDB(*cfg, stdlib.OptionAfterConnect(func(ctx context.Context, c *pgx.Conn) error {
			return prepareSession(ctx, c, readOnly)
		}))
		db.SetMaxOpenConns(connections)
		db.SetMaxIdleConns(connections)
		return db
	}
	b.write, b.read = open(1, "off"), open(4, "on")
	return b, nil
}

// prepareSession refuses a database whose texts are not UTF-8, and sets what a session of the ledger needs: a commit
// that is told is on disk, also where the server's default is otherwise; nothing waits or holds a lock for ever.
func prepareSession(ctx context.Context, c *pgx.Conn, readOnly string) error {
	var encoding string
	err := c.QueryRow(ctx, fmt.Sprintf(`SELECT current_setting('server_encoding'),
		set_config('client_encoding', 'UTF8', false), set_config('default_transaction_isolation', 'read committed', false),
		set_config('default_transaction_read_only', $1, false), set_config('lock_timeout', '%d', false), set_config('idle_in_transaction_session_timeout', '%d', false),
		set_config('synchronous_commit', CASE current_setting('synchronous_commit') WHEN 'off' THEN 'on' ELSE current_setting('synchronous_commit') END, false)`,
		lockWithin.Milliseconds(), idleWithin.Milliseconds()), readOnly).Scan(&encoding, nil, nil, nil, nil, nil, nil)
	if err == nil && encoding != "UTF8" {
		err = fmt.Errorf("the database is in %s; make one with ENCODING 'UTF8' TEMPLATE template0: %w", encoding, ErrNotRegistry)
	}
	if err != nil {
		return errors.Join(err, c.Close(ctx))
	}
	return nil
}

// postgresSchema reads which schema there is. Tables of others do no harm; one with a name of situ's does.
func postgresSchema(ctx context.Context, tx *sql.Tx, known int) (int, error) {
	var there bool
	var foreign int
	err := tx.QueryRowContext(ctx, `SELECT to_regclass('situ_registry') IS NOT NULL, (SELECT count(*) FROM pg_tables
		WHERE schemaname = current_schema() AND tablename IN ('ledger', 'changes', 'things', 'datastreams', 'credentials'))`).
		Scan(&there, &foreign)
	switch {
	case err != nil:
		return 0, err
	case !there && foreign > 0:
		return 0, fmt.Errorf("%d tables of these names, made by something else; give situ a database of its own: %w", foreign, ErrNotRegistry)
	case !there:
		return 0, nil
	}
	var version int
	if err := tx.QueryRowContext(ctx, "SELECT schema FROM situ_registry").Scan(&version); err != nil {
		return 0, err
	}
	return version, newerThan(version, known)
}

func postgresStamp(schema int) string {
	if schema > 1 {
		return fmt.Sprintf("UPDATE situ_registry SET schema = %d", schema)
	}
	return `CREATE TABLE situ_registry (
		one    BIGINT PRIMARY KEY CHECK (one = 1),
		schema BIGINT NOT NULL, -- number of the newest migration
		head   BIGINT NOT NULL  -- number of the newest change ever given; whoever writes locks this row first
	); INSERT INTO situ_registry VALUES (1, 1, 0)`
}

// transientCodes are SQLSTATEs and classes after which the same transaction may well succeed: connection lost, server
// stopping or starting, too many sessions, lock not given in time, deadlock, serialisation.
var transientCodes = []string{"08", "57P", "53300", "55P03", "40001", "40P01", "25P03"}

func postgresTransient(err error) bool {
	var refused *pgconn.PgError
	if errors.As(err, &refused) {
		return slices.ContainsFunc(transientCodes, func(c string) bool { return strings.HasPrefix(refused.Code, c) })
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return false
	}
	var away *pgconn.ConnectError
	var network net.Error
	return errors.As(err, &away) || errors.As(err, &network) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) ||
		errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone)
}
