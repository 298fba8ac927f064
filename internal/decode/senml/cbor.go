package senml

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math"
	"unicode/utf8"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/internal/decode/doc"
)

// maxDepth bounds what is skipped inside unknown fields.
const maxDepth = 32

// Major types of CBOR (RFC 8949 section 3.1).
const (
	unsigned = iota
	negative
	byteString
	textString
	array
	object
	tag
	simple
)

// head is the first byte of a data item and its argument.
type head struct {
	major  byte
	info   byte
	arg    uint64
	stream bool // indefinite length
}

// walker reads CBOR. Its methods report false once something is wrong; err and i then say what and where.
type walker struct {
	b   []byte
	i   int
	err error
}

func (w *walker) fail(err error) bool {
	if w.err == nil {
		w.err = err
	}
	return false
}

func (w *walker) short() bool { return w.fail(decode.ErrTruncated) }

var errReserved = fmt.Errorf("a reserved form: %w", decode.ErrMalformed)

// head reads the start of an item.
func (w *walker) head() (h head, ok bool) {
	if w.i >= len(w.b) {
		return h, w.short()
	}
	c := w.b[w.i]
	w.i++
	h = head{major: c >> 5, info: c & 31}
	rest := w.b[w.i:]
	switch {
	case h.info < 24:
		h.arg = uint64(h.info)
		return h, true
	case h.info <= 27:
		n := 1 << (h.info - 24)
		if len(rest) < n {
			w.i = len(w.b)
			return h, w.short()
		}
		switch n {
		case 1:
			h.arg = uint64(rest[0])
		case 2:
			h.arg = uint64(binary.BigEndian.Uint16(rest))
		case 4:
			h.arg = uint64(binary.BigEndian.Uint32(rest))
		default:
			h.arg = binary.BigEndian.Uint64(rest)
		}
		w.i += n
		if h.major == simple && n == 1 && h.arg < 32 {
			return h, w.fail(errReserved)
		}
		return h, true
	case h.info == 31 && (h.major >= byteString && h.major <= object || h.major == simple):
		h.stream = true
		return h, true
	}
	w.i--
	return h, w.fail(errReserved)
}

// isBreak: the end of an item of indefinite length.
func (h head) isBreak() bool { return h.major == simple && h.stream }

// untag reads a head and passes over tags (self-described CBOR, 55799, and others that change nothing), except
// decimal fractions (tag 4).
func (w *walker) untag() (h head, fraction, ok bool) {
	for {
		if h, ok = w.head(); !ok || h.major != tag {
			return h, fraction, ok
		}
		fraction = h.arg == 4
	}
}

// bytes gives the content of a string of definite length.
func (w *walker) bytes(h head) ([]byte, bool) {
	if h.arg > uint64(len(w.b)-w.i) {
		w.i = len(w.b)
		return nil, w.short()
	}
	s := w.b[w.i : w.i+int(h.arg)]
	w.i += int(h.arg)
	return s, true
}

// skip passes over the item whose head was read. Open items stand in a stack of fixed size.
func (w *walker) skip(h head) bool {
	const open = math.MaxUint64
	var left [maxDepth]uint64 // items to come in each that is not closed; open: until the break
	depth := 0
	for {
		complete := true
		switch {
		case h.isBreak():
			if depth == 0 || left[depth-1] != open {
				return w.fail(fmt.Errorf("break outside an item of indefinite length: %w", decode.ErrMalformed))
			}
			depth--
		case h.major == tag:
			complete = false
		case h.stream || h.major == array || h.major == object:
			n := h.items()
			switch {
			case h.stream:
				n = open
			case n > uint64(len(w.b)-w.i): // each has a byte at least
				w.i = len(w.b)
				return w.short()
			}
			if n == 0 {
				break
			}
			if depth == maxDepth {
				return w.fail(fmt.Errorf("nested deeper than %d levels: %w", maxDepth, decode.ErrBound))
			}
			left[depth], complete = n, false
			depth++
		case h.major == byteString || h.major == textString:
			if _, ok := w.bytes(h); !ok {
				return false
			}
		}
		for ; complete && depth > 0 && left[depth-1] != open; depth-- {
			if left[depth-1]--; left[depth-1] > 0 {
				break
			}
		}
		if complete && depth == 0 {
			return true
		}
		var ok bool
		if h, ok = w.head(); !ok {
			return false
		}
	}
}

