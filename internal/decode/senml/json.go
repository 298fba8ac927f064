package senml

import (
	"bytes"
	stdjson "encoding/json"
	"errors"
	"fmt"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/internal/decode/doc"
)

// reader walks a JSON text that doc.Check has found to be one, so that nothing can be missing or misplaced.
type reader struct {
	b []byte
	i int
}

// readJSON reads the JSON representation (RFC 8428 section 5).
func (p *pack) readJSON(payload []byte) bool {
	at, err := doc.Check(p.protocol, payload)
	if err != nil {
		errors.As(err, &p.err)
		return false
	}
	r := reader{b: payload, i: at}
	switch root := payload[at]; {
	case root == '[':
		return r.records(p)
	case root == '{' && !p.strict: // one record without its array
		return r.record(p) && p.close()
	}
	return p.fail(r.i, "", fmt.Errorf("want an array of records: %w", decode.ErrUnsupported))
}

func (r *reader) blank() byte {
	for {
		switch c := r.b[r.i]; c {
		case ' ', '\n', '\r', '\t':
			r.i++
		default:
			return c
		}
	}
}

// more steps over the separator behind a member or element; it is false behind the last one.
func (r *reader) more(closing byte) bool {
	c := r.blank()
	r.i++
	return c != closing
}

func (r *reader) records(p *pack) bool {
	r.i++
	if r.blank() == ']' {
		return true
	}
	for {
		if at := r.i; r.blank() == '{' {
			if !r.record(p) || !p.close() {
				return false
			}
		} else {
			p.rec.reset(at)
			r.skip()
			if !p.bad(&decode.Reading{}, &p.rec, fmt.Errorf("want a record: %w", decode.ErrMalformed)) {
				return false
			}
		}
		if !r.more(']') {
			return true
		}
	}
}

// record reads one object into p.rec.
func (r *reader) record(p *pack) bool {
	p.rec.reset(r.i)
	r.i++
	if r.blank() == '}' {
		r.i++
		return true
	}
	for {
		r.blank()
		at := r.i
		label := r.text()
		r.blank()
		r.i++ // ':'
		r.blank()
		if f := lookLabel(label); f != unknown {
			if !r.field(p, f) {
				return false
			}
		} else {
			if !p.known(label, at) {
				return false
			}
			r.skip()
		}
		if !r.more('}') {
			return true
		}
	}
}

// field reads the value of a field. null is a field that is not there.
func (r *reader) field(p *pack, f field) bool {
	at, c := r.i, r.b[r.i]
	rec := &p.rec
	switch {
	case c == 'n':
		r.i += len("null")
		rec.absent = rec.absent || 1<<f&valueFields != 0
		return true
	case f.isText() && c == '"':
		rec.text[f] = r.text()
		if f == dataValue && !base64URL(rec.text[f]) {
			rec.bad(f, at, errBase64)
		}
		rec.set(f)
		return true
	case f == boolValue && (c == 't' || c == 'f'):
		rec.truth = c == 't'
		r.skip()
		rec.set(f)
		return true
	case !f.isText() && f != boolValue:
		if v, ok, err := r.number(p.strict); ok {
			return p.take(f, at, v, err)
		}
	}
	r.skip()
	return p.take(f, at, 0, fmt.Errorf("%.40s is of another type: %w", r.b[at:r.i], decode.ErrMalformed))
}

// take sets a number, or notes why it is none: of a base field that concerns the whole rest of the pack.
func (p *pack) take(f field, at int, v float64, err error) bool {
	switch {
	case err == nil:
		p.rec.number[f] = v
		p.rec.set(f)
	case f.isBase():
		return p.fail(at, labels[f], err)
	default:
		p.rec.bad(f, at, err)
	}
	return true
}

// number reads a number, also one in quotes.
func (r *reader) number(strict bool) (v float64, ok bool, err error) {
	if r.b[r.i] != '"' {
		v, n, err := decode.Number(r.b[r.i:])
		r.i += n
		return v, n > 0, err
	}
	from := r.i
	t := r.text()
	v, n, err := decode.Number(t)
	if strict || n == 0 || n != len(t) {
		r.i = from
		return 0, false, nil
	}
	return v, true, err
}

// text reads a string. It lies in the payload unless it holds escapes.
func (r *reader) text() []byte {
	from := r.i
	r.i++
	n := bytes.IndexByte(r.b[r.i:], '"')
	if t := r.b[r.i : r.i+n]; bytes.IndexByte(t, '\\') < 0 {
		r.i += n + 1
		return t
	}
	r.pass()
	var s string
	if err := stdjson.Unmarshal(r.b[from:r.i], &s); err != nil {
		return nil // it is a string: doc.Check said so
	}
	return []byte(s)
}

// pass steps behind the string whose first quote has been read.
func (r *reader) pass() {
	for r.b[r.i] != '"' {
		if r.b[r.i] == '\\' {
			r.i++
		}
		r.i++
	}
	r.i++
}

// skip steps behind a value of any kind.
func (r *reader) skip() {
	for depth := 0; ; {
		switch c := r.blank(); c {
		case '{', '[':
			depth++
			r.i++
		case '}', ']':
			depth--
			r.i++
		case ',', ':':
			r.i++
			continue
		case '"':
			r.i++
			r.pass()
		default:
			for r.i < len(r.b) && bytes.IndexByte([]byte(",:]} \n\r\t"), r.b[r.i]) < 0 {
				r.i++
			}
		}
		if depth == 0 {
			return
		}
	}
}

var errBase64 = fmt.Errorf("not base64url without padding: %w", decode.ErrEncoding)

// base64URL checks the alphabet of RFC 4648 section 5; padding is taken.
func base64URL(b []byte) bool {
	b = bytes.TrimRight(b, "=")
	for _, c := range b {
		if c-'0' > 9 && (c|0x20 < 'a' || c|0x20 > 'z') && c != '-' && c != '_' {
			return false
		}
	}
	return len(b)%4 != 1
}
