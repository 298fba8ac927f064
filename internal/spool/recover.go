package spool

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/situ-city/situ/internal/failpoint"
	"github.com/situ-city/situ/internal/protocol"
	"github.com/situ-city/situ/pkg/sensor"
)

// DamageError names what cannot be read although it had been acknowledged. It wraps ErrCorrupt.
type DamageError struct {
	Segment string // file
	Offset  int64  // in it
	Why     string
}

func (e *DamageError) Error() string {
	return fmt.Sprintf("%v: %s at offset %d: %s", ErrCorrupt, e.Segment, e.Offset, e.Why)
}

func (e *DamageError) Unwrap() error { return ErrCorrupt }

// recover brings the directory into the state in which the writer goes on.
func (s *Spool) recover() error {
	if err := failpoint.Hit(failpoint.SpoolRecover); err != nil {
		return err
	}
	m, found, err := loadMeta(s.path(metaName))
	if err != nil {
		return err
	}
	firsts, err := listSegments(s.cfg.Dir)
	if err != nil {
		return err
	}
	if firsts, err = s.discardUnborn(firsts); err != nil {
		return err
	}
	if err := s.discardThinned(); err != nil {
		return err
	}
	if len(firsts) == 0 {
		return s.begin(m, found)
	}
	if err := s.identify(m, found, firsts[0]); err != nil {
		return err
	}
	if last := firsts[len(firsts)-1]; last < s.meta.Newest {
		return &DamageError{Segment: segmentName(s.meta.Newest), Why: "the newest segment is missing"}
	}
	for i, first := range firsts {
		if err := s.adopt(first, i == len(firsts)-1); err != nil {
			return err
		}
	}
	return s.finishDrop()
}

// discardUnborn removes a last segment whose creation was cut short: no record can have entered it.
func (s *Spool) discardUnborn(firsts []uint64) ([]uint64, error) {
	if len(firsts) == 0 {
		return nil, nil
	}
	n := len(firsts) - 1
	path := s.path(segmentName(firsts[n]))
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if _, err = readHeader(f); err == nil || info.Size() > headerSize {
		return firsts, nil // adopt will name a broken header
	}
	if !errors.Is(err, errHeader) {
		return nil, err
	}
	s.log.Info("removing a segment that was being made", "component", "spool", "file", path)
	if err := s.fs.remove(path); err != nil {
		return nil, err
	}
	return firsts[:n], s.fs.syncDir(s.cfg.Dir)
}

// begin makes a new log, in an epoch of its own; the first segment is durable before the file that vouches for it.
func (s *Spool) begin(old meta, found bool) error {
	if found {
		if err := s.checkName(old); err != nil {
			return err
		}
		s.log.Warn("spool has lost its segments and begins anew", "component", "spool", "dir", s.cfg.Dir, "epoch", old.Epoch)
	}
	s.be(meta{
		Gateway: s.nameOr(old.Gateway), Epoch: s.newEpoch(max(old.Epoch, s.cfg.PreviousEpoch)), Lane: s.cfg.Lane, LogID: newLogID(), Newest: 1,
	})
	f, seg, err := s.createSegment(1)
	if err != nil {
		return err
	}
	s.active, s.last, s.segments = f, seg, []*segment{seg}
	return s.updateMeta(func(*meta) {})
}

// sane is 2020-01-01: a clock that shows less was never set. (uint32 seconds last until 2106.)
const sane = 1577836800

// newEpoch gives a number that no earlier spool of this gateway and lane has had: above what is known of them, and the
// second of the making, since usually nothing is known: who lost the spool lost the file beside it too, and the link may
// be down. A spool made with an epoch of before would give its messages identities that are stored already; they would
// be taken for repeats and dropped. Without a clock only luck can tell two spools apart, so a random number below all
// that a clock gives is taken: one in 1.5 thousand million that it was there before.
func (s *Spool) newEpoch(previous uint32) uint32 {
	now := s.cfg.Clock()
	if now.Unix() >= sane && now.Unix() < 1<<32 {
		return protocol.NextEpoch(previous, uint32(now.Unix()))
	}
	var b [4]byte
	_, _ = rand.Read(b[:]) // never fails
	epoch := protocol.NextEpoch(previous, 1+binary.LittleEndian.Uint32(b[:])%(sane-1))
	s.log.Warn("the clock was never set: the new spool's epoch is a random number", "component", "spool", "dir", s.cfg.Dir,
		"clock", now.UTC().Format(time.RFC3339), "epoch", epoch)
	return epoch
}

// be takes an identity; it never changes afterwards.
func (s *Spool) be(m meta) {
	s.meta, s.logID = m, m.LogID
	s.producer = sensor.Producer{Gateway: m.Gateway, Epoch: m.Epoch, Lane: m.Lane}
}

func (s *Spool) nameOr(known string) string {
	switch {
	case s.cfg.Gateway != "":
		return s.cfg.Gateway
	case known != "":
		return known
	}
	return madeUpGateway()
}

