package senml

import (
	"bytes"
	"fmt"
	"math"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/pkg/sensor"
)

// field is a label of RFC 8428 table 1; the CBOR labels are its positions here (see labels).
type field uint8

const (
	name field = iota
	unitOf
	value
	textValue
	boolValue
	sum
	timeOf
	updateTime
	dataValue
	version
	baseName
	baseTime
	baseUnit
	baseValue
	baseSum
	unknown
)

var labels = [...]string{"n", "u", "v", "vs", "vb", "s", "t", "ut", "vd", "bver", "bn", "bt", "bu", "bv", "bs"}

const (
	valueFields   = 1<<value | 1<<textValue | 1<<boolValue | 1<<dataValue
	regularFields = 1<<version - 1
)

// lookLabel finds the field of a label in words.
func lookLabel(label []byte) field {
	for i, l := range labels {
		if string(label) == l {
			return field(i)
		}
	}
	return unknown
}

// isText and isNumber tell what a field's value must be; the rest is boolean or data.
func (f field) isText() bool {
	return f == name || f == unitOf || f == textValue || f == dataValue || f == baseName || f == baseUnit
}

// isBase: what is wrong with it is wrong for all records that follow.
func (f field) isBase() bool { return f >= version && f < unknown }

// record is one SenML Record as it was read. Its texts lie in the payload or in the reader's scratch.
type record struct {
	has    uint32
	text   [unknown][]byte // by field
	number [unknown]float64
	truth  bool
	absent bool  // a value is null
	at     int   // offset of the record
	err    error // a regular field that cannot be read
	field  field // which
	errAt  int   // and where
}

func (r *record) reset(at int) { *r = record{at: at} }

func (r *record) set(f field) { r.has |= 1 << f }

func (r *record) holds(f field) bool { return r.has&(1<<f) != 0 }

// bad notes what is wrong with a regular field: the record alone is unusable.
func (r *record) bad(f field, at int, err error) {
	if r.err == nil {
		r.err, r.field, r.errAt = err, f, at
	}
}

// pack resolves records (RFC 8428 section 4.6): base fields hold for the record they stand in and all that follow.
type pack struct {
	protocol string
	strict   bool
	names    decode.Interner
	words    decode.Interner
	scratch  []byte
	data     []byte // the data value in hand
	rec      record

	bn, bu       []byte
	bt, bv, bs   float64
	hasBV, hasBS bool
	full         []byte // base name and name
	device       string // of the last record
	out          []decode.Reading
	first        int
	places       []place
	err          *decode.Error
}

// begin starts a payload.
func (p *pack) begin(dst []decode.Reading) {
	const keep = 4096
	if cap(p.full) > keep || cap(p.scratch) > keep || cap(p.bn) > keep || cap(p.bu) > keep || cap(p.places) > keep {
		p.full, p.scratch, p.bn, p.bu, p.places = nil, nil, nil, nil, nil
	}
	p.bn, p.bu, p.places = p.bn[:0], p.bu[:0], p.places[:0]
	p.bt, p.bv, p.bs, p.hasBV, p.hasBS = 0, 0, 0, false, false
	p.out, p.first, p.err = dst, len(dst), nil
}

// fail refuses the payload. It returns false for its callers' convenience.
func (p *pack) fail(at int, f string, err error) bool {
	if p.err == nil {
		p.err = &decode.Error{Protocol: p.protocol, Offset: at, Field: f, Err: err}
	}
	return false
}

// known judges a label nobody knows: one that ends with '_' must be understood (RFC 8428 section 4.4).
func (p *pack) known(label []byte, at int) bool {
	if len(label) > 0 && label[len(label)-1] == '_' {
		return p.fail(at, string(bytes.ToValidUTF8(label[:min(len(label), MaxName)], nil)),
			fmt.Errorf("a field that must be understood: %w", decode.ErrUnsupported))
	}
	return true
}

// close resolves the record that was read.
func (p *pack) close() bool {
	r := &p.rec
	if !p.bases(r) {
		return false
	}
	if r.has&regularFields == 0 && r.err == nil {
		return true // base fields only
	}
	device, key, err := p.identify(r)
	if err == nil {
		err = r.err
	}
	reading := decode.Reading{Serial: device, Key: key, Property: key}
	if err == nil {
		err = p.time(r, &reading)
	}
	if err != nil {
		return p.bad(&reading, r, err)
	}
	return p.values(r, &reading)
}

// bases takes over a record's base fields.
func (p *pack) bases(r *record) bool {
	if r.has>>version == 0 {
		return true
	}
	if r.holds(version) && !understood(r.number[version]) {
		return p.fail(r.at, "bver", fmt.Errorf("version %v: %w", r.number[version], decode.ErrUnsupported))
	}
	if r.holds(baseName) {
		p.bn = append(p.bn[:0], r.text[baseName]...)
	}
	if r.holds(baseUnit) {
		p.bu = append(p.bu[:0], r.text[baseUnit]...)
	}
	if r.holds(baseTime) {
		p.bt = r.number[baseTime]
	}
	if r.holds(baseValue) {
		p.bv, p.hasBV = r.number[baseValue], true
	}
	if r.holds(baseSum) {
		p.bs, p.hasBS = r.number[baseSum], true
	}
	return true
}

// understood: version 10 is RFC 8428, earlier ones its drafts; beyond, each bit is a feature (RFC 9100), of which
// there is one, secondary units (bit 4), read here.
func understood(v float64) bool { return v >= 1 && v <= 10 || v == 26 }

