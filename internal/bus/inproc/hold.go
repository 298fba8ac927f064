package inproc

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/situ-city/situ/internal/bus"
	"github.com/situ-city/situ/internal/protocol"
	"github.com/situ-city/situ/internal/spool"
	"github.com/situ-city/situ/pkg/sensor"
)

// Hold keeps a partition's messages from an offset on from being trimmed while somebody still has to read them.
// It does not hold against a spool that must drop its oldest records to stay within its bound.
type Hold struct {
	b      *Bus
	part   int32
	offset int64
}

// Hold registers a reader at offset. ErrOffset if that is trimmed already.
func (b *Bus) Hold(part int32, offset int64) (*Hold, error) {
	s, err := b.spool(part)
	if err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	// With b.mu held no trim runs, so what is there now stays.
	if first, _ := s.Bounds(); offset < int64(first) && !inGap(s.Gaps(), offset) {
		return nil, fmt.Errorf("hold partition %d at %d, oldest is %d: %w", part, offset, first, bus.ErrOffset)
	}
	h := &Hold{b, part, offset}
	b.holds[h] = struct{}{}
	return h, nil
}

// Advance says that everything before offset has been read.
func (h *Hold) Advance(offset int64) {
	h.b.mu.Lock()
	defer h.b.mu.Unlock()
	h.offset = max(h.offset, offset)
}

// Release ends the hold.
func (h *Hold) Release() {
	h.b.mu.Lock()
	defer h.b.mu.Unlock()
	delete(h.b.holds, h)
}

// reading stands in Group.fetched while nobody knows how far the Fetch under way will come.
const reading = int64(1) << 62

// Log is the bus as the group's own consumer must read it: what it gives out is remembered, so that no Policy of the
// spool makes it less before it is stored.
func (g *Group) Log() bus.Log { return groupLog{g.b, g} }

type groupLog struct {
	*Bus
	g *Group
}

func (l groupLog) Fetch(ctx context.Context, part int32, from, to int64, maxRows int, batch *sensor.Batch) (int64, error) {
	before := l.g.setFetched(part, reading)
	next, err := l.Bus.Fetch(ctx, part, from, to, maxRows, batch)
	l.g.setFetched(part, max(before, next))
	return next, err
}

func (g *Group) setFetched(part int32, to int64) (before int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	before, g.fetched[part] = g.fetched[part], to
	return before
}

// HoldThin is for spool.Policy: it gives the first message of a partition that no group has fetched or announced to
// store, and keeps the groups from fetching and committing until release.
func (b *Bus) HoldThin(part int32) (from uint64, release func()) {
	keep := int64(1)
	for _, name := range slices.Sorted(maps.Keys(b.groups)) { // always in the same order
		g := b.groups[name]
		g.mu.Lock()
		c := g.commits.position(part)
		keep = max(keep, c.Offset, b.announced(c.Meta), g.fetched[part])
	}
	return uint64(keep), func() {
		for _, g := range b.groups {
			g.mu.Unlock()
		}
	}
}

// trim frees what every group has committed and no hold needs.
func (b *Bus) trim(part int32) error {
	var committed, held []int64
	for _, g := range b.groups {
		committed = append(committed, g.commits.position(part).Offset)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for h := range b.holds {
		if h.part == part {
			held = append(held, h.offset)
		}
	}
	before, ok := protocol.Trimmable(committed, held)
	if !ok || before <= 1 {
		return nil
	}
	b.forgetReaders(b.spools[part], uint64(before))
	return b.spools[part].Trim(uint64(before))
}

// forgetReaders closes idle readers that stand below before: an open file keeps its blocks on the disk although its
// name is gone. b.mu is held.
func (b *Bus) forgetReaders(s *spool.Spool, before uint64) {
	b.readers = slices.DeleteFunc(b.readers, func(r *reader) bool {
		old := r.spool == s && r.Position() < before
		if old {
			_ = r.Close() // read only
		}
		return old
	})
}