// items is how many data items an array or map of definite length holds.
func (h head) items() uint64 {
	if h.major == object && h.arg < 1<<62 {
		return 2 * h.arg
	}
	return h.arg
}

// readCBOR reads the CBOR representation (RFC 8428 section 6).
func (p *pack) readCBOR(payload []byte) bool {
	switch {
	case len(payload) == 0:
		return p.fail(0, "", decode.ErrEmpty)
	case len(payload) > doc.MaxSize:
		return p.fail(doc.MaxSize, "", decode.ErrBound)
	}
	w := walker{b: payload}
	if !w.records(p) {
		if w.err != nil {
			return p.fail(w.i, "", w.err)
		}
		return false
	}
	if w.i < len(payload) {
		return p.fail(w.i, "", fmt.Errorf("%d bytes behind the pack: %w", len(payload)-w.i, decode.ErrMalformed))
	}
	return true
}

func (w *walker) records(p *pack) bool {
	h, _, ok := w.untag()
	if !ok {
		return false
	}
	if h.major == object && !p.strict { // one record without its array
		return w.record(p, h) && p.close()
	}
	if h.major != array {
		w.i = 0
		return w.fail(fmt.Errorf("want an array of records: %w", decode.ErrUnsupported))
	}
	for n := uint64(0); h.stream || n < h.arg; n++ {
		at := w.i
		item, _, ok := w.untag()
		switch {
		case !ok:
			return false
		case h.stream && item.isBreak():
			return true
		case item.major == object:
			if !w.record(p, item) || !p.close() {
				return false
			}
		default:
			p.rec.reset(at)
			if !w.skip(item) || !p.bad(&decode.Reading{}, &p.rec, fmt.Errorf("want a record: %w", decode.ErrMalformed)) {
				return false
			}
		}
	}
	return true
}

// record reads one map into p.rec.
func (w *walker) record(p *pack, m head) bool {
	p.rec.reset(w.i - 1)
	for n := uint64(0); m.stream || n < m.arg; n++ {
		at := w.i
		h, ok := w.head()
		if !ok {
			return false
		}
		if m.stream && h.isBreak() {
			return true
		}
		f, ok := w.label(p, h, at)
		if !ok {
			return false
		}
		if !w.field(p, f, at) {
			return false
		}
	}
	return true
}

// label reads a map's key: a number of RFC 8428 table 4, or a word.
func (w *walker) label(p *pack, h head, at int) (field, bool) {
	switch {
	case h.major == unsigned && h.arg <= uint64(dataValue):
		return field(h.arg), true
	case h.major == negative && h.arg < uint64(unknown-version):
		return version + field(h.arg), true
	case h.major == textString && !h.stream:
		word, ok := w.bytes(h)
		if !ok {
			return 0, false
		}
		f := lookLabel(word)
		if f == unknown && !p.known(word, at) {
			return 0, false
		}
		return f, true
	}
	return unknown, w.skip(h)
}

var (
	errUTF8   = fmt.Errorf("text string: %w", decode.ErrEncoding)
	errStream = fmt.Errorf("a string of indefinite length: %w", decode.ErrUnsupported)
	errType   = fmt.Errorf("another type: %w", decode.ErrMalformed)
)

