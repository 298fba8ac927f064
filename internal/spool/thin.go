package spool

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/situ-city/situ/pkg/sensor"
)

// Reasons of the gaps that a Policy leaves.
const (
	GapHorizon = "horizon" // older than the class is kept when room is needed
	// GapSpoolFull, of messages younger than that: there was no other way to have room.
)

// Policy says what a spool that fills removes, so that what matters more is still taken. It removes nothing as long as
// there is room. Then, always oldest first: of each class what is older than its horizon, in the order of the list; then,
// if that was not enough, of each class the rest. What is of no class of the list is never removed: when only that is
// left and the spool is full, Append refuses with ErrFull.
type Policy struct {
	Classes []Horizon
	Start   int64 // bytes in use above which it removes; 0 = seven eighths of MaxBytes

	// Hold gives the first message that nobody has begun to read for good, and keeps it so until release: what is being
	// stored or sent must not become less under the hands of whoever does it. nil = everything may go.
	Hold func() (from uint64, release func())
	// Describe says whose message a body holds; Messages is not asked. nil = nobody's.
	Describe func(body []byte) sensor.GapShare
	// OnRemoved is told of each rewritten segment.
	OnRemoved func(Removed)
}

// Horizon is how long the messages of a class are kept even where room is needed, if those of others can go instead.
type Horizon struct {
	Class sensor.OwnerClass
	Keep  time.Duration
}

// Removed tells what was removed from one segment.
type Removed struct {
	Class    sensor.OwnerClass
	Reason   string
	Messages uint64
	Bytes    int64 // by which the spool became smaller
}

// policyPause is how long RunPolicy waits before it looks again when it could not remove what it found, or nobody asked
// since: time passes horizons, and readers go on.
const policyPause = 5 * time.Second

// RunPolicy removes what p says, whenever more is in use than p.Start, until ctx or the spool ends.
func (s *Spool) RunPolicy(ctx context.Context, p Policy) error {
	if p.Start == 0 {
		p.Start = s.cfg.MaxBytes / 8 * 7
	}
	s.mu.Lock()
	s.pressAt = p.Start
	s.pressIfOver()
	s.mu.Unlock()
	wait := time.NewTimer(policyPause)
	defer wait.Stop()
	for press := s.press; ; {
		select {
		case <-ctx.Done():
			return nil
		case <-s.done: // closed, or failed
			return nil
		case <-press:
		case <-wait.C:
		}
		press = s.press
		for ctx.Err() == nil && s.above(p.Start) {
			did, err := s.Thin(p)
			if err != nil {
				s.log.Warn("removing by policy", "component", "spool", "dir", s.cfg.Dir, "again_in", policyPause.String(), "err", err)
				press = nil // each refused append would have a segment rewritten, on a disk that is full already
			}
			if err != nil || !did {
				break
			}
		}
		wait.Reset(policyPause)
	}
}

// Thin removes one class from one segment, the next one that p names. False: there is none now.
func (s *Spool) Thin(p Policy) (bool, error) {
	s.thinMu.Lock()
	defer s.thinMu.Unlock()
	from := s.thinFrom(p)
	for _, reason := range []string{GapHorizon, GapSpoolFull} {
		for _, h := range p.Classes {
			seg := s.candidate(from, h, reason)
			if seg == nil {
				continue
			}
			done, err := s.thin(seg, h.Class, reason, p)
			if err != nil || done {
				return done, err
			}
			return true, nil // it would have freed nothing: it is marked, and there may be others
		}
	}
	return false, nil
}

func (s *Spool) thinFrom(p Policy) uint64 {
	if p.Hold == nil {
		return 1
	}
	from, release := p.Hold()
	release()
	return from
}

// candidate gives the oldest segment that has something of the class and may be rewritten.
func (s *Spool) candidate(from uint64, h Horizon, reason string) *segment {
	before := s.cfg.Clock().Add(-h.Keep).UnixMilli()
	s.segMu.Lock()
	defer s.segMu.Unlock()
	for i, seg := range s.segments[:len(s.segments)-1] {
		switch {
		case seg.first < from || seg.held[h.Class].Messages == 0 || seg.poor[h.Class]:
			continue
		case reason == GapHorizon && s.segments[i+1].made > before: // it holds younger ones
			return nil
		}
		return seg
	}
	return nil
}

// Held tells what the spool has of each owner class, ClassUnknown among them, without what still waits for its commit.
func (s *Spool) Held() (held [numClasses]Held) {
	s.segMu.Lock()
	defer s.segMu.Unlock()
	for _, seg := range s.segments {
		for i := range held {
			held[i].Messages += seg.held[i].Messages
			held[i].Bytes += seg.held[i].Bytes
		}
	}
	return held
}

// NoRoom tells why the spool refused what came last: ErrFull, wrapped; or nil since something was taken again or freed.
func (s *Spool) NoRoom() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.used < s.fullAt {
		return nil
	}
	return s.noRoom
}

func (s *Spool) above(bytes int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.used > bytes
}

// pressIfOver wakes RunPolicy; s.mu is held.
func (s *Spool) pressIfOver() {
	if s.pressAt == 0 || s.used <= s.pressAt {
		return
	}
	select {
	case s.press <- struct{}{}:
	default:
	}
}

// thin rewrites seg without the class and puts the new file in its place. False: nothing was changed.
func (s *Spool) thin(seg *segment, class sensor.OwnerClass, reason string, p Policy) (bool, error) {
	t := thinner{s: s, p: p, class: class, total: seg.held[class].Messages,
		run: gone{class: class, reason: byte(slices.Index(goneReasons[:], reason)), at: s.cfg.Clock().UnixMilli()}}
	next, err := t.write(seg)
	if err != nil {
		_ = s.fs.remove(t.path)
		return false, fmt.Errorf("rewrite %s: %w", seg.path, err)
	}
	if next.size >= seg.size {
		s.segMu.Lock()
		seg.poor[class] = true
		s.segMu.Unlock()
		return false, s.fs.remove(t.path)
	}
	if ok, err := s.replace(seg, next, t.path, p); !ok || err != nil {
		return false, err
	}
	r := Removed{Class: class, Reason: reason, Messages: t.total, Bytes: seg.size - next.size}
	s.log.Warn("removed messages to have room", "component", "spool", "dir", s.cfg.Dir, "class", class.String(), "reason", reason,
		"messages", r.Messages, "bytes", r.Bytes, "from", seg.first, "to", seg.next-1)
	if p.OnRemoved != nil {
		p.OnRemoved(r)
	}
	return true, nil
}

// replace puts next, whose file is at path, in the place of seg, unless somebody reads that for good by now or it has
// been freed. The name changes while s.segMu is held, so that a reader that finds seg in the list has opened seg's file.
func (s *Spool) replace(seg, next *segment, path string, p Policy) (bool, error) {
	if p.Hold != nil {
		from, release := p.Hold()
		defer release()
		if seg.first < from {
			return false, s.fs.remove(path)
		}
	}
	s.trimMu.Lock()
	defer s.trimMu.Unlock()
	s.segMu.Lock()
	i := slices.Index(s.segments, seg)
	var err error
	if i >= 0 {
		if err = s.fs.rename(path, seg.path); err == nil {
			s.segments[i] = next
		}
	}
	s.segMu.Unlock()
	if i < 0 || err != nil {
		_ = s.fs.remove(path)
		return false, err
	}
	s.mu.Lock()
	s.used -= seg.size - next.size
	s.mu.Unlock()
	return true, s.fs.syncDir(s.cfg.Dir)
}
