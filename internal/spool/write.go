package spool

import (
	"encoding/binary"
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/situ-city/situ/internal/failpoint"
	"github.com/situ-city/situ/pkg/sensor"
)

// write is the writer: it gathers, commits, acknowledges, until Close or the first error it cannot undo.
func (s *Spool) write() {
	defer close(s.done)
	var g group
	g.reset()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	var started time.Time
	for s.gather(started, timer, &g) {
		started = time.Now()
		c, err := s.commit(&g)
		if err != nil && !errors.Is(err, ErrFull) {
			s.fail(err, g.acks)
			return
		}
		answer(g.acks, err)
		_ = failpoint.Hit(failpoint.SpoolAcked) // nothing is left to fail
		if s.cfg.OnCommit != nil {
			s.cfg.OnCommit(c)
		}
		g.reset()
	}
}

// gather waits until a commit is due, then exchanges the pending group for the empty g. False: closed and empty.
func (s *Spool) gather(started time.Time, timer *time.Timer, g *group) bool {
	wait := time.Until(started.Add(s.cfg.CommitDelay))
	due := wait <= 0
	if !due {
		timer.Reset(wait)
	}
	for {
		s.mu.Lock()
		s.idle = due
		full := len(s.pending.buf) >= s.cfg.CommitBytes
		if s.closed || !s.pending.empty() && (due || full) {
			ok := !s.pending.empty()
			s.pending, *g = *g, s.pending
			s.idle = false
			s.room.Broadcast()
			s.mu.Unlock()
			return ok
		}
		s.mu.Unlock()
		if due {
			<-s.wake
			continue
		}
		select {
		case <-s.wake:
		case <-timer.C:
			due = true
		}
	}
}

// commit makes g durable. ErrFull: nothing of g is in the log and the next commit may succeed.
func (s *Spool) commit(g *group) (Commit, error) {
	seg, err := s.segmentFor(int64(len(g.buf)))
	if err != nil {
		return Commit{}, s.takeBack(g, nil, err)
	}
	buf := g.buf[markSize:]
	marked := s.cfg.Sync == SyncAlways || seg.size == headerSize
	if marked {
		buf = g.buf
		putMark(buf, s.logID, seg.next, seg.size)
	}
	var held [numClasses]Held
	next := seal(g.buf[markSize:], seg.next, seg.format, &held)
	c := Commit{Records: len(g.acks), Bytes: len(buf)}
	t0 := time.Now()
	if _, err := s.active.WriteAt(buf, seg.size); err != nil {
		return Commit{}, s.takeBack(g, seg, diskFull("write", err))
	}
	t1 := time.Now()
	c.Wrote = t1.Sub(t0)
	if s.cfg.Sync == SyncAlways {
		if err := s.active.Sync(); err != nil {
			return Commit{}, fmt.Errorf("sync %s: %w", seg.path, err)
		}
		c.Synced = time.Since(t1)
	}
	s.advance(seg, next, int64(len(buf)), &held)
	s.mu.Lock()
	if marked {
		s.used += markSize
	}
	c.Used = s.used
	s.noRoom = nil
	s.pressIfOver()
	s.mu.Unlock()
	return c, nil
}

// seal gives the records in buf their numbers from seq on: it fills in classes, lengths and checksums.
// While the checksum is computed the record's header holds class and seq, so that one pass covers all.
func seal(buf []byte, seq uint64, format byte, held *[numClasses]Held) uint64 {
	for len(buf) > 0 {
		word := binary.LittleEndian.Uint64(buf)
		class, n := byte(word>>seqBits), recordHeader+int(word&lengthMax)
		if format == formatOld || class >= numClasses {
			class = byte(sensor.ClassUnknown)
		}
		binary.LittleEndian.PutUint64(buf, stamp(class, seq))
		putHead(buf, class, n-recordHeader, checksum(buf[:n]))
		held[class].Messages++
		held[class].Bytes += int64(n)
		buf = buf[n:]
		seq++
	}
	return seq
}