// field reads the value of a field.
func (w *walker) field(p *pack, f field, at int) bool {
	rec := &p.rec
	h, fraction, ok := w.untag()
	if !ok {
		return false
	}
	null := h.major == simple && (h.arg == 22 || h.arg == 23) && h.info < 24
	var err error
	switch {
	case null:
		rec.absent = rec.absent || f < unknown && 1<<f&valueFields != 0
		return true
	case f == unknown:
		return w.skip(h)
	case h.stream && (h.major == textString || h.major == byteString):
		if !w.skip(h) {
			return false
		}
		err = errStream
	case f == dataValue && h.major == byteString:
		s, ok := w.bytes(h)
		if !ok {
			return false
		}
		if rec.text[f] = s; len(s) <= MaxText { // else it is refused for its length
			p.data = base64.RawURLEncoding.AppendEncode(p.data[:0], s)
			rec.text[f] = p.data
		}
		rec.set(f)
	case f.isText() && f != dataValue && h.major == textString:
		s, ok := w.bytes(h)
		if !ok {
			return false
		}
		if utf8.Valid(s) {
			rec.text[f] = s
			rec.set(f)
			return true
		}
		err = errUTF8
	case f == boolValue && h.major == simple && (h.arg == 20 || h.arg == 21) && h.info < 24:
		rec.truth = h.arg == 21
		rec.set(f)
	case !f.isText() && f != boolValue:
		v, is, ok := w.number(h, fraction)
		if !ok {
			return false
		}
		if is {
			return p.take(f, at, v, nil)
		}
		err = errType
	default:
		if !w.skip(h) {
			return false
		}
		err = errType
	}
	if err == nil {
		return true
	}
	return p.take(f, at, 0, err)
}

// number reads an integer, a float or a decimal fraction. is: it was one; else the item was skipped.
func (w *walker) number(h head, fraction bool) (v float64, is, ok bool) {
	switch {
	case fraction && h.major == array && !h.stream && h.arg == 2:
		exponent, isE, ok := w.integer()
		if !ok {
			return 0, false, false
		}
		mantissa, isM, ok := w.integer()
		if !ok || !isE || !isM {
			return 0, false, ok
		}
		return scale(mantissa, exponent), true, true
	case h.major == unsigned:
		return float64(h.arg), true, true
	case h.major == negative:
		return -1 - float64(h.arg), true, true
	case h.major == simple && h.info == 25:
		return half(uint16(h.arg)), true, true
	case h.major == simple && h.info == 26:
		return float64(math.Float32frombits(uint32(h.arg))), true, true
	case h.major == simple && h.info == 27:
		return math.Float64frombits(h.arg), true, true
	}
	return 0, false, w.skip(h)
}

// integer reads a part of a decimal fraction.
func (w *walker) integer() (v float64, is, ok bool) {
	h, ok := w.head()
	switch {
	case !ok:
		return 0, false, false
	case h.major == unsigned:
		return float64(h.arg), true, true
	case h.major == negative:
		return -1 - float64(h.arg), true, true
	}
	return 0, false, w.skip(h)
}

// scale is m * 10^e, by the division where that is the exact way.
func scale(m, e float64) float64 {
	switch {
	case e < -400 || m == 0:
		return 0
	case e > 400:
		return math.Copysign(math.Inf(1), m)
	case e < -300: // 10^-e is beyond float64
		return m / 1e300 / math.Pow10(int(-e)-300)
	case e < 0:
		return m / math.Pow10(int(-e))
	}
	return m * math.Pow10(int(e))
}

// half is RFC 8949 appendix D.
func half(h uint16) float64 {
	exponent, mantissa := int(h>>10&0x1f), float64(h&0x3ff)
	var v float64
	switch exponent {
	case 0:
		v = math.Ldexp(mantissa, -24)
	case 31:
		v = math.Inf(1)
		if mantissa != 0 {
			v = math.NaN()
		}
	default:
		v = math.Ldexp(mantissa+1024, exponent-25)
	}
	if h&0x8000 != 0 {
		v = -v
	}
	return v
}
