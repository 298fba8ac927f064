package spool

import (
	"encoding/binary"
	"fmt"

	"github.com/situ-city/situ/pkg/sensor"
)

// group is what one commit writes: room for its mark, then records whose numbers and checksums the writer fills in.
type group struct {
	buf  []byte
	acks []Ack
}

func (g *group) reset() {
	if cap(g.buf) > 4*DefaultCommitBytes && len(g.buf) < cap(g.buf)/8 { // the flood is over: let the memory go
		g.buf, g.acks = nil, nil
	}
	clear(g.acks)
	g.acks = g.acks[:0]
	g.buf = append(g.buf[:0], make([]byte, markSize)...)
}

func (g *group) empty() bool { return len(g.acks) == 0 }

// Append copies body into the next commit and returns; ack is called when the record is durable or refused.
// An error here means that ack will not be called. Append blocks only while PendingBytes wait already, which is
// how a slow disk slows its senders. A Policy never removes the record.
func (s *Spool) Append(body []byte, ack Ack) error { return s.AppendAs(sensor.ClassUnknown, body, ack) }

// AppendAs is Append for a message of an owner class, which says what a Policy may remove when there is no room.
func (s *Spool) AppendAs(class sensor.OwnerClass, body []byte, ack Ack) error {
	if len(body) == 0 || len(body) > MaxBody {
		return fmt.Errorf("append %d bytes: %w", len(body), ErrTooLarge)
	}
	need := recordHeader + len(body)
	s.mu.Lock()
	for len(s.pending.buf)+need > s.cfg.PendingBytes && !s.pending.empty() && s.err == nil && !s.closed {
		s.room.Wait()
	}
	if err := s.refuse(int64(need)); err != nil {
		s.noRoom, s.fullAt = err, s.used
		s.pressIfOver()
		s.mu.Unlock()
		return err
	}
	before := len(s.pending.buf)
	s.pending.buf = binary.LittleEndian.AppendUint64(s.pending.buf, stamp(byte(class), uint64(len(body))))
	s.pending.buf = append(s.pending.buf, body...)
	s.pending.acks = append(s.pending.acks, ack)
	s.used += int64(need)
	// The writer looks by itself when a commit is due; it must hear only of what makes one due at once.
	wake := s.idle && len(s.pending.acks) == 1 || before < s.cfg.CommitBytes && len(s.pending.buf) >= s.cfg.CommitBytes
	s.mu.Unlock()
	if wake {
		s.poke()
	}
	return nil
}

// unseen is what the commit under way and the next one may add to the bytes in use beside their records: a mark and the
// header of a new segment each.
const unseen = 2 * (markSize + headerSize)

// refuse tells why nothing of this size can be taken; s.mu is held.
func (s *Spool) refuse(need int64) error {
	switch {
	case s.err != nil:
		return s.err
	case s.closed:
		return ErrClosed
	case s.used+need+unseen > s.cfg.MaxBytes && !s.cfg.DropOldest:
		return fmt.Errorf("%d of %d bytes used: %w", s.used, s.cfg.MaxBytes, ErrFull)
	}
	return nil
}

func (s *Spool) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}
