package inproc

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/situ-city/situ/internal/bus"
	"github.com/situ-city/situ/pkg/sensor"
)

// Group implements bus.Group. In one process there is one owner of a partition: the newest Consume.
type Group struct {
	b       *Bus
	name    string
	commits *commitFile

	mu      sync.Mutex              // orders Commits with changes of owner; guards what follows
	stop    context.CancelCauseFunc // of the Consume that owns the partitions
	fetched map[int32]int64         // up to where Log has given out messages; reading while it does

	untrimmed int // commits in a row after which nothing could be freed
}

var _ bus.Group = (*Group)(nil)

func openGroup(b *Bus, dir, name string) (*Group, error) {
	c, err := openCommits(dir, name)
	if err != nil {
		return nil, fmt.Errorf("group %s: %w", name, err)
	}
	g := &Group{b: b, name: name, commits: c, fetched: map[int32]int64{}}
	for part := range b.spools {
		if err := g.check(part); err != nil {
			return nil, errors.Join(fmt.Errorf("group %s: %w", name, err), c.close())
		}
	}
	return g, nil
}

// Consume implements bus.Group: it takes all partitions, from an earlier Consume if there is one.
func (g *Group) Consume(ctx context.Context, handle func(context.Context, bus.Assignment) error) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	g.mu.Lock()
	if g.stop != nil {
		g.stop(bus.ErrGeneration)
	}
	g.stop = stop
	generation := g.commits.own()
	g.mu.Unlock()

	eg, egctx := errgroup.WithContext(ctx)
	for _, part := range g.b.parts {
		eg.Go(func() error { return handle(egctx, &assignment{g, part, generation}) })
	}
	err := eg.Wait()
	if err == nil {
		<-ctx.Done() // handles that are done do not give the partitions back
	}
	if ended := ctx.Err(); ended != nil && (err == nil || errors.Is(err, ended)) {
		return context.Cause(ctx)
	}
	return err
}

// Committed tells where the group stands in a partition, to whoever wants to read from there.
func (g *Group) Committed(_ context.Context, part int32) (bus.Position, error) {
	if err := g.check(part); err != nil {
		return bus.Position{}, err
	}
	c := g.commits.position(part)
	return bus.Position{Offset: c.Offset, Meta: c.Meta}, nil
}

// check compares the last commit with the spool. A log made anew with a higher epoch starts without a position.
func (g *Group) check(part int32) error {
	s, err := g.b.spool(part)
	if err != nil {
		return err
	}
	at := g.commits.position(part).Offset
	p := s.Producer()
	f, n := s.Bounds()
	first, next := int64(f), int64(n)
	if inGap(s.Gaps(), at) { // it is still to be told there
		first = min(first, at)
	}
	anew, err := g.commits.check(part, s.LogID(), p.Epoch, first, next)
	if err != nil {
		return fmt.Errorf("%w: %w", bus.ErrOffset, err)
	}
	if anew {
		g.b.log.Warn("the spool was made anew: what the group had not stored of the old one is lost",
			"component", "bus", "group", g.name, "partition", part, "offset", at, "epoch", p.Epoch)
	}
	return nil
}

func inGap(gaps []sensor.Gap, offset int64) bool {
	for _, g := range gaps {
		if int64(g.From) <= offset && offset <= int64(g.To) {
			return true
		}
	}
	return false
}

// assignment is one partition in the hands of one Consume.
type assignment struct {
	g          *Group
	part       int32
	generation uint64
}

func (a *assignment) Partition() int32 { return a.part }

func (a *assignment) Committed(ctx context.Context) (bus.Position, error) {
	return a.g.Committed(ctx, a.part)
}

// Commit implements bus.Assignment: durable when it returns; then what no one needs any more is trimmed.
func (a *assignment) Commit(_ context.Context, p bus.Position) error {
	g := a.g
	s, err := g.b.spool(a.part)
	if err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := g.commits.allow(a.generation); err != nil {
		return fmt.Errorf("commit partition %d: %w: %w", a.part, bus.ErrGeneration, err)
	}
	if _, next := s.Bounds(); p.Offset < 0 || p.Offset > int64(next) {
		return fmt.Errorf("commit %d, the log ends before %d: %w", p.Offset, next, bus.ErrOffset)
	}
	c := commit{
		Part: a.part, Generation: a.generation, Log: s.LogID(), Epoch: s.Producer().Epoch, Offset: p.Offset, Meta: p.Meta,
	}
	if err := g.commits.append(c); err != nil {
		return fmt.Errorf("commit partition %d: %w", a.part, err)
	}
	err = g.b.trim(a.part) // the commit holds; trimming is tried again with the next one
	if err == nil {
		g.untrimmed = 0
	} else if g.untrimmed++; g.untrimmed&(g.untrimmed-1) == 0 { // the first, the second, the fourth, ...: days of it are no flood
		g.b.log.Warn("trimming the spool", "component", "bus", "partition", a.part, "try", g.untrimmed, "err", err)
	}
	return nil
}
