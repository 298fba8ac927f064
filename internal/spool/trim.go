package spool

import (
	"fmt"
	"slices"

	"github.com/situ-city/situ/pkg/sensor"
)

// GapSpoolFull is the reason of gaps that DropOldest leaves.
const GapSpoolFull = "spool_full"

// Trim frees the segments that hold only records below before. The last one always stays, so that the numbering
// goes on from it. Which records are done is the caller's knowledge: the bus has them, or the store.
func (s *Spool) Trim(before uint64) error {
	s.trimMu.Lock()
	defer s.trimMu.Unlock()
	for {
		seg := s.oldest()
		if seg == nil || seg.next > before {
			return s.forgetGaps(before)
		}
		if err := s.free(seg); err != nil {
			return err
		}
	}
}

// DropOldestSegment frees the oldest segment whatever it holds, after noting durably that its records are gone.
// False: there is only the one that is written to.
func (s *Spool) DropOldestSegment() (sensor.Gap, bool, error) { return s.dropOldest() }

func (s *Spool) dropOldest() (sensor.Gap, bool, error) {
	s.trimMu.Lock()
	defer s.trimMu.Unlock()
	seg := s.oldest()
	if seg == nil {
		return sensor.Gap{}, false, nil
	}
	g := gap{From: seg.first, To: seg.next - 1, At: s.cfg.Clock().UnixMilli(), Reason: GapSpoolFull}
	err := s.updateMeta(func(m *meta) {
		m.Gaps = slices.Clone(m.Gaps)
		if n := len(m.Gaps); n > 0 && m.Gaps[n-1].To+1 == g.From && m.Gaps[n-1].Reason == g.Reason {
			m.Gaps[n-1].To, m.Gaps[n-1].At = g.To, g.At
			return
		}
		m.Gaps = append(m.Gaps, g)
	})
	if err != nil {
		return sensor.Gap{}, false, fmt.Errorf("note a gap: %w", err)
	}
	if err := s.free(seg); err != nil {
		return sensor.Gap{}, false, err
	}
	s.log.Warn("freed the oldest segment to stay within the bound", "component", "spool", "dir", s.cfg.Dir, "from", g.From, "to", g.To)
	return s.gap(g), true, nil
}

// Gaps lists what was removed by policy and not trimmed since, oldest first.
func (s *Spool) Gaps() []sensor.Gap {
	s.segMu.Lock()
	gaps := s.meta.Gaps // never changed in place
	s.segMu.Unlock()
	out := make([]sensor.Gap, len(gaps))
	for i, g := range gaps {
		out[i] = s.gap(g)
	}
	return out
}

func (s *Spool) gap(g gap) sensor.Gap {
	return sensor.Gap{Producer: s.producer, From: g.From, To: g.To, At: g.At, Reason: g.Reason}
}

// oldest gives the first segment, unless it is the one written to.
func (s *Spool) oldest() *segment {
	s.segMu.Lock()
	defer s.segMu.Unlock()
	if len(s.segments) == 1 {
		return nil
	}
	return s.segments[0]
}

// free removes the oldest segment's file and then the segment; s.trimMu is held. A reader inside keeps its handle.
func (s *Spool) free(seg *segment) error {
	if err := s.fs.remove(seg.path); err != nil {
		return fmt.Errorf("free a segment: %w", err)
	}
	s.segMu.Lock()
	s.segments = slices.Delete(s.segments, 0, 1)
	size := seg.size
	s.segMu.Unlock()
	s.mu.Lock()
	s.used -= size
	s.mu.Unlock()
	return nil
}

// forgetGaps drops the gaps that lie wholly below before: whoever had to know of them does.
func (s *Spool) forgetGaps(before uint64) error {
	done := func(g gap) bool { return g.To < before }
	s.segMu.Lock()
	any := slices.ContainsFunc(s.meta.Gaps, done)
	s.segMu.Unlock()
	if !any {
		return nil
	}
	return s.updateMeta(func(m *meta) { m.Gaps = slices.DeleteFunc(slices.Clone(m.Gaps), done) })
}

// finishDrop frees, at opening, what a gap record says is gone and a crash left behind.
func (s *Spool) finishDrop() error {
	for _, g := range s.meta.Gaps {
		for len(s.segments) > 1 && s.segments[0].next-1 <= g.To {
			if err := s.fs.remove(s.segments[0].path); err != nil {
				return err
			}
			s.segments = s.segments[1:]
		}
	}
	return nil
}
