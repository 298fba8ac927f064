package query

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/situ-city/situ/internal/bus"
	"github.com/situ-city/situ/internal/failpoint"
	"github.com/situ-city/situ/internal/livestate"
	"github.com/situ-city/situ/internal/registry"
	"github.com/situ-city/situ/internal/store"
	"github.com/situ-city/situ/pkg/sensor"
)

// Feed keeps the live state equal to the log: it loads the newest values from the store, and follows the bus from
// where the store stood; what comes twice, or in another order, ends in the same state. It tells the registry what
// readings declared, and copies the registry into the store, so that history joins with it.
type Feed struct {
	Log      bus.Log
	From     func(ctx context.Context, part int32) (int64, error)            // the store's position in the log, -1 = at its beginning
	Hold     func(part int32, offset int64) (advance func(int64), err error) // keeps the log from being freed; nil = no need
	Live     *livestate.State
	Registry *registry.Registry
	Catalog  *sensor.Catalogue
	Store    func() *store.Store // nil result: no history now
	Logger   *slog.Logger
	Seen     func(b *sensor.Batch, at time.Time) // told of every batch of the log that the live state has applied; nil = nobody wants to know
	Loaded   func()                              // called once, when the live state holds what the store had
	Still    func(part int32, why string)        // told when a partition of the log stands still, and with "" when it goes on; nil = nobody wants to know
	Copied   func()                              // called whenever the store has the whole registry; nil = nobody wants to know
}

const (
	feedRows     = 20_000
	storePoll    = 50 * time.Millisecond // how soon a store that has come is noticed
	lastCopy     = 5 * time.Second       // bound of the copy that is made when the feed ends
	syncPage     = 5_000
	latestWindow = 7 * 24 * time.Hour // older values are history, not situation
)

// Run feeds until ctx ends. history says whether there is a store to load from (false: start from the log alone).
func (f *Feed) Run(ctx context.Context, history bool) error {
	parts, err := f.Log.Partitions(ctx)
	if err != nil {
		return fmt.Errorf("live feed: %w", err)
	}
	starts := make([]int64, len(parts))
	advances := make([]func(int64), len(parts))
	for i, part := range parts {
		if starts[i], advances[i], err = f.start(ctx, part); err != nil {
			return fmt.Errorf("live feed of partition %d: %w", part, err)
		}
	}
	eg, ctx := errgroup.WithContext(ctx)
	// The order does not matter to the live state, and a store that never comes must not keep the situation away.
	eg.Go(func() error {
		if history {
			if err := f.load(ctx); err != nil {
				return err
			}
		}
		if f.Loaded != nil {
			f.Loaded()
		}
		return nil
	})
	for i, part := range parts {
		eg.Go(func() error { return f.follow(ctx, part, starts[i], advances[i]) })
	}
	eg.Go(func() error { return f.tick(ctx) })
	eg.Go(func() error { return f.watch(ctx) })
	return eg.Wait()
}

// start finds where to begin and holds it.
func (f *Feed) start(ctx context.Context, part int32) (int64, func(int64), error) {
	for {
		from, err := f.From(ctx, part)
		if err != nil {
			return 0, nil, err
		}
		first, _, err := f.Log.Bounds(ctx, part)
		if err != nil {
			return 0, nil, err
		}
		from = max(from, first)
		if f.Hold == nil {
			return from, func(int64) {}, nil
		}
		advance, err := f.Hold(part, from)
		if errors.Is(err, bus.ErrOffset) && ctx.Err() == nil {
			if now, _, berr := f.Log.Bounds(ctx, part); berr == nil && now > first {
				continue // freed since it was looked at
			}
		}
		return from, advance, err
	}
}

