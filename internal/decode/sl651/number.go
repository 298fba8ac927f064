package sl651

import (
	"fmt"
	"strconv"

	"github.com/situ-city/situ/internal/decode"
)

// maxDigits bounds a number: more would not fit a 64-bit integer.
const maxDigits = 18

var pow10 = [...]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7}

// bcd reads decimal digits packed two a byte (6.6.3.3). All F is missing, and all A unless the source is strict; FF
// before digits is the minus sign.
func (d *Decoder) bcd(b []byte, decimals int) (v float64, missing bool, err error) {
	if all(b, 0xff) || !d.strict && all(b, 0xaa) {
		return 0, true, nil
	}
	digits := b
	if b[0] == 0xff {
		digits = b[1:]
	}
	var n uint64
	count := 0
	for _, c := range digits {
		hi, lo := c>>4, c&15
		if hi > 9 || lo > 9 {
			return 0, false, fmt.Errorf("%X is no decimal number: %w", b, decode.ErrNumber)
		}
		n = n*100 + uint64(hi)*10 + uint64(lo)
		if n > 0 {
			count += 2
		}
		if count > maxDigits {
			return 0, false, fmt.Errorf("%X has more than %d digits: %w", b, maxDigits, decode.ErrNumber)
		}
	}
	v = float64(n) / pow10[decimals]
	if b[0] == 0xff && n != 0 {
		v = -v
	}
	return v, false, nil
}

// all reports whether every byte is c; no byte at all counts too.
func all(b []byte, c byte) bool {
	for _, x := range b {
		if x != c {
			return false
		}
	}
	return true
}

// number makes a reading of an element's number.
func (d *Decoder) number(e *element, name string, v float64, i int) {
	r := decode.Reading{Key: name, Property: name, Number: v, Unit: e.unit}
	switch e.use {
	case asNothing:
		return
	case asGate:
		d.gate = strconv.AppendFloat(d.gate[:0], v, 'f', -1, 64)
		return
	case asPoint:
		if v < 1 || v > 16 || v != float64(int(v)) {
			d.bad(i, name, fmt.Errorf("%v is none of the 16 directions: %w", v, decode.ErrNumber))
			return
		}
		r.Number = (v - 1) * 22.5
	case asDuration:
		hours := float64(int64(v))
		r.Number = hours*60 + float64(int64((v-hours)*100+0.5))
	case asSpecial:
		for _, s := range special {
			if s.name == name && s.number == v {
				r.Number, r.Text, r.Unit = 0, s.words, ""
			}
		}
	}
	for range e.ten {
		r.Number *= 10
	}
	r.Key = d.gated(e, name)
	d.put(r)
}