// identify finds device and name of a record.
func (p *pack) identify(r *record) (device, key string, err error) {
	full := p.bn
	if n := r.text[name]; len(n) > 0 {
		full = n
		if len(p.bn) > 0 {
			p.full = append(append(p.full[:0], p.bn...), n...)
			full = p.full
		}
	}
	if len(full) > MaxName {
		return "", "", fmt.Errorf("name of %d bytes, at most %d: %w", len(full), MaxName, decode.ErrBound)
	}
	d, v := split(full)
	if string(d) != p.device {
		p.device = p.names.String(d)
	}
	switch {
	case len(v) > 0:
		key = p.names.String(v)
	case len(p.symbol(r)) > 0 && len(p.symbol(r)) <= MaxName:
		key = p.names.String(p.symbol(r))
	default:
		key = "value"
	}
	if p.strict && !allowed(full) {
		return p.device, key, fmt.Errorf("a name has letters, digits and -:./_ only, and begins with a letter or digit: %w", decode.ErrMalformed)
	}
	return p.device, key, nil
}

// allowed is the character set of RFC 8428 section 4.5.1.
func allowed(name []byte) bool {
	for i, c := range name {
		switch {
		case c-'0' <= 9, c|0x20 >= 'a' && c|0x20 <= 'z':
		case i > 0 && (c == '-' || c == ':' || c == '.' || c == '/' || c == '_'):
		default:
			return false
		}
	}
	return len(name) > 0
}

// symbol is the record's unit, or the base unit.
func (p *pack) symbol(r *record) []byte {
	if r.holds(unitOf) {
		return r.text[unitOf]
	}
	return p.bu
}

// now: times below it count from the moment of arrival (RFC 8428 section 4.5.3).
const now = 1 << 28

// time resolves base time and time.
func (p *pack) time(r *record, to *decode.Reading) error {
	t := p.bt + r.number[timeOf]
	switch {
	case !(math.Abs(t) < 1e14):
		return fmt.Errorf("%v seconds: %w", t, decode.ErrTime)
	case t >= 1e11 && !p.strict: // milliseconds, whatever the standard says: the year is beyond 5138 else
		to.Time = int64(math.Round(t))
	case t >= now:
		to.Time = int64(math.Round(t * 1000))
	case t > -now:
		to.FromArrival = int64(math.Round(t * 1000))
	default:
		return fmt.Errorf("%v seconds before now: %w", -t, decode.ErrTime)
	}
	return nil
}

// values appends what a record says: its value, its sum, or both.
func (p *pack) values(r *record, to *decode.Reading) bool {
	fields := r.has & valueFields
	summed := r.holds(sum) || p.hasBS && fields&^(1<<value) == 0
	switch {
	case fields&(fields-1) != 0:
		return p.bad(to, r, fmt.Errorf("more than one of v, vs, vb and vd: %w", decode.ErrMalformed))
	case fields == 0 && r.absent:
		return true
	case fields == 0 && !summed && !p.hasBV:
		return p.bad(to, r, fmt.Errorf("a record without a value: %w", decode.ErrMalformed))
	}
	symbol := p.symbol(r)
	switch {
	case fields == 1<<textValue, fields == 1<<dataValue:
		if !p.said(r, to) {
			return false
		}
	case fields == 1<<boolValue:
		v := *to
		if r.truth {
			v.Number = 1
		}
		if !p.add(v) {
			return false
		}
	case fields == 1<<value || !summed:
		v := *to
		v.Number, v.Unit = r.number[value]+p.bv, p.unit(symbol)
		if v.Number-v.Number != 0 {
			return p.bad(to, r, fmt.Errorf("%v: %w", v.Number, decode.ErrNumber))
		}
		if axis := axisOf(symbol); axis != noAxis && p.place(axis, v) {
			break
		}
		if !p.add(v) {
			return false
		}
	}
	if !summed {
		return true
	}
	v := *to
	v.Statistic, v.Number, v.Unit = sensor.Sum, r.number[sum]+p.bs, p.unitSeconds(symbol)
	if v.Number-v.Number != 0 {
		return p.bad(to, r, fmt.Errorf("sum %v: %w", v.Number, decode.ErrNumber))
	}
	return p.add(v)
}

// said appends a value in words, or data, which stay in the letters of their JSON form. An empty one is missing.
func (p *pack) said(r *record, to *decode.Reading) bool {
	text := r.text[textValue]
	if r.holds(dataValue) {
		text = r.text[dataValue]
	}
	if len(text) > MaxText {
		return p.bad(to, r, fmt.Errorf("text of %d bytes, at most %d: %w", len(text), MaxText, decode.ErrBound))
	}
	if len(text) == 0 {
		return true
	}
	v := *to
	v.Text = p.words.String(text)
	return p.add(v)
}

// bad leaves a reading with Err in place of a record's value.
func (p *pack) bad(to *decode.Reading, r *record, err error) bool {
	f, at := to.Key, r.at
	if r.err != nil {
		f, at = labels[r.field], r.errAt
	}
	return p.add(decode.Reading{Serial: to.Serial, Key: to.Key, Property: to.Property,
		Err: &decode.Error{Protocol: p.protocol, Offset: at, Field: f, Err: err}})
}

func (p *pack) add(r decode.Reading) bool {
	if len(p.out)-p.first+len(p.places) >= decode.MaxReadings {
		return p.fail(p.rec.at, "", fmt.Errorf("more than %d values: %w", decode.MaxReadings, decode.ErrBound))
	}
	p.out = append(p.out, r)
	return true
}
