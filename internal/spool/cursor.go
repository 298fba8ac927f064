package spool

import (
	"encoding/binary"
	"errors"
	"io"
)

// errBroken: what stands at the cursor's offset is no whole record in its place.
var errBroken = errors.New("broken record")

// readAhead is how much a cursor reads at once.
const readAhead = 256 << 10

// cursor walks the records of one segment file, checking each.
type cursor struct {
	src io.ReaderAt
	log [16]byte
	off int64  // where buf begins in the file
	end int64  // how much of the file may be read
	seq uint64 // of the next record
	buf []byte // read and not walked over yet
	mem []byte // what buf is a part of

	// Of the message that next gave last.
	head uint64 // first 8 bytes of its frame
	kind byte   // its class, or kindGone
	run  gone   // then: what became of it
	left uint64 // messages behind it that run speaks of too
}

// reset moves the cursor to a place in src.
func (c *cursor) reset(src io.ReaderAt, at place, end int64) {
	c.src, c.off, c.seq, c.end, c.buf, c.left = src, at.off, at.seq, end, nil, 0
}

// next gives the next record's body, which stays as it is until the following call. Of a message that is gone (kind says
// so) it gives the frame's body if it is the first of its run, else nil. io.EOF at end; on errBroken the cursor stands on
// what is broken.
func (c *cursor) next() ([]byte, error) {
	if c.left > 0 {
		c.left--
		c.seq++
		return nil, nil
	}
	for c.off < c.end {
		h, err := c.peek(recordHeader)
		if err != nil {
			return nil, err
		}
		word := binary.LittleEndian.Uint32(h)
		if word == 0 {
			if err := c.passMark(); err != nil {
				return nil, err
			}
			continue
		}
		c.kind = byte(word >> kindShift)
		n := int(word & lengthMax)
		if n == 0 || n > MaxBody || c.kind >= numClasses && c.kind != kindGone {
			return nil, errBroken
		}
		body, err := c.record(recordHeader + n)
		if err == nil && c.kind == kindGone {
			err = c.enterRun(body)
		}
		return body, err
	}
	return nil, io.EOF
}

// isGone tells whether the message that next gave last is one that was removed.
func (c *cursor) isGone() bool { return c.kind == kindGone }

// enterRun reads the body of the frame that stands for removed messages, the first of which has been walked over.
func (c *cursor) enterRun(body []byte) error {
	run, ok := parseGone(body)
	if !ok {
		return errBroken
	}
	c.run, c.left = run, run.n-1
	return nil
}

// record checks the frame of n bytes at the cursor. As in seal, its header holds seq while the sum is computed.
func (c *cursor) record(n int) ([]byte, error) {
	r, err := c.peek(n)
	if err != nil {
		return nil, err
	}
	c.head = binary.LittleEndian.Uint64(r)
	binary.LittleEndian.PutUint64(r, stamp(c.kind, c.seq))
	if checksum(r) != uint32(c.head>>32) {
		binary.LittleEndian.PutUint64(r, c.head)
		return nil, errBroken
	}
	c.pass(n)
	c.seq++
	return r[recordHeader:n:n], nil
}

func (c *cursor) passMark() error {
	m, err := c.peek(markSize)
	if err != nil {
		return err
	}
	if !isMark(m, c.log, c.off) || binary.LittleEndian.Uint64(m[8:]) != c.seq {
		return errBroken
	}
	c.pass(markSize)
	return nil
}

func (c *cursor) pass(n int) {
	c.buf = c.buf[n:]
	c.off += int64(n)
}

// peek gives the next n bytes without walking over them; errBroken if there are fewer before end.
func (c *cursor) peek(n int) ([]byte, error) {
	if len(c.buf) >= n {
		return c.buf[:n], nil
	}
	if c.end-c.off < int64(n) {
		return nil, errBroken
	}
	if cap(c.mem) < n || c.mem == nil {
		c.mem = make([]byte, max(n, readAhead))
	}
	have := copy(c.mem, c.buf)
	want := min(int64(len(c.mem)), c.end-c.off)
	got, err := c.src.ReadAt(c.mem[have:want], c.off+int64(have))
	c.buf = c.mem[:have+got]
	if len(c.buf) >= n {
		return c.buf[:n], nil
	}
	if err == nil || errors.Is(err, io.EOF) { // shorter than it was a moment ago
		err = errBroken
	}
	return nil, err
}

// markFollows tells whether a commit's mark stands anywhere in src from off to end: if so, everything before it
// had been synced, and a broken record before it is damage and no torn tail.
func markFollows(src io.ReaderAt, log [16]byte, off, end int64) (bool, error) {
	buf := make([]byte, readAhead)
	for off+markSize <= end {
		n := min(int64(len(buf)), end-off)
		if _, err := src.ReadAt(buf[:n], off); err != nil {
			return false, err
		}
		for i := int64(0); i+markSize <= n; i++ {
			if isMark(buf[i:n], log, off+i) {
				return true, nil
			}
		}
		off += n - markSize + 1
	}
	return false, nil
}
