package gb26875

import (
	"bytes"
	"fmt"
	"strconv"
	"time"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/pkg/sensor"
)

// shapes gives the bytes of an object of each type of data unit, its time included (8.3.1); -1 = its length stands in it.
var shapes = [...]struct {
	size  int
	timed bool
}{
	1: {10, true}, 2: {46, true}, 3: {16, true}, 4: {10, true}, 5: {4, false}, 6: {-1, false}, 7: {38, false}, 8: {8, false},
	21: {7, true}, 24: {8, true}, 25: {2, false}, 26: {-1, false}, 28: {6, false},
}

// question is the first type of what the center asks (8.1).
const question = 61

// unit reads a data unit.
func (d *Decoder) unit(b []byte) error {
	if len(b) < 2 {
		return fault(d.at+len(b), "", fmt.Errorf("a data unit of %d byte: %w", len(b), decode.ErrTruncated))
	}
	kind, n := b[0], int(b[1])
	if kind >= question && kind < 128 {
		d.emptyFor(sensor.ReasonCommand)
		return nil
	}
	if int(kind) >= len(shapes) || shapes[kind].size == 0 {
		return fault(d.at, "type", fmt.Errorf("data unit of type %d: %w", kind, decode.ErrUnsupported))
	}
	d.emptyFor(sensor.ReasonNoValues)
	rest := b[2:]
	for i := range n {
		size := shapes[kind].size
		if size < 0 {
			size = length(kind, rest)
		}
		at := d.at + len(b) - len(rest)
		if len(rest) < size {
			d.add(decode.Reading{Serial: d.serial, Err: fault(at, "", fmt.Errorf("object %d of %d has %d bytes of %d: %w",
				i+1, n, len(rest), size, decode.ErrTruncated))})
			return nil
		}
		d.object(kind, i, rest[:size], at)
		rest = rest[size:]
	}
	return nil
}

// length gives the bytes of a configuration (8.2.1.6, 8.2.1.11).
func length(kind byte, b []byte) int {
	at := 0
	if kind == 6 {
		at = 2
	}
	if len(b) <= at {
		return at + 1
	}
	return at + 1 + int(b[at])
}

// object reads one information object, the i-th of its unit.
func (d *Decoder) object(kind byte, i int, b []byte, at int) {
	o := object{d: d, time: d.sent, at: at, quality: d.quality}
	if shapes[kind].timed {
		label := b[len(b)-6:]
		b = b[:len(b)-6]
		if !o.label(label) {
			return
		}
	}
	switch kind {
	case 1:
		o.place(b[:2], nil)
		o.system(uint16(b[2])|uint16(b[3])<<8, i)
	case 2:
		o.place(b[:2], b[2:7])
		for k := range componentBits {
			o.number(stateName(b[2], k), float64(b[7+k/8]>>(k%8)&1), "")
		}
		o.text("description", b[9:])
	case 3:
		o.place(b[:2], b[2:7])
		o.analog(b[0], b[2], b[7], int16(uint16(b[8])|uint16(b[9])<<8))
	case 4:
		o.place(b[:2], nil)
		o.operation(systemOps[:], b[2], b[3])
	case 5:
		o.place(b[:2], nil)
		o.version(b[2], b[3])
	case 6:
		o.place(b[:2], nil)
		o.text("configuration", b[3:])
	case 7:
		o.place(b[:2], b[2:7])
		o.text("description", b[7:])
	case 8:
		o.place(b[:2], nil)
		o.clock(b[2:])
	case 21:
		for k, name := range deviceBits {
			o.number(name, float64(b[0]>>k&1), "")
		}
	case 24:
		o.operation(deviceOps[:], b[0], b[1])
	case 25:
		o.version(b[0], b[1])
	case 26:
		o.text("configuration", b[1:])
	case 28:
		o.clock(b)
	}
}

// object is what is being read: of which system or component, when.
type object struct {
	d       *Decoder
	time    int64
	at      int
	quality sensor.Quality
	suffix  [40]byte // of the key
	n       int      // bytes of suffix
}

