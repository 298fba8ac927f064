package sl651

import (
	"bytes"
	"fmt"

	"github.com/situ-city/situ/internal/decode"
)

// textBody reads a body coded in characters (6.6.2): names and values, a blank behind each.
func (d *Decoder) textBody(b []byte) error {
	if len(b) < 16 {
		return fault(d.where(len(b)), "", fmt.Errorf("a body of %d bytes: %w", len(b), decode.ErrTruncated))
	}
	d.sent, _ = d.clock(b[4:16])
	t := tokens{b: b, i: 16}
	for {
		name := t.next()
		if len(name) == 0 {
			return nil
		}
		if err := d.textGroup(&t, name); err != nil {
			return err
		}
	}
}

// tokens walks what blanks separate.
type tokens struct {
	b  []byte
	i  int
	at int // where the last one began
}

func (t *tokens) next() []byte {
	for t.i < len(t.b) && t.b[t.i] <= ' ' {
		t.i++
	}
	t.at = t.i
	for t.i < len(t.b) && t.b[t.i] > ' ' {
		t.i++
	}
	return t.b[t.at:t.i]
}

// peek gives the next one without taking it.
func (t *tokens) peek() []byte {
	ahead := *t
	return ahead.next()
}

// rest takes everything that is left, as it is, behind one blank.
func (t *tokens) rest() []byte {
	t.at = min(t.i+1, len(t.b))
	t.i = len(t.b)
	return t.b[t.at:]
}

// textGroup reads a group that begins with name.
func (d *Decoder) textGroup(t *tokens, name []byte) error {
	switch string(name) {
	case "TT":
		v := t.next()
		ms, ok := int64(0), false
		if len(v) == 10 {
			ms, ok = d.clock(v)
		}
		if !ok {
			return fault(d.where(t.at), "TT", fmt.Errorf("%.20q: %w", v, decode.ErrTime))
		}
		d.time, d.gate = ms, d.gate[:0]
		return nil
	case "ST":
		return d.textStation(t)
	case "RGZS":
		return d.say("RGZS", t.rest(), t.at)
	case "PIC", "DATA":
		t.rest()
		return nil
	}
	if d.task == series && len(name) >= 3 && string(name[:2]) == "DR" && bytes.IndexByte([]byte("DHN"), name[2]) >= 0 {
		d.textStep(t, name)
		return nil
	}
	if d.step > 0 {
		d.textSeries(t, name)
		return nil
	}
	d.textValue(name, t.next(), t.at)
	return nil
}

func (d *Decoder) textStation(t *tokens) error {
	v := t.next()
	if len(v) != 10 || !isHex(v) {
		return fault(d.where(t.at), "ST", fmt.Errorf("%.20q is no station of 10 digits: %w", v, decode.ErrMalformed))
	}
	d.serial = d.names.String(bytes.ToUpper(v))
	d.time, d.gate = 0, d.gate[:0]
	if d.task == version {
		text := t.rest()
		if len(text) > 3 && isHex(text[:2]) && text[2] == ' ' { // its length
			text = text[3:]
		}
		return d.say("software_version", bytes.TrimRight(text, " "), t.at)
	}
	if d.task == control || d.task == events {
		return d.textSwitches(t)
	}
	if (d.task == report || d.task == series) && len(t.peek()) == 1 { // the station's class
		t.next()
	}
	return nil
}

// textSwitches reads the same bytes as the binary coding has, in hexadecimal digits.
func (d *Decoder) textSwitches(t *tokens) error {
	if string(t.peek()) == "TT" {
		if err := d.textGroup(t, t.next()); err != nil {
			return err
		}
	}
	var digits []byte
	at := -1
	for v := t.next(); len(v) > 0; v = t.next() {
		if at < 0 {
			at = t.at
		}
		digits = append(digits, v...)
	}
	if len(digits) == 0 {
		return nil
	}
	if len(digits)%2 != 0 || len(digits) > 1024 || !isHex(digits) {
		d.bad(at, "state", fmt.Errorf("%.40q are no hexadecimal digits: %w", digits, decode.ErrMalformed))
		return nil
	}
	return d.afterStation(hexed(nil, digits), at)
}

// textStep reads DRxnn (table C.2).
func (d *Decoder) textStep(t *tokens, name []byte) {
	digits := name[3:]
	if len(digits) == 0 {
		digits = t.next()
	}
	n := int64(max(0, decode.Digits(digits)))
	switch name[2] {
	case 'D':
		d.step = step(n, 0, 0)
	case 'H':
		d.step = step(0, n, 0)
	default:
		d.step = step(0, 0, n)
	}
}

// maxColumns bounds how many elements an even-interval report may list.
const maxColumns = 64

// textSeries reads the elements of an even-interval report and its rows of values; M is a missing one.
func (d *Decoder) textSeries(t *tokens, name []byte) {
	var columns [maxColumns][]byte
	n := 0
	for v := name; ; v = t.next() {
		if n < maxColumns {
			columns[n] = v
			n++
		}
		ahead := t.peek()
		if len(ahead) == 0 {
			return
		}
		if string(ahead) == "M" || ahead[0] == '-' || ahead[0]-'0' <= 9 {
			break
		}
	}
	begin := d.time
	if begin == 0 {
		begin = d.sent
	}
	for k := 0; len(t.peek()) > 0; k++ {
		d.time = begin + int64(k/n)*d.step
		d.textValue(columns[k%n], t.next(), t.at)
	}
}

// textValue reads the value of an element, whose characters begin at offset i of the body.
func (d *Decoder) textValue(name, v []byte, i int) {
	e := byName(name)
	if e == nil {
		e = &elements[0]
	}
	key := e.name
	if key == "" {
		key = d.clean(name)
	}
	switch {
	case len(v) == 0 || string(v) == "M" || len(v) > 1 && all(v, 'F'):
		return
	case e.use == asBytes || e.use == asWordsOf2 || e.use == asState:
		if len(v)%2 != 0 || len(v) > 2*48 || !isHex(v) {
			d.bad(i, key, fmt.Errorf("%.40q is no hexadecimal number: %w", v, decode.ErrMalformed))
			return
		}
		var room [48]byte
		d.value(e, key, hexed(room[:0], v), 0, i)
		return
	}
	x, n, err := decode.Number(v)
	if err == nil && n != len(v) {
		x, err = slow(v)
	}
	if err != nil {
		d.bad(i, key, err)
		return
	}
	d.number(e, key, x, i)
}

// slow reads a number with leading zeros or a plus, which the usual grammar has not.
func slow(v []byte) (float64, error) {
	s := bytes.TrimPrefix(v, []byte("+"))
	minus := bytes.HasPrefix(s, []byte("-"))
	if minus {
		s = s[1:]
	}
	for len(s) > 1 && s[0] == '0' && s[1]-'0' <= 9 {
		s = s[1:]
	}
	x, n, err := decode.Number(s)
	if err == nil && (n == 0 || n != len(s) || s[0] == '-') {
		err = fmt.Errorf("%.40q: %w", v, decode.ErrNumber)
	}
	if minus {
		x = -x
	}
	return x, err
}
