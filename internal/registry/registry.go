package registry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/situ-city/situ/pkg/geo"
	"github.com/situ-city/situ/pkg/sensor"
)

// Errors of the ledger.
var (
	// ErrNotRegistry: it is a database, but not situ's.
	ErrNotRegistry = errors.New("not a situ registry")
	// ErrNewerSchema: a newer situ wrote it; use that one, or restore a backup.
	ErrNewerSchema = errors.New("the registry was written by a newer situ")
	// ErrCorrupt: tables and change feed disagree, or a row cannot be read.
	ErrCorrupt = errors.New("the registry contradicts itself")
	// ErrBackwards: the database lost changes that this process has seen (it was replaced or restored underneath).
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
	// Models are the templates of a register's column model. nil = it is left out, with a note.
	Models *sensor.Models
	// Divisions gives the district of a position where the owner declared none. nil = none is given.
	Divisions *geo.Divisions
	// CellAt gives the H3 cell of resolution 12. nil = Things carry no cell.
	CellAt func(geo.LonLat) geo.Cell

	// Password for PostgreSQL, where it does not stand in the address.
	Password string
}

// Registry is the writing side of the ledger. Several processes may have the same one open: each write first catches
// up with what others wrote, and Refresh does so without writing.
type Registry struct {
	*backend
	opt Options

	snap        atomic.Pointer[Snapshot]
	credentials atomic.Pointer[credentialSet]

	mu sync.Mutex // guards backend.write and every Store to snap and credentials
}

// Open opens or makes the ledger and loads it into memory. address is the path of an SQLite file, or
// postgres://user@host/database. Close it when done.
func Open(ctx context.Context, address string, o Options) (*Registry, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	r := &Registry{opt: o}
	if err := r.open(ctx, address); err != nil {
		return nil, errors.Join(fmt.Errorf("open registry %s: %w", r.name, err), r.Close())
	}
	s := r.Snapshot()
	o.Logger.Info("registry open", "component", "registry", "registry", r.name, "version", s.Version(),
		"things", s.Things(), "datastreams", s.Datastreams())
	return r, nil
}

func (r *Registry) open(ctx context.Context, address string) (err error) {
	if IsPostgres(address) {
		r.backend, err = openPostgres(address, r.opt.Password)
	} else {
		r.backend, err = openSQLite(address)
	}
	if err != nil {
		return err
	}
	if err := r.again(ctx, func(ctx context.Context) error { return r.migrate(ctx, r.now()) }); err != nil {
		return err
	}
	if err := r.load(ctx); err != nil {
		return err
	}
	return r.loadCredentials(ctx)
}

// Close closes the database. Snapshots that were handed out stay usable.
func (r *Registry) Close() error { return r.close() }

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
