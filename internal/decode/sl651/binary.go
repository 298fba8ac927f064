package sl651

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/situ-city/situ/internal/decode"
)

// Leading signs of groups that are no elements.
const (
	signTime    = 0xF0
	signStation = 0xF1
	signManual  = 0xF2
	signPicture = 0xF3
	signBatch   = 0xFD
	signStep    = 0x04
	signFurther = 0xFF
)

const fiveMinutes = 5 * 60 * 1000

// binaryBody reads a body coded HEX/BCD (6.6.3).
func (d *Decoder) binaryBody(b []byte) error {
	if len(b) < 8 {
		return fault(d.where(len(b)), "", fmt.Errorf("a body of %d bytes: %w", len(b), decode.ErrTruncated))
	}
	var room [12]byte
	d.sent, _ = d.clock(spelled(room[:0], b[2:8]))
	for i := 8; i < len(b); {
		n, err := d.group(b[i:], i)
		if err != nil {
			return err
		}
		i += n
	}
	return nil
}

// group reads the group at the beginning of b, which is offset i of the body, and gives its length.
func (d *Decoder) group(b []byte, i int) (n int, err error) {
	var room [10]byte
	switch b[0] {
	case signTime:
		if len(b) < 7 {
			return 0, fault(d.where(i), "TT", decode.ErrTruncated)
		}
		ms, ok := d.clock(spelled(room[:0], b[2:7]))
		if !ok {
			return 0, fault(d.where(i+2), "TT", fmt.Errorf("%X: %w", b[2:7], decode.ErrTime))
		}
		d.time, d.gate = ms, d.gate[:0]
		return 7, nil
	case signStation:
		if len(b) < 7 {
			return 0, fault(d.where(i), "ST", decode.ErrTruncated)
		}
		d.serial = d.names.String(spelled(room[:0], b[2:7]))
		d.time, d.gate = 0, d.gate[:0]
		if d.task == version {
			return len(b), d.version(b[7:], i+7)
		}
		if d.task == control || d.task == events {
			return len(b), d.afterStation(b[7:], i+7)
		}
		return 7 + d.class(b[7:]), nil
	case signManual:
		return len(b), d.manual(b[min(2, len(b)):], i+2)
	case signPicture, signBatch:
		return len(b), nil
	}
	return d.element(b, i), nil
}

// class gives the length of the station's class, which not every function sends behind the station.
func (d *Decoder) class(b []byte) int {
	switch {
	case len(b) == 0, b[0] == signTime && (len(b) == 1 || b[1] == signTime || b[1] == 0x28):
		return 0
	case d.task == report || d.task == series || len(b) > 1 && b[1] == signTime:
		return 1
	}
	return 0
}

// element reads an element and its value, and gives their length. Where the lengths no longer fit, it gives up the rest.
func (d *Decoder) element(b []byte, i int) int {
	if all(b, 0) { // padding
		return len(b)
	}
	head := 2
	if b[0] == signFurther {
		head = 3
	}
	e := &elements[b[0]]
	name := e.name
	if e.use == asUnknown {
		name = d.unknown(b[:min(head-1, len(b))])
	}
	if len(b) < head {
		d.bad(i, name, decode.ErrTruncated)
		return len(b)
	}
	def := b[head-1]
	n, decimals := int(def>>3), int(def&7)
	if len(b) < head+n {
		d.bad(i, name, fmt.Errorf("%d bytes of %d: %w", len(b)-head, n, decode.ErrTruncated))
		return len(b)
	}
	data := b[head : head+n]
	if d.step > 0 && n > 0 && e.use != asStep {
		return head + d.series(e, name, b[head:], n, decimals, i+head)
	}
	d.value(e, name, data, decimals, i)
	return head + n
}

// series reads the values of an even-interval report: all that is left, n bytes each (6.6.4.4 d).
func (d *Decoder) series(e *element, name string, b []byte, n, decimals, i int) int {
	begin := d.time
	if begin == 0 {
		begin = d.sent
	}
	k := 0
	for ; (k+1)*n <= len(b); k++ {
		d.time = begin + int64(k)*d.step
		d.value(e, name, b[k*n:(k+1)*n], decimals, i+k*n)
	}
	if k*n < len(b) {
		d.bad(i+k*n, name, fmt.Errorf("%d bytes of %d: %w", len(b)-k*n, n, decode.ErrTruncated))
	}
	return len(b)
}

