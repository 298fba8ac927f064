// Package inproc is the bus of the embedded world: the spools of the lanes, read in process (step 5 of 8).
//
// Partition = lane number, offset = seq of the spool's record; the message on disk is the message on the bus, so
// nothing is written twice. What a group has done is kept in an append-only file beside the spools, synced before
// Commit returns. Generation: each Consume takes the partitions from the one before; another process cannot, for
// the spools and the commit files are locked.
//
// The spool is trimmed below what every group has committed and what every live reader still Holds. Gaps that the
// spool left when it was told to drop its oldest records are delivered as sensor.Gap at their place.
//
// Callers: internal/ingester (Group), internal/livestate (Hold, Fetch). It never appends to a spool.
package inproc

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"

	"github.com/situ-city/situ/internal/bus"
	"github.com/situ-city/situ/internal/spool"
)

// Config of the bus.
type Config struct {
	Spools []*spool.Spool // one a lane; they stay the caller's to close, after the bus
	Dir    string         // for the commit files, made if absent
	Groups []string       // every group that may consume: records are kept until each has committed them
	Logger *slog.Logger   // nil = silent

	// Announced reads of a commit's metadata up to which offset its group is about to store; 0 = none. nil = none ever.
	Announced func(meta string) (to int64)
}

// Bus implements bus.Log; Group gives its groups.
type Bus struct {
	log       *slog.Logger
	announced func(meta string) int64
	spools    map[int32]*spool.Spool
	parts     []int32
	groups    map[string]*Group

	mu      sync.Mutex // guards the fields below
	holds   map[*Hold]struct{}
	readers []*reader // idle ones, most recently used last
	closed  bool
}

var _ bus.Log = (*Bus)(nil)

// Open reads the groups' commits.
func Open(cfg Config) (*Bus, error) {
	b := &Bus{
		log: cfg.Logger, announced: cfg.Announced, spools: map[int32]*spool.Spool{}, groups: map[string]*Group{}, holds: map[*Hold]struct{}{},
	}
	if b.log == nil {
		b.log = slog.New(slog.DiscardHandler)
	}
	if b.announced == nil {
		b.announced = func(string) int64 { return 0 }
	}
	for _, s := range cfg.Spools {
		part := int32(s.Producer().Lane)
		if b.spools[part] != nil {
			return nil, fmt.Errorf("open bus: two spools of lane %v", s.Producer().Lane)
		}
		b.spools[part] = s
	}
	b.parts = slices.Sorted(maps.Keys(b.spools))
	for _, name := range cfg.Groups {
		g, err := openGroup(b, cfg.Dir, name)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("open bus: %w", err), b.Close())
		}
		b.groups[name] = g
	}
	return b, nil
}

// Group gives one of Config.Groups; all callers share it.
func (b *Bus) Group(name string) (*Group, error) {
	if g := b.groups[name]; g != nil {
		return g, nil
	}
	return nil, fmt.Errorf("bus has no group %q: it is not in Config.Groups", name)
}

// Close lets the files go. Consumers and readers must have ended.
func (b *Bus) Close() error {
	b.mu.Lock()
	b.closed = true
	idle := b.readers
	b.readers = nil
	b.mu.Unlock()
	var errs []error
	for _, r := range idle {
		errs = append(errs, r.Close())
	}
	for _, g := range b.groups {
		errs = append(errs, g.commits.close())
	}
	return errors.Join(errs...)
}

func (b *Bus) spool(part int32) (*spool.Spool, error) {
	if s := b.spools[part]; s != nil {
		return s, nil
	}
	return nil, fmt.Errorf("bus has no partition %d", part)
}
