package spool

import (
	"cmp"
	"encoding/binary"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/situ-city/situ/pkg/sensor"
)

const (
	// thinSuffix is of files that are being written to take a segment's place. A crash leaves them; they hold nothing
	// that the segment does not.
	thinSuffix = ".thin"
	// noteEvery bounds the shares of a frame: they count so many messages at most, hence so many Things.
	noteEvery = 4096
	// writeAhead is how much of the new file is gathered for one write.
	writeAhead = 1 << 20

	hourMs = 3_600_000
)

// thinner copies a segment, leaving a class out. What stays keeps its bytes and its number; a run of what goes becomes
// one frame of about 20 bytes. Every noteEvery-th of them, and the last, ends its run, whose frame also says whose they
// were that went since the one before.
type thinner struct {
	s     *Spool
	p     Policy
	class sensor.OwnerClass
	total uint64 // messages of the class in the segment

	path string
	f    file
	buf  []byte
	off  int64 // where buf begins in the file
	out  *segment

	run    gone                       // messages before the one in hand that are not written yet
	first  uint64                     // of them
	gone   uint64                     // of the class, so far
	shares map[sensor.GapShare]uint64 // Messages is 0 in the key
}

// write makes the new file, synced and closed, and gives the segment that it will be.
func (t *thinner) write(seg *segment) (next *segment, err error) {
	src, err := os.Open(seg.path)
	if err != nil {
		return nil, err
	}
	defer src.Close()
	t.path = seg.path + thinSuffix
	if err := t.s.fs.remove(t.path); err != nil {
		return nil, err
	}
	if t.f, err = t.s.fs.create(t.path); err != nil {
		return nil, err
	}
	if err := t.copy(seg, src); err != nil {
		_ = t.f.Close() // the first error is the one to tell
		return nil, err
	}
	return t.out, t.f.Close()
}

func (t *thinner) copy(seg *segment, src io.ReaderAt) error {
	h := header{Format: format, LogID: t.s.logID, Epoch: t.s.producer.Epoch, Lane: t.s.producer.Lane, First: seg.first, Made: seg.made}
	t.out = &segment{path: seg.path, first: seg.first, next: seg.next, format: format, made: seg.made, held: seg.held, poor: seg.poor}
	t.out.held[t.class] = Held{}
	t.buf = h.append(t.buf)
	t.shares = map[sensor.GapShare]uint64{}
	c := cursor{log: t.s.logID}
	c.reset(src, place{seg.first, headerSize}, seg.size)
	for {
		seq := c.seq
		body, err := c.next()
		if err == io.EOF {
			break
		}
		if err == errBroken {
			return &DamageError{seg.path, c.off, "a record that was whole is broken"}
		}
		if err != nil {
			return err
		}
		if err := t.take(&c, seq, body); err != nil {
			return err
		}
	}
	t.flushRun()
	var mark [markSize]byte
	putMark(mark[:], t.s.logID, seg.next, t.at())
	t.buf = append(t.buf, mark[:]...)
	t.out.size = t.at()
	if err := t.flush(); err != nil {
		return err
	}
	return t.f.Sync()
}

// take decides about one message.
func (t *thinner) take(c *cursor, seq uint64, body []byte) error {
	switch {
	case c.isGone() && body == nil:
		return nil // the frame that speaks of it has been copied
	case !c.isGone() && sensor.OwnerClass(c.kind) == t.class:
		t.remove(seq, body)
		return nil
	}
	t.flushRun()
	t.out.note(seq, t.at())
	t.buf = binary.LittleEndian.AppendUint64(t.buf, c.head)
	t.buf = append(t.buf, body...)
	if len(t.buf) < writeAhead {
		return nil
	}
	return t.flush()
}

// remove leaves one message out.
func (t *thinner) remove(seq uint64, body []byte) {
	if t.run.n == 0 {
		t.first = seq
	}
	t.run.n++
	t.gone++
	if t.p.Describe != nil {
		share := t.p.Describe(body)
		share.Messages = 0
		t.shares[share]++
	}
	if t.gone%noteEvery == 0 || t.gone == t.total {
		t.run.shares = t.appendShares(t.run.shares[:0])
		t.flushRun()
		t.run.shares = t.run.shares[:0]
	}
}

func (t *thinner) appendShares(dst []byte) []byte {
	keys := slices.SortedFunc(maps.Keys(t.shares), compareShares)
	for _, s := range keys {
		s.Messages = t.shares[s]
		dst = appendShare(dst, &s)
	}
	clear(t.shares)
	return dst
}

// flushRun writes the frame of the run that ends before the message in hand.
func (t *thinner) flushRun() {
	if t.run.n > 0 {
		t.out.note(t.first, t.at())
		t.buf = appendFrame(t.buf, kindGone, t.first, t.run.append(nil))
		t.run.n = 0
	}
}

// at is the offset in the file of what is appended next.
func (t *thinner) at() int64 { return t.off + int64(len(t.buf)) }

func (t *thinner) flush() error {
	if _, err := t.f.WriteAt(t.buf, t.off); err != nil {
		return err
	}
	t.off += int64(len(t.buf))
	t.buf = t.buf[:0]
	return nil
}

func compareShares(a, b sensor.GapShare) int {
	return cmp.Or(cmp.Compare(a.Thing, b.Thing), cmp.Compare(a.Owner, b.Owner), cmp.Compare(a.Hour, b.Hour))
}

// discardThinned removes, at opening, what a crash left of a segment being rewritten.
func (s *Spool) discardThinned() error {
	entries, err := os.ReadDir(s.cfg.Dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), suffix+thinSuffix) {
			if err := s.fs.remove(s.path(e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}