// load fills the live state from the store, waiting for the store to be there.
func (f *Feed) load(ctx context.Context) error {
	for failed := 0; ; {
		if s := f.Store(); s != nil {
			err := s.Latest(ctx, failpoint.Now().Add(-latestWindow).UnixMilli(), func(b *sensor.Batch) error {
				f.Live.Apply(b, failpoint.Now())
				return nil
			})
			if err == nil || ctx.Err() != nil {
				return ctx.Err()
			}
			if failed++; failed&(failed-1) == 0 { // the first, the second, the fourth, ...: days of it are no flood
				f.Logger.Warn("load the newest values; trying again", "component", "livestate", "try", failed, "err", err)
			}
		}
		select {
		case <-time.After(500 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// follow applies partition part from offset from on.
func (f *Feed) follow(ctx context.Context, part int32, from int64, advance func(int64)) error {
	var b sensor.Batch
	for {
		b.Reset()
		next, err := fetchPatiently(ctx, f.Log, f.Logger, part, from, 0, &b, f.Still)
		if ctx.Err() != nil {
			return nil
		}
		if errors.Is(err, bus.ErrOffset) {
			return fmt.Errorf("live feed of partition %d: the log no longer has offset %d; start again: %w", part, from, err)
		}
		if err != nil {
			return fmt.Errorf("live feed of partition %d: %w", part, err)
		}
		if err := declarePatiently(ctx, f.Registry, f.Logger, b.Declarations); err != nil && ctx.Err() == nil {
			return err
		}
		f.Live.Apply(&b, failpoint.Now())
		if f.Seen != nil {
			f.Seen(&b, failpoint.Now())
		}
		from = next
		advance(next)
	}
}

// fetchPatiently is the log's Fetch, which waits where a message cannot be read: people still want the rest of the
// situation, and gateways the registry. still is told, if there is one.
func fetchPatiently(ctx context.Context, log bus.Log, logger *slog.Logger, part int32, from, to int64, b *sensor.Batch, still func(int32, string)) (int64, error) {
	stands := false
	for pause := time.Second; ; pause = min(2*pause, time.Minute) {
		next, err := log.Fetch(ctx, part, from, to, feedRows, b)
		if bad := errors.Is(err, bus.ErrMessage); !bad {
			if stands && still != nil {
				still(part, "")
			}
			return next, err
		}
		if stands = true; still != nil {
			still(part, err.Error())
		}
		logger.Error("the live state stands still in one partition", "component", "livestate", "partition", part, "err", err)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return from, ctx.Err()
		}
	}
}

// declarePatiently has the registry hear what readings declared, for as long as it takes: a disk that is full, or a
// database that is away, is no reason to end the process that takes the readings. One that went backwards is.
func declarePatiently(ctx context.Context, r *registry.Registry, logger *slog.Logger, d []sensor.Declaration) error {
	if len(d) == 0 {
		return nil
	}
	for n, pause := 1, 100*time.Millisecond; ; n, pause = n+1, min(2*pause, 5*time.Second) {
		_, err := r.Declare(ctx, d)
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil || errors.Is(err, registry.ErrBackwards):
			return fmt.Errorf("declare what readings declared: %w", err)
		case n&(n-1) == 0: // the first, the second, the fourth, ...: days of it are no flood
			logger.Warn("the registry takes no declarations; trying again", "component", "registry", "try", n, "err", err)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (f *Feed) tick(ctx context.Context) error {
	t := time.NewTicker(time.Second)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			f.Live.Tick(failpoint.Now())
		case <-ctx.Done():
			return nil
		}
	}
}

// watch follows the registry's change feed: the live state looks changed Things up again, the store gets a copy.
func (f *Feed) watch(ctx context.Context) error {
	var seen uint64             // shown to the live state
	var copied uint64           // in the store
	var properties *store.Store // the store that has the catalogue
	for failed := 0; ; {
		snap := f.Registry.Snapshot()
		var err error
		doing, retry := "show the registry's changes", 24*time.Hour
		if seen, err = f.refresh(ctx, seen); errors.Is(err, registry.ErrBackwards) && ctx.Err() == nil {
			return fmt.Errorf("follow the registry: %w", err)
		}
		s := f.Store()
		if err == nil && s != nil {
			doing = "copy the registry to the store"
			if s != properties {
				if err = s.SyncProperties(ctx, f.Catalog.All()); err == nil {
					properties, copied = s, 0
				}
			}
			if err == nil {
				copied, err = f.copy(ctx, s, copied)
			}
		}
		switch {
		case err != nil: // a database is away: what is known is shown
			retry = time.Second
			if failed++; ctx.Err() == nil && failed&(failed-1) == 0 { // the first, the second, the fourth, ...: days of it are no flood
				f.Logger.Warn(doing+"; trying again", "component", "registry", "try", failed, "err", err)
			}
		case s == nil:
			failed, retry = 0, storePoll
		default:
			if failed = 0; f.Copied != nil {
				f.Copied()
			}
		}
		select {
		case <-snap.Superseded():
		case <-time.After(retry):
		case <-ctx.Done():
			return f.leave(ctx, properties, copied)
		}
	}
}

// leave copies what was declared in the last moment, so that a store that others read has its names. What it cannot
// copy now the next start copies.
func (f *Feed) leave(ctx context.Context, s *store.Store, copied uint64) error {
	if s == nil || f.Store() != s {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastCopy)
	defer cancel()
	if _, err := f.copy(ctx, s, copied); err != nil {
		f.Logger.Info("the registry's last changes are copied to the store at the next start", "component", "registry", "err", err)
	}
	return nil
}

func (f *Feed) refresh(ctx context.Context, seen uint64) (uint64, error) {
	for {
		changes, next, err := f.Registry.Changes(ctx, seen, syncPage)
		if err != nil || next == seen {
			return seen, err
		}
		for _, c := range changes {
			switch {
			case c.Thing != nil:
				f.Live.Refresh(c.Thing.ID.Key())
			case c.Datastream != nil:
				f.Live.Refresh(c.Datastream.Thing.Key())
			}
		}
		seen = next
	}
}

func (f *Feed) copy(ctx context.Context, s *store.Store, copied uint64) (uint64, error) {
	for {
		changes, next, err := f.Registry.Changes(ctx, copied, syncPage)
		if err != nil || next == copied {
			return copied, err
		}
		var things []sensor.Thing
		var streams []sensor.Datastream
		for _, c := range changes {
			if c.Thing != nil {
				things = append(things, *c.Thing)
			} else if c.Datastream != nil {
				streams = append(streams, *c.Datastream)
			}
		}
		if err := s.SyncRegistry(ctx, things, streams); err != nil {
			return copied, err
		}
		copied = next
	}
}

// Meta is livestate's look-up in the registry.
type Meta struct {
	Registry  *registry.Registry
	Catalogue *sensor.Catalogue
}

// Meta implements livestate.Lookup.
func (m Meta) Meta(id sensor.DatastreamID) (livestate.Info, bool) {
	snap := m.Registry.Snapshot()
	d, ok := snap.Datastream(id)
	if !ok {
		return livestate.Info{}, false
	}
	t, ok := snap.Thing(d.Thing)
	if !ok {
		return livestate.Info{}, false
	}
	info := livestate.Info{Thing: t.ID, Statistic: d.Statistic, Class: t.Class, Grade: t.Grade, Interval: d.Interval, Retired: t.Retired}
	if p, ok := m.Catalogue.ByCode(d.Property); ok {
		info.Property = p.Number
	}
	return info, true
}
