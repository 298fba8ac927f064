package json

import (
	"bytes"
	"fmt"
	"time"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/pkg/sensor"
)

// Bounds of a payload, besides decode.MaxReadings.
const (
	MaxDepth = 4    // levels of objects that are flattened
	MaxKey   = 128  // bytes of a flattened name
	MaxText  = 1024 // bytes of a value in words
)

const protocol = "json"

// Protocol is this package's entry in the list of protocols.
func Protocol() decode.Protocol {
	return decode.Protocol{Name: protocol, New: func(s decode.Settings) (decode.Decoder, error) { return New(s) }}
}

// Decoder turns payloads into Readings. It keeps the names it has seen; use one a connection, from one goroutine.
type Decoder struct {
	scanner
	encoding decode.Text
	zone     *time.Location // for times without zone; nil = refuse them
	strict   bool
	keys     keys
	texts    decode.Interner
	object   object
	path     []byte           // names of the objects around the current member, each with its '.'
	out      []decode.Reading // dst while Decode runs
	first    int              // len(dst) when Decode began
	refused  int              // readings in out that stand for a refused object
}

// New makes a Decoder. The setting CRC has no meaning here.
func New(s decode.Settings) (*Decoder, error) {
	d := &Decoder{strict: s.Strict}
	var err error
	if d.encoding, err = decode.NewText(s.Encoding); err != nil {
		return nil, err
	}
	if s.Zone != "" {
		d.zone, err = s.Location()
	}
	return d, err
}

// Empty implements decode.Emptier: a payload without values had them all null, or none.
func (d *Decoder) Empty() sensor.Reason { return sensor.ReasonNoValues }

// Decode implements decode.Decoder.
func (d *Decoder) Decode(dst []decode.Reading, payload []byte) ([]decode.Reading, error) {
	text, bad := d.encoding.UTF8(payload)
	if bad >= 0 {
		return dst, &decode.Error{Protocol: protocol, Offset: bad, Err: decode.ErrEncoding}
	}
	d.reset(text)
	d.out, d.first, d.refused = dst, len(dst), 0
	ok := d.document()
	out := d.out
	var refusal error
	d.out, d.b = nil, nil // keep nothing of the caller's
	if !ok {
		refusal = &decode.Error{Protocol: protocol, Offset: d.i, Field: d.keys.last.name, Err: d.err}
	}
	d.encoding.Locate(payload, text, out[len(dst):], refusal)
	if !ok {
		return dst, refusal
	}
	if d.refused > 0 && d.refused == len(out)-len(dst) { // nothing usable at all: the payload is refused
		return dst, out[len(dst)].Err
	}
	return out, nil
}

// reset starts a payload. Memory that a monstrous payload left behind is given back.
func (d *Decoder) reset(text []byte) {
	const keep = 4096
	if cap(d.scratch) > keep {
		d.scratch = nil
	}
	if cap(d.path) > keep {
		d.path = nil
	}
	d.path = d.path[:0]
	d.scanner = scanner{b: text, scratch: d.scratch}
	d.keys.trim()
}

// document reads the whole payload: one object or an array of them.
func (d *Decoder) document() bool {
	if bytes.HasPrefix(d.b, []byte("\ufeff")) { // RFC 8259 8.1: a byte order mark may be ignored
		if d.strict {
			return d.fail(fmt.Errorf("a byte order mark: %w", decode.ErrEncoding))
		}
		d.i = 3
	}
	d.blank()
	switch d.peek() {
	case '{':
		if !d.report(-1) {
			return false
		}
	case '[':
		if !d.reports() {
			return false
		}
	case end:
		return d.fail(decode.ErrEmpty)
	default:
		at := d.i
		if !d.skip(0) {
			return false
		}
		d.i = at
		return d.fail(fmt.Errorf("want an object or an array of objects: %w", decode.ErrUnsupported))
	}
	if d.blank(); d.peek() != end {
		return d.unexpected("the end")
	}
	return true
}

// reports reads an array of objects; null elements are missing ones.
func (d *Decoder) reports() bool {
	d.i++
	if d.blank(); d.at(']') {
		return true
	}
	for n := 0; ; n++ {
		d.blank()
		at := d.i
		switch c := d.peek(); {
		case c == '{':
			if !d.report(n) {
				return false
			}
		case !d.skip(0):
			return false
		case c != 'n' && !d.refuse(n, &decode.Error{Offset: at, Err: fmt.Errorf("want an object: %w", decode.ErrUnsupported)}):
			return false
		}
		if d.blank(); d.at(']') {
			return true
		}
		if !d.at(',') {
			return d.unexpected("',' or ']'")
		}
	}
}

// members reads an object's members; depth counts the objects around them, this one included.
func (d *Decoder) members(depth int) bool {
	d.i++
	if d.blank(); d.at('}') {
		return true
	}
	for {
		d.blank()
		name, ok := d.text("a name in quotes")
		if !ok {
			return false
		}
		k := d.keys.find(d.flatten(name))
		if d.blank(); !d.at(':') {
			return d.unexpected("':'")
		}
		if d.blank(); !d.member(k, name, depth) {
			return false
		}
		if d.blank(); d.at('}') {
			return true
		}
		if !d.at(',') {
			return d.unexpected("',' or '}'")
		}
	}
}

// flatten puts the names of the objects around a member before its own.
func (d *Decoder) flatten(name []byte) []byte {
	outer := len(d.path)
	if outer == 0 {
		return name
	}
	full := append(d.path, name...)
	d.path = full[:outer] // the same names again need no new memory
	return full
}

// member reads one value. It runs with d.i at the value's first byte.
func (d *Decoder) member(k *key, name []byte, depth int) bool {
	at := d.i
	switch d.peek() {
	case '{':
		return d.nested(k, name, depth)
	case '[':
		return d.skip(depth) && (k.role == isValue || d.misused(k, at))
	case '"':
		text, ok := d.text("a value")
		return ok && d.words(k, at, text)
	case 't':
		return d.word("true") && d.truth(k, at, 1)
	case 'f':
		return d.word("false") && d.truth(k, at, 0)
	case 'n':
		return d.word("null")
	}
	v, n, err := decode.Number(d.b[at:])
	if n == 0 {
		return d.noValue()
	}
	d.i += n
	return d.number(k, at, v, err)
}

// nested flattens an object, unless it stands too deep or where t, lon or lat belongs.
func (d *Decoder) nested(k *key, name []byte, depth int) bool {
	at := d.i
	if k.role != isValue {
		return d.skip(depth) && d.misused(k, at)
	}
	if depth == MaxDepth {
		return d.skip(depth) &&
			d.add(k, at, decode.Reading{}, fmt.Errorf("objects deeper than %d levels: %w", MaxDepth, decode.ErrBound))
	}
	outer := len(d.path)
	d.path = append(append(d.path, name...), '.')
	ok := d.members(depth + 1)
	d.path = d.path[:outer]
	return ok
}