// value reads the value of one element from its bytes.
func (d *Decoder) value(e *element, name string, b []byte, decimals, i int) {
	switch e.use {
	case asBytes, asWordsOf2:
		d.fives(e, b)
		return
	case asState:
		d.state(b, i)
		return
	case asStep:
		if d.task == series && len(b) == 3 {
			d.step = step(int64(unpacked(b[0])), int64(unpacked(b[1])), int64(unpacked(b[2])))
		}
		return
	}
	v, missing, err := d.bcd(b, decimals)
	switch {
	case err != nil:
		d.bad(i, name, err)
	case !missing:
		d.number(e, name, v, i)
	}
}

// step gives milliseconds.
func step(days, hours, minutes int64) int64 { return ((days*24+hours)*60 + minutes) * 60 * 1000 }

func unpacked(c byte) int { return int(c>>4)*10 + int(c&15) }

// fives reads the values of an hour, five minutes apart, one or two binary bytes each; all bits set is missing.
func (d *Decoder) fives(e *element, b []byte) {
	width, scale := 1, 10.0
	if e.use == asWordsOf2 {
		width, scale = 2, 100.0
	}
	begin := d.time
	if begin == 0 {
		begin = d.sent
	}
	for k := 0; (k+1)*width <= len(b); k++ {
		v, missing := int(b[k]), 0xff
		if width == 2 {
			v, missing = int(b[2*k])<<8|int(b[2*k+1]), 0xffff
		}
		if v == missing {
			continue
		}
		r := decode.Reading{Key: e.name, Property: e.name, Number: float64(v) / scale, Unit: e.unit}
		if begin != 0 {
			r.Time = begin + int64(k)*fiveMinutes
		}
		d.put(r)
	}
}

// state reads ZT (table 58).
func (d *Decoder) state(b []byte, i int) {
	if len(b) != 4 {
		d.bad(i, "ZT", fmt.Errorf("%d bytes, want 4: %w", len(b), decode.ErrMalformed))
		return
	}
	bits := uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
	d.put(decode.Reading{Key: "ZT", Property: "ZT", Number: float64(bits)})
	if !d.stateful { // a payload must not become more readings than it has bytes
		return
	}
	d.stateful = false
	for k, name := range states {
		d.put(decode.Reading{Key: name, Property: name, Number: float64(bits >> k & 1)})
	}
}

// manual takes the words that a person keyed in.
func (d *Decoder) manual(b []byte, i int) error { return d.say("RGZS", b, i) }

// version takes the name of the station's software; its length stands before it (6.6.4.19).
func (d *Decoder) version(b []byte, i int) error {
	if len(b) > 0 && int(b[0]) <= len(b)-1 {
		b, i = b[1:1+int(b[0])], i+1
	}
	return d.say("software_version", b, i)
}

// say adds words.
func (d *Decoder) say(key string, b []byte, i int) error {
	text, bad := d.encoding.UTF8(b)
	switch {
	case len(b) == 0:
	case bad >= 0:
		d.bad(i+bad, key, decode.ErrEncoding)
	case len(text) > MaxText:
		d.bad(i, key, fmt.Errorf("text of %d bytes, at most %d: %w", len(text), MaxText, decode.ErrBound))
	default:
		d.put(decode.Reading{Key: key, Property: key, Text: d.words.String(text)})
	}
	return nil
}

// unknown names an element that the appendix does not know.
func (d *Decoder) unknown(id []byte) string {
	var room [8]byte
	return d.names.String(append(spelled(room[:0], id), 'H'))
}

// spelled writes binary digits as characters. What is no decimal digit becomes a letter, which decode.Digits refuses.
func spelled(dst, b []byte) []byte {
	for _, c := range b {
		dst = append(dst, upper[c>>4], upper[c&15])
	}
	return dst
}

// gated gives the key of an element that a gate has.
func (d *Decoder) gated(e *element, name string) string {
	if !e.gate || len(d.gate) == 0 {
		return name
	}
	d.key = append(append(append(d.key[:0], name...), '-'), d.gate...)
	return d.names.String(d.key)
}

// clean makes the name of an element that the appendix does not know printable.
func (d *Decoder) clean(b []byte) string {
	b = b[:min(len(b), 32)]
	if utf8.Valid(b) {
		return d.names.String(b)
	}
	return strings.ToValidUTF8(string(b), "?")
}
