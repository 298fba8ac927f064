// Package ingester moves observations from the bus into ClickHouse, each exactly once (step 6 of 8).
//
// In: the messages of a bus.Log's partitions. Out: blocks in internal/store, declarations to the registry, and a
// committed position that lets the log forget what is stored. It drops nothing: a store that is away is waited for, with
// the same block under the same token, for as long as it takes; meanwhile Ready says why and situ_ingester_retries_total
// counts. What it refuses is to guess: a position that the log, the commits and the store do not agree on stops it with
// a text that says what to do (internal/protocol: MakePlan).
//
// One block, from s to e, of one partition:
//
//	fetch [s,e)          by rows or by time; rows are a function of the log and of the watermarks at s
//	commit s, intent     "I am about to store s..e": whoever comes after a crash stores exactly the same range
//	repeats, rows        one INSERT a month, its token named after the range
//	dead letters, gaps   their tables keep one row an identity
//	declare              Things and Datastreams that announced themselves, to the registry
//	record               the row of ingest_blocks: what it says is stored, is stored
//	commit e             together with the next intent, if the next block is there already
//
// A crash anywhere is mended by replaying the committed intent. Commit is refused to a process that no longer owns the
// partition; it then drops everything it holds.
package ingester

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/situ-city/situ/internal/bus"
	"github.com/situ-city/situ/internal/protocol"
	"github.com/situ-city/situ/internal/store"
	"github.com/situ-city/situ/pkg/sensor"
)

// Why an ingester stops instead of guessing.
var (
	ErrIntent        = protocol.ErrIntent
	ErrLogReplaced   = protocol.ErrLogReplaced
	ErrLogShrank     = protocol.ErrLogShrank
	ErrCommitsBehind = protocol.ErrCommitsBehind
	ErrStoreBehind   = protocol.ErrStoreBehind
)

// Store is what the ingester asks of internal/store.
type Store interface {
	InsertRepeats(ctx context.Context, b *store.Block) error
	InsertRows(ctx context.Context, b *store.Block, doubtful bool) error
	InsertBeside(ctx context.Context, b *store.Block) error
	InsertBlock(ctx context.Context, b *store.Block) error
	NewestBlock(ctx context.Context, log string, partition int32, to int64) (store.StoredBlock, bool, error)
	Watermarks(ctx context.Context, except string) (map[sensor.Producer]uint64, error)
	NewestTimes(ctx context.Context, each func(sensor.DatastreamID, int64)) error
}

// Defaults of the Options.
const (
	DefaultMaxRows  = 100_000                // the engine's cost a row falls until about here
	DefaultLinger   = 400 * time.Millisecond // so that a lone reading is in SQL within a second
	DefaultPatience = 20 * time.Second       // for what is under way when it is told to stop
)

// Pace says when a partition's next block may be stored, and is told of those that were.
type Pace interface {
	Wait(ctx context.Context, part int32) error // an error is ctx's
	Moved(part int32, rows int)
}

// Options of an Ingester. Log, Group and Store are needed.
type Options struct {
	Log   bus.Log
	Group bus.Group
	Store Store

	// Declare hands what announced itself to the registry, before the position moves on. It may be called again with the
	// same after a crash; an error is taken for passing, and the call is repeated. nil = nobody wants to know.
	Declare func(ctx context.Context, d []sensor.Declaration) error
	// RegistryVersion is noted in intents. nil = 0.
	RegistryVersion func() uint64

	// Pace holds partitions back for others. nil = none waits.
	Pace Pace

	MaxRows  int           // a block is closed when it has so many; 0 = DefaultMaxRows
	Linger   time.Duration // or when its first row has waited so long; 0 = DefaultLinger
	Patience time.Duration // bound of flushing at the end; 0 = DefaultPatience
	Holds    time.Duration // how long an announced block need not be compared: protocol.Holds of the group's session; 0 = protocol.Lease

	Logger     *slog.Logger          // nil = silent
	Registerer prometheus.Registerer // nil = metrics that nobody reads
}

// Ingester stores what the bus brings.
type Ingester struct {
	opt     Options
	log     *slog.Logger
	m       *metrics
	recency *recency

	mu      sync.Mutex       // guards what follows
	trouble map[string]error // why it is not ready, by partition or stage
}

// New checks the options.
func New(opt Options) (*Ingester, error) {
	if opt.Log == nil || opt.Group == nil || opt.Store == nil {
		return nil, errors.New("an ingester wants a log, a group and a store")
	}
	if opt.MaxRows <= 0 {
		opt.MaxRows = DefaultMaxRows
	}
	if opt.Linger <= 0 {
		opt.Linger = DefaultLinger
	}
	if opt.Patience <= 0 {
		opt.Patience = DefaultPatience
	}
	if opt.Holds <= 0 {
		opt.Holds = protocol.Lease
	}
	if opt.Logger == nil {
		opt.Logger = slog.New(slog.DiscardHandler)
	}
	if opt.Registerer == nil {
		opt.Registerer = prometheus.NewRegistry()
	}
	m, err := newMetrics(opt.Registerer)
	if err != nil {
		return nil, err
	}
	return &Ingester{opt: opt, log: opt.Logger.With("component", "ingester"), m: m, recency: newRecency(), trouble: map[string]error{}}, nil
}

// Run stores until ctx ends, then flushes what it has fetched, commits, and returns nil. Any other return is an error
// that needs a person; nothing acknowledged is lost by it.
func (g *Ingester) Run(ctx context.Context) error {
	err := g.opt.Group.Consume(ctx, g.partition)
	if ctx.Err() != nil && (err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)) {
		return nil
	}
	return err
}

// Ready is nil when everything moves, else why not.
func (g *Ingester) Ready() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	for where, err := range g.trouble {
		return fmt.Errorf("%s: %w", where, err)
	}
	return nil
}

// note sets or, with nil, clears what is wrong at a place.
func (g *Ingester) note(where string, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if err == nil {
		delete(g.trouble, where)
		return
	}
	g.trouble[where] = err
}