// diskFull marks an error that leaves the spool as it was: later there may be room again.
func diskFull(doing string, err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("%s: %w: %w", doing, ErrFull, err)
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// takeBack makes a commit that found the disk full not to have been. What cannot be taken back stops the spool.
func (s *Spool) takeBack(g *group, seg *segment, err error) error {
	if !errors.Is(err, ErrFull) {
		return err
	}
	if seg != nil {
		if e := s.active.Truncate(seg.size); e != nil {
			return fmt.Errorf("take back a write to %s: %w", seg.path, e)
		}
	}
	s.mu.Lock()
	s.used -= int64(len(g.buf) - markSize)
	s.noRoom, s.fullAt = err, 0
	s.mu.Unlock()
	return err
}

// advance shows the new records to readers.
func (s *Spool) advance(seg *segment, next uint64, n int64, held *[numClasses]Held) {
	s.segMu.Lock()
	for i := range held {
		seg.held[i].Messages += held[i].Messages
		seg.held[i].Bytes += held[i].Bytes
	}
	seg.note(seg.next, seg.size)
	seg.next = next
	seg.size += n
	if s.advanced != nil {
		close(s.advanced)
		s.advanced = nil
	}
	s.segMu.Unlock()
}

// segmentFor gives the segment that the next n bytes go to, beginning a new one when the last is full.
func (s *Spool) segmentFor(n int64) (*segment, error) {
	for s.cfg.DropOldest && s.over() {
		_, ok, err := s.dropOldest()
		if err != nil {
			return nil, diskFull("drop the oldest segment", err)
		}
		if !ok {
			break
		}
	}
	seg := s.last
	if seg.size+n <= s.cfg.SegmentBytes || seg.size == headerSize {
		return seg, nil
	}
	if s.cfg.Sync != SyncAlways { // a sealed segment is whole even so
		if err := s.active.Sync(); err != nil {
			return nil, fmt.Errorf("sync %s: %w", seg.path, err)
		}
	}
	f, next, err := s.createSegment(seg.next)
	if err != nil {
		return nil, diskFull("begin a segment", err)
	}
	if err := s.active.Close(); err != nil {
		s.log.Warn("closing a synced segment", "component", "spool", "file", seg.path, "err", err)
	}
	s.active, s.last = f, next
	s.segMu.Lock()
	s.segments = append(s.segments, next)
	s.segMu.Unlock()
	s.mu.Lock()
	s.used += headerSize
	s.mu.Unlock()
	if err := s.updateMeta(func(m *meta) { m.Newest = next.first }); err != nil {
		return nil, diskFull("note the new segment", err)
	}
	return next, nil
}

// over tells whether what is on disk and what waits is more than allowed.
func (s *Spool) over() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.used > s.cfg.MaxBytes
}

// fail refuses the commit under way, whatever waits, and whatever comes.
func (s *Spool) fail(cause error, committing []Ack) {
	err := fmt.Errorf("%w: %s: %w", ErrFailed, s.cfg.Dir, cause)
	s.log.Error("spool stopped", "component", "spool", "dir", s.cfg.Dir, "err", cause)
	s.mu.Lock()
	s.err = err
	waiting := s.pending.acks
	s.pending = group{}
	s.room.Broadcast()
	s.mu.Unlock()
	answer(committing, err)
	answer(waiting, err)
	s.end(err)
	close(s.failed)
}

// end tells readers that nothing will follow.
func (s *Spool) end(err error) {
	s.segMu.Lock()
	defer s.segMu.Unlock()
	if s.ended == nil {
		s.ended = err
	}
	if s.advanced != nil {
		close(s.advanced)
		s.advanced = nil
	}
}

func answer(acks []Ack, err error) {
	for _, a := range acks {
		if a.To != nil {
			a.To.Acked(a.Token, err)
		}
	}
}