// place writes the suffix of the key: system, then component.
func (o *object) place(system, component []byte) {
	b := append(o.suffix[:0], '-')
	b = strconv.AppendUint(b, uint64(system[0]), 10)
	b = strconv.AppendUint(append(b, '.'), uint64(system[1]), 10)
	if component != nil {
		b = strconv.AppendUint(append(b, '-'), uint64(component[0]), 10)
		b = strconv.AppendUint(append(b, '.'), uint64(component[1])|uint64(component[2])<<8, 10)
		b = strconv.AppendUint(append(b, '.'), uint64(component[3])|uint64(component[4])<<8, 10)
	}
	o.n = len(b)
}

// label takes the object's own time (8.2.2).
func (o *object) label(b []byte) bool {
	if ms, ok := o.d.moment(b); ok {
		o.time = ms
		return true
	}
	if o.d.strict {
		o.d.add(decode.Reading{Serial: o.d.serial, Err: fault(o.at, "time", fmt.Errorf("% X: %w", b, decode.ErrTime))})
		return false
	}
	if !unset(b) {
		o.quality |= sensor.ClockSkew
	}
	return true
}

// unset: nobody has written anything there.
func unset(b []byte) bool {
	for _, c := range b {
		if c != b[0] || c != 0 && c != 0xff {
			return false
		}
	}
	return true
}

// put adds a reading with what the object says about it.
func (o *object) put(name string, r decode.Reading) {
	d := o.d
	r.Property, r.Key = name, name
	if o.n > 0 {
		d.key = append(append(d.key[:0], name...), o.suffix[:o.n]...)
		r.Key = d.names.String(d.key)
	}
	r.Serial, r.Time, r.Quality = d.serial, o.time, o.quality
	if late := d.sent - o.time; o.time != 0 && late >= 0 && late <= maxDelay {
		r.ResultTime = d.sent
	}
	d.add(r)
}

func (o *object) number(name string, v float64, unit string) {
	o.put(name, decode.Reading{Number: v, Unit: unit})
}

// system tells the bits of a system's state.
func (o *object) system(bits uint16, i int) {
	for k, name := range systemBits {
		if i >= fullSystems && (k == 0 || k > mostBits) {
			continue
		}
		o.number(name, float64(bits>>k&1), "")
	}
}

// analog tells a measured value.
func (o *object) analog(system, component, kind byte, v int16) {
	name, a := analogOf(system, component, kind)
	if name == "" {
		name = "analog_" + strconv.Itoa(int(kind))
		o.put(o.d.names.String([]byte(name)), decode.Reading{Err: fault(o.at+7, name, fmt.Errorf("analog value of type %d: %w", kind, decode.ErrUnsupported))})
		return
	}
	o.number(name, float64(v)/a.parts, a.unit)
}

// operation tells what a person did.
func (o *object) operation(names []string, bits, operator byte) {
	for k, name := range names {
		if bits>>k&1 == 1 {
			o.number(name, 1, "")
		}
	}
	o.number("operator", float64(operator), "")
}

func (o *object) version(major, minor byte) {
	var room [8]byte
	b := strconv.AppendUint(room[:0], uint64(major), 10)
	b = strconv.AppendUint(append(b, '.'), uint64(minor), 10)
	o.put("software_version", decode.Reading{Text: o.d.words.String(b)})
}

// clock tells what time it is by the clock of a system or the device.
func (o *object) clock(b []byte) {
	ms, ok := o.d.moment(b)
	if !ok {
		o.put("clock", decode.Reading{Err: fault(o.at, "clock", fmt.Errorf("% X: %w", b, decode.ErrTime))})
		return
	}
	o.put("clock", decode.Reading{Text: time.UnixMilli(ms).In(o.d.zone).Format(time.RFC3339)})
}

// text tells words, padded with zeros or blanks; none at all is no reading.
func (o *object) text(name string, b []byte) {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	b = bytes.TrimSpace(b)
	if len(b) == 0 {
		return
	}
	text, bad := o.d.encoding.UTF8(b)
	if bad >= 0 {
		o.put(name, decode.Reading{Err: fault(o.at, name, decode.ErrEncoding)})
		return
	}
	o.put(name, decode.Reading{Text: o.d.words.String(text)})
}
