package registry

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/situ-city/situ/pkg/geo"
	"github.com/situ-city/situ/pkg/sensor"

	_ "modernc.org/sqlite" // registers the driver "sqlite"; pure Go
)

// Errors of the ledger.
var (
	// ErrNotRegistry: the file is an SQLite database, but not situ's.
	ErrNotRegistry = errors.New("not a situ registry")
	// ErrNewerSchema: a newer situ wrote the file; use that one, or restore a backup.
	ErrNewerSchema = errors.New("the registry was written by a newer situ")
	// ErrCorrupt: tables and change feed disagree, or a row cannot be read.
	ErrCorrupt = errors.New("the registry contradicts itself")
	// ErrBackwards: the file lost changes that this process has seen (it was replaced or restored underneath).
	ErrBackwards = errors.New("the registry went backwards")
	// ErrThing: the Thing is not registered.
	ErrThing = errors.New("unknown Thing")
	// ErrVersion: somebody else changed the Thing since it was read.
	ErrVersion = errors.New("changed by somebody else meanwhile")
	// ErrSerialTaken: another Thing of the same owner, not retired, bears the serial.
	ErrSerialTaken = errors.New("serial is taken")
	// ErrCollision: two different names hash to the same 64 bits; one of them has to be renamed.
	ErrCollision = errors.New("two names with the same hash")
	// ErrBound: more Datastreams than one Thing may have.
	ErrBound = errors.New("too many Datastreams")
)

// MaxDatastreams bounds the Datastreams of one Thing.
const MaxDatastreams = 4096

// Options of a Registry. The zero value works: no divisions, no cells, no catalogue.
type Options struct {
	Logger *slog.Logger     // nil = silent
	Clock  func() time.Time // nil = time.Now

	// Catalogue resolves property names and checks units. nil = a CSV register must give source keys.
	Catalogue *sensor.Catalogue
	// Divisions gives the district of a position where the owner declared none. nil = none is given.
	Divisions *geo.Divisions
	// CellAt gives the H3 cell of resolution 12. nil = Things carry no cell.
	CellAt func(geo.LonLat) geo.Cell
}

// Registry is the writing side of the ledger. Several processes may have the same file open: each write first
// catches up with what others wrote, and Refresh does so without writing.
type Registry struct {
	opt  Options
	path string

	snap        atomic.Pointer[Snapshot]
	credentials atomic.Pointer[credentialSet]

	mu    sync.Mutex // guards write, flush and every Store to snap and credentials
	write *sql.DB    // one connection, transactions take the write lock at their start
	read  *sql.DB
}

// Open opens or makes the ledger at path and loads it into memory. Close it when done.
func Open(ctx context.Context, path string, o Options) (*Registry, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	r := &Registry{opt: o, path: path}
	if err := r.open(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open registry %s: %w", path, err), r.Close())
	}
	s := r.Snapshot()
	o.Logger.Info("registry open", "component", "registry", "path", path, "version", s.Version(),
		"things", s.Things(), "datastreams", s.Datastreams())
	return r, nil
}

func (r *Registry) open(ctx context.Context) (err error) {
	if r.write, err = openDB(r.path, "_txlock=immediate&_journal_mode=WAL&_synchronous=FULL&_foreign_keys=1", 1); err != nil {
		return err
	}
	if err := migrate(ctx, r.write, r.now()); err != nil {
		return err
	}
	if r.read, err = openDB(r.path, "_query_only=1", 4); err != nil {
		return err
	}
	if err := r.load(ctx); err != nil {
		return err
	}
	return r.loadCredentials(ctx)
}

// openDB opens the file with a lock wait of ten seconds: the longest transaction (a register of 100,000 Things is
// written in pieces of 5,000) holds the lock well below that.
func openDB(path, settings string, connections int) (*sql.DB, error) {
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

// Close closes the file. Snapshots that were handed out stay usable.
func (r *Registry) Close() error {
	var err error
	for _, db := range []*sql.DB{r.read, r.write} {
		if db != nil {
			err = errors.Join(err, db.Close())
		}
	}
	return err
}

// Snapshot is the newest state. It costs one atomic load.
func (r *Registry) Snapshot() *Snapshot { return r.snap.Load() }

// ID names this ledger for ever: 32 hexadecimal digits made when the file was made.
func (r *Registry) ID() string { return r.Snapshot().id }

func (r *Registry) now() int64 { return r.opt.Clock().UnixMilli() }

// publish makes s the newest snapshot and wakes those who wait on the one before. The caller holds r.mu.
func (r *Registry) publish(s *Snapshot) {
	if old := r.snap.Swap(s); old != nil {
		close(old.superseded)
	}
}
