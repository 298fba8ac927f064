package spool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"

	"github.com/situ-city/situ/pkg/sensor"
)

// Reader walks the durable records in order, straight from the files. One goroutine at a time.
type Reader struct {
	s   *Spool
	seg *segment
	f   *os.File
	c   cursor
}

// NewReader gives a reader whose first record is seq. ErrTrimmed, ErrBeyond (seq may be the next one to be written).
func (s *Spool) NewReader(seq uint64) (*Reader, error) {
	r := &Reader{s: s}
	r.c.log = s.logID
	if err := r.Seek(seq); err != nil {
		return nil, err
	}
	return r, nil
}

// Bounds gives the oldest record still there and the number that the next durable one will have.
func (s *Spool) Bounds() (first, next uint64) {
	s.segMu.Lock()
	defer s.segMu.Unlock()
	return s.segments[0].first, s.segments[len(s.segments)-1].next
}

// Wait returns when record seq is durable. ErrClosed or ErrFailed if it never will be.
func (s *Spool) Wait(ctx context.Context, seq uint64) error {
	for {
		s.segMu.Lock()
		if s.segments[len(s.segments)-1].next > seq {
			s.segMu.Unlock()
			return nil
		}
		if err := s.ended; err != nil {
			s.segMu.Unlock()
			return err
		}
		if s.advanced == nil {
			s.advanced = make(chan struct{})
		}
		advanced := s.advanced
		s.segMu.Unlock()
		select {
		case <-advanced:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Position is the number of the record that Next gives.
func (r *Reader) Position() uint64 { return r.c.seq }

// Seek moves to record seq.
func (r *Reader) Seek(seq uint64) error {
	if err := r.enter(seq); err != nil {
		return err
	}
	for r.c.seq < seq {
		if _, _, err := r.Next(); err != nil {
			return fmt.Errorf("seek record %d: %w", seq, err)
		}
	}
	return nil
}

// Next gives the next durable record. The body stays as it is until the following call. A nil body: message seq was
// removed by a Policy (Gap tells more). io.EOF: there is none yet (Wait tells when there is). ErrTrimmed: it was freed meanwhile. ErrCorrupt: it cannot be read.
func (r *Reader) Next() (seq uint64, body []byte, err error) {
	for {
		seq = r.c.seq
		body, err = r.c.next()
		switch {
		case err == nil && r.c.isGone():
			return seq, nil, nil
		case err == nil:
			return seq, body, nil
		case errors.Is(err, errBroken):
			return 0, nil, &DamageError{r.seg.path, r.c.off, fmt.Sprintf("record %d is broken", seq)}
		case err != io.EOF:
			return 0, nil, fmt.Errorf("read record %d: %w", seq, err)
		}
		if err := r.further(); err != nil {
			return 0, nil, err
		}
	}
}

// Gap tells what became of the message that Next gave last without a body.
func (r *Reader) Gap() sensor.Gap {
	seq, run := r.c.seq-1, &r.c.run
	return sensor.Gap{Producer: r.s.producer, From: seq, To: seq, At: run.at, Reason: goneReasons[run.reason], Class: run.class}
}

// Shares tells whose the messages were that are gone, when the one that Next gave last is the last of some thousands (or
// of its segment) that were removed together. Else nil.
func (r *Reader) Shares() []sensor.GapShare {
	if r.c.left > 0 || len(r.c.run.shares) == 0 {
		return nil
	}
	return parseShares(r.c.run.shares)
}

// Skip adds to b the message that r gave last without a body, and gives about how many bytes that takes.
func Skip(r *Reader, b *sensor.Batch) (bytes int) {
	g := r.Gap()
	before := b.Watermarks[g.Producer]
	b.Skip(g)
	if g.To <= before {
		return 0
	}
	for _, s := range r.Shares() {
		b.GapShares = append(b.GapShares, sensor.LoggedGapShare{Producer: g.Producer, Seq: g.To, At: g.At, Reason: g.Reason, Class: g.Class, GapShare: s})
		bytes += 64
	}
	return bytes + 16
}

// Close lets the file go.
func (r *Reader) Close() error {
	if r.f == nil {
		return nil
	}
	f := r.f
	r.f, r.seg = nil, nil
	return f.Close()
}

// further makes more of the log readable: the rest of this segment, or the next one. io.EOF if there is no more.
func (r *Reader) further() error {
	s := r.s
	s.segMu.Lock()
	r.c.end = r.seg.size
	atEnd := r.seg == s.segments[len(s.segments)-1]
	s.segMu.Unlock()
	if r.c.off < r.c.end {
		return nil
	}
	if atEnd {
		return io.EOF
	}
	return r.enter(r.c.seq)
}

// enter continues at record seq or a little before it.
func (r *Reader) enter(seq uint64) error {
	for {
		seg, at, err := r.s.locate(seq)
		if err != nil {
			return err
		}
		if ok, err := r.open(seg, at); ok || err != nil {
			return err
		}
	}
}

// open continues at a place in seg. False: seg has been rewritten since it was located, and its places with it.
func (r *Reader) open(seg *segment, at place) (bool, error) {
	f := r.f
	if seg != r.seg {
		var err error
		f, err = os.Open(seg.path)
		if errors.Is(err, fs.ErrNotExist) {
			return false, fmt.Errorf("record %d: %w", at.seq, ErrTrimmed)
		}
		if err != nil {
			return false, fmt.Errorf("read spool: %w", err)
		}
	}
	r.s.segMu.Lock()
	end, there := seg.size, slices.Contains(r.s.segments, seg)
	r.s.segMu.Unlock()
	if seg != r.seg {
		if !there {
			_ = f.Close() // read only
			return false, nil
		}
		if r.f != nil {
			_ = r.f.Close() // read only
		}
		r.f, r.seg = f, seg
	}
	r.c.reset(f, at, end)
	return true, nil
}

// locate finds the segment of seq and a place in it not behind seq.
func (s *Spool) locate(seq uint64) (*segment, place, error) {
	s.segMu.Lock()
	defer s.segMu.Unlock()
	last := s.segments[len(s.segments)-1]
	switch {
	case seq < s.segments[0].first:
		return nil, place{}, fmt.Errorf("record %d, oldest is %d: %w", seq, s.segments[0].first, ErrTrimmed)
	case seq > last.next:
		return nil, place{}, fmt.Errorf("record %d, next is %d: %w", seq, last.next, ErrBeyond)
	case seq == last.next:
		return last, place{last.next, last.size}, nil
	}
	i := len(s.segments) - 1
	for s.segments[i].first > seq {
		i--
	}
	return s.segments[i], s.segments[i].before(seq), nil
}
