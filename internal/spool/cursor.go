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
}

// reset moves the cursor to a place in src.
func (c *cursor) reset(src io.ReaderAt, at place, end int64) {
	c.src, c.off, c.seq, c.end, c.buf = src, at.off, at.seq, end, nil
}

// next gives the next record's body, which stays as it is until the following call. io.EOF at end; on errBroken
// the cursor stands on what is broken.
func (c *cursor) next() ([]byte, error) {
	for c.off < c.end {
		h, err := c.peek(recordHeader)
		if err != nil {
			return nil, err
		}
		n := binary.LittleEndian.Uint32(h)
		if n == 0 {
			if err := c.passMark(); err != nil {
				return nil, err
			}
			continue
		}
		if n > MaxBody {
			return nil, errBroken
		}
		return c.record(recordHeader + int(n))
	}
	return nil, io.EOF
}

// record checks the record of n bytes at the cursor. As in seal, its header holds seq while the sum is computed.
func (c *cursor) record(n int) ([]byte, error) {
	r, err := c.peek(n)
	if err != nil {
		return nil, err
	}
	head := binary.LittleEndian.Uint64(r)
	binary.LittleEndian.PutUint64(r, c.seq)
	if checksum(r) != uint32(head>>32) {
		binary.LittleEndian.PutUint64(r, head)
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
