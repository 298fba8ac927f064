package mapped

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/situ-city/situ/internal/decode"
)

// Bounds of a value, as those of package json.
const (
	maxKey   = 128
	maxWords = 1024
)

// value evaluates one value of the report in hand. ok is false when there is none; with an error r has its name only.
func (d *Decoder) value(v *value) (r decode.Reading, ok bool, err error) {
	m := &d.s.machine
	if v.when != nil {
		w, err := m.eval(v.when)
		if err == nil && (w == nil || w == false) {
			return r, false, nil
		}
		if err == nil && w != true {
			err = fmt.Errorf("%.200q gives %s, want true or false: %w", v.when.text, kind(w), decode.ErrMalformed)
		}
		if err != nil {
			r.Key, r.Property = v.property, v.property
			return r, true, named(v.when, err)
		}
	}
	x, err := m.eval(v.value)
	if err == nil && (x == nil || x == "") {
		return r, false, nil
	}
	if why := d.name(v, &r); why != nil {
		return r, true, why
	}
	if err == nil {
		err = d.result(&r, x)
	}
	if err != nil {
		return r, true, named(v.value, err)
	}
	r.Statistic = v.statistic
	return r, true, nil
}

// name gives the value its key and property.
func (d *Decoder) name(v *value, r *decode.Reading) error {
	r.Key, r.Property = v.property, v.property
	if v.key != nil {
		k, err := d.s.machine.eval(v.key)
		if err != nil {
			return named(v.key, err)
		}
		switch k := k.(type) {
		case string:
			r.Key = k
		default:
			n, ok := integer(k)
			if !ok {
				return named(v.key, fmt.Errorf("%.200q gives %s, want text or an integer: %w", v.key.text, kind(k), decode.ErrMalformed))
			}
			d.s.scratch = strconv.AppendInt(d.s.scratch[:0], n, 10)
			r.Key = d.s.names.String(d.s.scratch)
		}
		if len(r.Key) > maxKey || r.Key == "" || !utf8.ValidString(r.Key) || strings.ContainsFunc(r.Key, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			long := r.Key
			r.Key = v.property
			return named(v.key, fmt.Errorf("%.40q is no name of 1 to %d bytes without control characters: %w", long, maxKey, decode.ErrMalformed))
		}
	}
	if r.Property == "" {
		r.Property = r.Key
	}
	if property := look(d.s.p.rename, r); property != "" {
		r.Property = property
	}
	if r.Unit = v.unit; r.Unit == "" {
		r.Unit = look(d.s.p.units, r)
	}
	return nil
}

// result takes what an expression gave.
func (d *Decoder) result(r *decode.Reading, x any) error {
	switch x := x.(type) {
	case bool:
		if x {
			r.Number = 1
		}
		return nil
	case string:
		return d.words(r, x)
	}
	n, ok := number(x)
	switch {
	case !ok && x == beyond{}:
		return fmt.Errorf("a number beyond float64: %w", decode.ErrNumber)
	case !ok:
		return fmt.Errorf("gives %s, want a number, true, false or text: %w", kind(x), decode.ErrMalformed)
	case n-n != 0: // 1/0
		return fmt.Errorf("gives %v: %w", n, decode.ErrNumber)
	}
	r.Number = n
	return nil
}

// words: text that is a number throughout is that number.
func (d *Decoder) words(r *decode.Reading, s string) error {
	d.s.scratch = append(d.s.scratch[:0], s...)
	if v, n, err := decode.Number(d.s.scratch); n == len(s) {
		r.Number = v
		return err
	}
	switch strings.ToLower(strings.TrimLeft(s, "+-")) {
	case "nan", "inf", "infinity":
		return fmt.Errorf("%q: %w", s, decode.ErrNumber)
	}
	if !utf8.ValidString(s) { // a slice of a text
		return fmt.Errorf("%.40q: %w", s, decode.ErrEncoding)
	}
	if len(s) > maxWords {
		return fmt.Errorf("text of %d bytes, at most %d: %w", len(s), maxWords, decode.ErrBound)
	}
	r.Text = s
	return nil
}
