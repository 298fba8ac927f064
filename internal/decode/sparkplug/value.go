package sparkplug

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/situ-city/situ/internal/decode"
)

var (
	errNumber   = fmt.Errorf("a number is wanted: %w", decode.ErrMalformed)
	errType     = fmt.Errorf("a value whose data type nobody said; a birth is awaited: %w", decode.ErrUnsupported)
	errFinite   = fmt.Errorf("not finite: %w", decode.ErrNumber)
	errTextSize = fmt.Errorf("text of more than %d bytes: %w", MaxText, decode.ErrBound)
	errText     = fmt.Errorf("text: %w", decode.ErrEncoding)
	errPacked   = fmt.Errorf("packed array: %w", decode.ErrMalformed)
)

// value adds what a metric holds, by its data type.
func (d *Decoder) value(r decode.Reading, m *metric, at int) {
	switch t := m.typ; {
	case m.carrier == none:
		return // a value that is not there
	case t >= Int8Array && t <= DateTimeArray:
		d.array(r, m, at)
	case t == DataSet, t == Template, t == PropertySet, t == PropertySetList, t > DateTimeArray, m.carrier == other:
		d.bad(r.Key, at, fmt.Errorf("data type %d: %w", t, decode.ErrUnsupported))
	case t == Bytes, t == File, t == Unknown && m.carrier == octets:
		if len(m.bytes) > MaxText*3/4 {
			d.bad(r.Key, at, errTextSize)
		} else if len(m.bytes) > 0 {
			r.Text = base64.StdEncoding.EncodeToString(m.bytes)
			d.add(r)
		}
	case m.carrier == words:
		d.words(r, m.bytes, at)
	case t == DateTime && m.carrier == whole:
		d.moment(r, int64(m.bits), at)
	default:
		d.number(r, m, at)
	}
}

func (d *Decoder) number(r decode.Reading, m *metric, at int) {
	switch m.carrier {
	case whole:
		if m.typ == Unknown && m.bits > math.MaxInt32 { // may be a negative number
			d.bad(r.Key, at, errType)
			return
		}
		if m.typ == Boolean {
			m.bits = min(m.bits, 1)
		}
		r.Number = integer(m.typ, m.bits)
	case truth:
		r.Number = float64(min(m.bits, 1))
	case single:
		r.Number = shortest(math.Float32frombits(uint32(m.bits)))
	case double:
		r.Number = math.Float64frombits(m.bits)
	default:
		d.bad(r.Key, at, errNumber)
		return
	}
	if r.Number-r.Number != 0 {
		d.bad(r.Key, at, errFinite)
		return
	}
	d.add(r)
}

func (d *Decoder) words(r decode.Reading, text []byte, at int) {
	switch {
	case len(text) == 0:
	case len(text) > MaxText:
		d.bad(r.Key, at, errTextSize)
	case !utf8.Valid(text):
		d.bad(r.Key, at, errText)
	default:
		r.Text = d.names.String(text)
		d.add(r)
	}
}

// moment adds a DateTime, milliseconds since 1970, as text.
func (d *Decoder) moment(r decode.Reading, ms int64, at int) {
	if ms < 0 || ms > 253402300799999 { // the year 9999
		d.bad(r.Key, at, fmt.Errorf("%d ms: %w", ms, decode.ErrTime))
		return
	}
	r.Text = time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.999Z07:00")
	d.add(r)
}

// widths of the elements of an array, in bytes.
var widths = map[DataType]int{Int8Array: 1, Int16Array: 2, Int32Array: 4, Int64Array: 8, UInt8Array: 1, UInt16Array: 2,
	UInt32Array: 4, UInt64Array: 8, FloatArray: 4, DoubleArray: 8, DateTimeArray: 8}

// array adds each element of a packed array as a value of its own (section 6.4.17: little endian).
func (d *Decoder) array(r decode.Reading, m *metric, at int) {
	b := m.bytes
	if m.carrier != octets {
		d.bad(r.Key, at, errPacked)
		return
	}
	switch width := widths[m.typ]; {
	case m.typ == BooleanArray:
		d.booleans(r, b, at)
	case m.typ == StringArray:
		d.strings(r, b, at)
	case len(b)%width != 0:
		d.bad(r.Key, at, errPacked)
	default:
		for i := 0; (i+1)*width <= len(b) && d.err == nil; i++ {
			e := element(r, i)
			var word [8]byte
			copy(word[:], b[i*width:(i+1)*width])
			bits := binary.LittleEndian.Uint64(word[:])
			switch m.typ {
			case DateTimeArray:
				d.moment(e, int64(bits), at)
				continue
			case FloatArray:
				e.Number = shortest(math.Float32frombits(uint32(bits)))
			case DoubleArray:
				e.Number = math.Float64frombits(bits)
			default:
				e.Number = integer(m.typ-Int8Array+Int8, bits)
			}
			if e.Number-e.Number != 0 {
				d.bad(e.Key, at, errFinite)
				continue
			}
			d.add(e)
		}
	}
}

// element names one value of an array.
func element(r decode.Reading, i int) decode.Reading {
	r.Key += "." + strconv.Itoa(i)
	return r
}

// booleans: a count of 4 bytes, then bits, the first in the highest place. They leave as one text of zeros and ones:
// eight values a byte would be more than a payload may become.
func (d *Decoder) booleans(r decode.Reading, b []byte, at int) {
	if len(b) < 4 {
		d.bad(r.Key, at, errPacked)
		return
	}
	n, bits := int64(binary.LittleEndian.Uint32(b)), b[4:]
	if n > 8*int64(len(bits)) || n > MaxText {
		d.bad(r.Key, at, errPacked)
		return
	}
	var text [MaxText]byte
	for i := range text[:n] {
		text[i] = '0' + bits[i/8]>>(7-i%8)&1
	}
	d.words(r, text[:n], at)
}

// strings: each ends with a zero byte.
func (d *Decoder) strings(r decode.Reading, b []byte, at int) {
	for i, from := 0, 0; from < len(b) && d.err == nil; i++ {
		end := from
		for end < len(b) && b[end] != 0 {
			end++
		}
		d.words(element(r, i), b[from:end], at)
		from = end + 1
	}
}