func (s *Spool) checkName(m meta) error {
	if s.cfg.Gateway != "" && m.Gateway != s.cfg.Gateway {
		return fmt.Errorf("%w: it belongs to gateway %q, not %q", ErrIdentity, m.Gateway, s.cfg.Gateway)
	}
	if m.Lane != s.cfg.Lane {
		return fmt.Errorf("%w: it is of lane %v, not %v", ErrIdentity, m.Lane, s.cfg.Lane)
	}
	return nil
}

// identify settles whose log this is, from the meta file and the first segment's header.
func (s *Spool) identify(m meta, found bool, first uint64) error {
	f, err := os.Open(s.path(segmentName(first)))
	if err != nil {
		return err
	}
	defer f.Close()
	h, err := readHeader(f)
	if errors.Is(err, ErrVersion) {
		return fmt.Errorf("%s: %w", segmentName(first), err)
	}
	if err != nil {
		return &DamageError{Segment: segmentName(first), Why: err.Error()}
	}
	if !found {
		m = meta{Gateway: s.nameOr(""), Lane: h.Lane}
	}
	if err := s.checkName(m); err != nil {
		return err
	}
	switch {
	case h.Epoch == m.Epoch && h.LogID != m.LogID, h.Epoch < m.Epoch:
		return fmt.Errorf("%w: %s says epoch %d, log %x, but %s is of epoch %d, log %x", ErrIdentity,
			metaName, m.Epoch, m.LogID, segmentName(first), h.Epoch, h.LogID)
	case h.Epoch < s.cfg.PreviousEpoch:
		return fmt.Errorf("%w: epoch %d of %s has been used before, and this is epoch %d: an old copy was put back",
			ErrIdentity, s.cfg.PreviousEpoch, m.Gateway, h.Epoch)
	}
	if h.Epoch == m.Epoch {
		s.be(m)
		return nil
	}
	// begin was cut short before it wrote the file, or somebody removed it: the segments know.
	s.be(meta{Gateway: m.Gateway, Epoch: h.Epoch, Lane: m.Lane, LogID: h.LogID, Newest: 1})
	return s.updateMeta(func(*meta) {})
}

// adopt checks one segment and adds it. Only the last may end in a torn record, which is cut off.
func (s *Spool) adopt(first uint64, last bool) error {
	name := segmentName(first)
	if n := len(s.segments); n > 0 && s.segments[n-1].next != first {
		prev := s.segments[n-1]
		return &DamageError{prev.path, prev.size, fmt.Sprintf("ends before record %d, but the next segment is %s", prev.next, name)}
	}
	f, err := os.Open(s.path(name))
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	h, err := readHeader(f)
	if errors.Is(err, ErrVersion) {
		return fmt.Errorf("%s: %w", name, err)
	}
	if err != nil {
		return &DamageError{name, 0, err.Error()}
	}
	if h.LogID != s.meta.LogID || h.Epoch != s.meta.Epoch || h.Lane != s.cfg.Lane || h.First != first {
		return &DamageError{name, 0, fmt.Sprintf("header is of log %x epoch %d lane %d record %d", h.LogID, h.Epoch, h.Lane, h.First)}
	}
	seg := &segment{path: s.path(name), first: first, format: h.Format, made: h.Made}
	if err := s.walk(seg, f, info.Size()); err != nil {
		if !errors.Is(err, errBroken) {
			return err
		}
		why := fmt.Sprintf("record %d is broken", seg.next)
		if !last {
			return &DamageError{name, seg.size, why}
		}
		synced, err := markFollows(f, s.meta.LogID, seg.size+1, info.Size())
		if err != nil {
			return err
		}
		if synced {
			return &DamageError{name, seg.size, why + " and later ones had been synced"}
		}
	}
	s.segments = append(s.segments, seg)
	if last {
		return s.reopen(seg, info.Size())
	}
	return nil
}

// walk reads the whole segment, noting places, and leaves seg at its last whole record.
func (s *Spool) walk(seg *segment, f io.ReaderAt, size int64) error {
	c := cursor{log: s.meta.LogID}
	c.reset(f, place{seg.first, headerSize}, size)
	for {
		at, inside := place{c.seq, c.off}, c.left > 0
		body, err := c.next()
		seg.next, seg.size = c.seq, c.off
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if !inside {
			seg.note(at.seq, at.off)
		}
		if !c.isGone() {
			seg.held[c.kind].Messages++
			seg.held[c.kind].Bytes += int64(recordHeader + len(body))
		}
	}
}

// reopen opens the last segment for writing, without its torn tail. What was found in it may have been written
// and never synced, so it is synced before anybody reads it.
func (s *Spool) reopen(seg *segment, size int64) error {
	f, err := s.fs.open(seg.path)
	if err != nil {
		return err
	}
	s.active, s.last = f, seg
	if seg.size < size {
		s.log.Info("cutting a torn tail that was never acknowledged", "component", "spool",
			"file", seg.path, "offset", seg.size, "bytes", size-seg.size)
		if err := f.Truncate(seg.size); err != nil {
			return err
		}
	}
	return f.Sync()
}
