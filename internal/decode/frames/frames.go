// Package frames is what the protocols share whose payloads are pieces of a stream (step 2 of 8): frames that begin with
// a sign, say how long they are, and end with a sign and a checksum, with anything between them.
//
// A Format finds them: also those that are glued, torn by another one, or surrounded by noise. A Tally says what becomes
// of a payload some of whose frames are broken. Whether a frame is any good, its protocol says.
package frames

import (
	"bytes"
	"fmt"

	"github.com/situ-city/situ/internal/decode"
)

// Condition of a frame by its length field.
type Condition uint8

const (
	Whole  Condition = iota // it ends where it should
	More                    // the bytes end before it does
	Broken                  // no frame, or one of another length
)

// maxSound bounds how many lengths are read to see whether a frame is torn by another.
const maxSound = 32

// Format is how the frames of a protocol look.
type Format struct {
	Sign    byte                                 // twice, begins a frame; noise before it may end with the same
	Max     int                                  // bytes of a frame
	Find    func(b []byte, from int) int         // where a frame begins, from a place on; -1 = nowhere
	Maybe   func(b []byte, from int) int         // where one may begin that more bytes make plain; len(b) = nowhere
	Measure func(b []byte) (n int, is Condition) // reads the length field of the frame at the beginning of b
	Right   func(frame []byte) bool              // compares the checksum of a whole frame
}

// Split cuts a stream into its frames and returns what must wait for more bytes. Bytes around frames are dropped.
// frames and rest alias stream; rest is never longer than a frame may be.
func (f *Format) Split(stream []byte) (frames [][]byte, rest []byte) {
	for from := 0; ; {
		start, end, closed, ok := f.Next(stream, from)
		switch {
		case !ok:
			return frames, stream[f.Maybe(stream, from):]
		case !closed:
			return frames, stream[start:end]
		}
		frames = append(frames, stream[start:end])
		from = end
	}
}

// Next finds the frame that begins at or after from. closed is false if it ends only because the bytes do.
func (f *Format) Next(b []byte, from int) (start, end int, closed, ok bool) {
	start = f.Find(b, from)
	if start < 0 {
		return 0, 0, false, false
	}
	n, is := f.Measure(b[start:])
	for is == Broken && b[start] == f.Sign && start+2 < len(b) && b[start+2] == f.Sign { // noise ended with the same sign
		start++
		n, is = f.Measure(b[start:])
	}
	limit := len(b)
	switch is {
	case Broken:
		// What has become too long for its field may have been torn too, and has to be cut where it would have been
		// before its end came.
		if inner := f.sound(b[:min(len(b), start+n)], start+1); inner >= 0 {
			return start, inner, true, true
		}
		if again := f.Find(b, start+1); again >= 0 {
			limit, closed = again, true
		}
		if limit-start > f.Max {
			limit, closed = start+f.Max, true
		}
		return start, limit, closed, true
	case Whole:
		limit, closed = start+n, true
		if f.Right(b[start:limit]) {
			return start, limit, true, true
		}
	}
	if inner := f.sound(b[:limit], start+1); inner >= 0 { // it was torn: another one begins before its end
		return start, inner, true, true
	}
	return start, limit, closed, true
}

// Sound reports whether these bytes are a frame as it should be.
func (f *Format) Sound(frame []byte) bool {
	n, is := f.Measure(frame)
	return is == Whole && n == len(frame) && f.Right(frame)
}

// sound finds the first frame in b, from on, whose end and checksum are right; -1 if there is none.
func (f *Format) sound(b []byte, from int) int {
	for tries := 0; tries < maxSound; from++ {
		from = f.Find(b, from)
		if from < 0 {
			return -1
		}
		n, is := f.Measure(b[from:])
		if is == Whole && f.Right(b[from:from+n]) {
			return from
		}
		if n > 0 {
			tries++
		}
	}
	return -1
}

// Tally counts what became of the frames of one payload.
type Tally struct {
	Good  int
	First error // of a broken frame
}

// Count counts a frame; err is nil for a good one, and is given back.
func (t *Tally) Count(err error) error {
	if err == nil {
		t.Good++
	} else if t.First == nil {
		t.First = err
	}
	return err
}

// Judge says what becomes of the payload as a whole: it is refused if it gives too many values, if all its frames are
// broken, and if it has none. begins says with what frames begin.
func (t *Tally) Judge(protocol string, payload []byte, values int, begins string) error {
	fault := func(at int, cause error) error { return &decode.Error{Protocol: protocol, Offset: at, Err: cause} }
	switch {
	case values > decode.MaxReadings:
		return fault(-1, fmt.Errorf("more than %d values: %w", decode.MaxReadings, decode.ErrBound))
	case t.Good > 0:
		return nil
	case t.First != nil:
		return t.First
	case len(bytes.TrimSpace(payload)) == 0:
		return fault(0, decode.ErrEmpty)
	}
	return fault(0, fmt.Errorf("no %s: %w", begins, decode.ErrMalformed))
}
