package inproc

import (
	"fmt"
	"slices"

	"github.com/situ-city/situ/internal/bus"
	"github.com/situ-city/situ/internal/protocol"
	"github.com/situ-city/situ/internal/spool"
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
