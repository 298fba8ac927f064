package mapped

import (
	"encoding/json"
	"fmt"

	"github.com/situ-city/situ/internal/decode"
)

// Bounds of a document.
const (
	MaxDepth   = 32
	MaxMembers = 1 << 16 // values in a document
	MaxText    = 4096    // bytes of a text that expressions see
)

// longText stands for a text beyond MaxText: whatever is done with it fails by its type.
type longText struct{ bytes int }

// tree turns JSON (RFC 8259) into what expressions work on: map[string]any, []any, float64, string, bool, nil. A name
// that comes twice has its last value. Maps and arrays are used again for the next document.
type tree struct {
	b       []byte
	i       int
	n       int             // values so far
	longest int             // members of the largest array or object
	names   decode.Interner // of members
	texts   decode.Interner // separate: times would fill it
	err     error
	maps    freeList[map[string]any]
	arrays  freeList[*[]any]
}

// freeList hands out what it was given back.
type freeList[T any] struct {
	all  []T
	used int
}

func (f *freeList[T]) next(make func() T) T {
	if f.used == len(f.all) {
		f.all = append(f.all, make())
	}
	f.used++
	return f.all[f.used-1]
}

// keepParts is how many maps and arrays are kept for the next document; what a monstrous one needed is given back.
const keepParts = 256

// read gives the document, or the error and the byte where it is.
func (t *tree) read(b []byte) (doc any, at int, err error) {
	t.free()
	t.b, t.i, t.n, t.longest, t.err = b, 0, 0, 0, nil
	if len(b) >= 3 && string(b[:3]) == "\ufeff" { // RFC 8259 8.1: a byte order mark may be ignored
		t.i = 3
	}
	t.blank()
	if t.i == len(b) {
		return nil, t.i, decode.ErrEmpty
	}
	doc, ok := t.value(0)
	if t.blank(); ok && t.i < len(b) {
		ok = t.unexpected("the end")
	}
	t.b = nil
	if !ok {
		return nil, min(t.i, len(b)), t.err
	}
	return doc, 0, nil
}

// free empties what the last document used, so that nothing of it stays.
func (t *tree) free() {
	for _, m := range t.maps.all[:t.maps.used] {
		clear(m)
	}
	for _, a := range t.arrays.all[:t.arrays.used] {
		clear(*a)
		*a = (*a)[:0]
	}
	if len(t.maps.all) > keepParts || t.n > keepParts*8 {
		t.maps.all = nil
	}
	if len(t.arrays.all) > keepParts || t.n > keepParts*8 {
		t.arrays.all = nil
	}
	t.maps.used, t.arrays.used = 0, 0
}

func (t *tree) fail(err error) bool {
	t.err = err
	return false
}

func (t *tree) unexpected(want string) bool {
	if t.i >= len(t.b) {
		return t.fail(fmt.Errorf("want %s: %w", want, decode.ErrTruncated))
	}
	return t.fail(fmt.Errorf("%q where %s should be: %w", t.b[t.i], want, decode.ErrMalformed))
}

func (t *tree) blank() {
	for t.i < len(t.b) {
		switch t.b[t.i] {
		case ' ', '\n', '\r', '\t':
			t.i++
		default:
			return
		}
	}
}

// take passes c, if that is next.
func (t *tree) take(c byte) bool {
	if t.i < len(t.b) && t.b[t.i] == c {
		t.i++
		return true
	}
	return false
}

func (t *tree) value(depth int) (any, bool) {
	if t.n++; t.n > MaxMembers {
		return nil, t.fail(fmt.Errorf("more than %d values in the document: %w", MaxMembers, decode.ErrBound))
	}
	if t.i >= len(t.b) {
		return nil, t.unexpected("a value")
	}
	switch c := t.b[t.i]; c {
	case '{', '[':
		if depth == MaxDepth {
			return nil, t.fail(fmt.Errorf("nested deeper than %d levels: %w", MaxDepth, decode.ErrBound))
		}
		t.i++
		if c == '{' {
			return t.object(depth + 1)
		}
		return t.array(depth + 1)
	case '"':
		return t.text(&t.texts)
	case 't':
		return true, t.word("true")
	case 'f':
		return false, t.word("false")
	case 'n':
		return nil, t.word("null")
	}
	v, n, err := decode.Number(t.b[t.i:])
	switch {
	case n == 0:
		return nil, t.unexpected("a value")
	case err != nil:
		t.i += n
		return beyond{}, true // this value alone is no number
	}
	t.i += n
	return v, true
}

// beyond stands for a number beyond float64: whatever is done with it fails by its type.
type beyond struct{}

func (t *tree) word(w string) bool {
	if len(t.b)-t.i >= len(w) && string(t.b[t.i:t.i+len(w)]) == w {
		t.i += len(w)
		return true
	}
	return t.unexpected("a value")
}

func (t *tree) object(depth int) (any, bool) {
	m := t.maps.next(func() map[string]any { return make(map[string]any, 8) })
	if t.blank(); t.take('}') {
		return m, true
	}
	for {
		t.blank()
		if t.i >= len(t.b) || t.b[t.i] != '"' {
			return nil, t.unexpected("a name in quotes")
		}
		name, ok := t.text(&t.names)
		if !ok {
			return nil, false
		}
		if t.blank(); !t.take(':') {
			return nil, t.unexpected("':'")
		}
		t.blank()
		v, ok := t.value(depth)
		if !ok {
			return nil, false
		}
		if s, ok := name.(string); ok { // a name beyond MaxText is nobody's
			m[s] = v
		}
		t.longest = max(t.longest, len(m))
		if t.blank(); t.take('}') {
			return m, true
		}
		if !t.take(',') {
			return nil, t.unexpected("',' or '}'")
		}
	}
}

func (t *tree) array(depth int) (any, bool) {
	a := t.arrays.next(func() *[]any { return new([]any) })
	if t.blank(); t.take(']') {
		return *a, true
	}
	for {
		t.blank()
		v, ok := t.value(depth)
		if !ok {
			return nil, false
		}
		*a = append(*a, v)
		t.longest = max(t.longest, len(*a))
		if t.blank(); t.take(']') {
			return *a, true
		}
		if !t.take(',') {
			return nil, t.unexpected("',' or ']'")
		}
	}
}

// text reads a string; i stands on its first quote.
func (t *tree) text(known *decode.Interner) (any, bool) {
	start := t.i + 1
	escaped := false
	for t.i = start; t.i < len(t.b); t.i++ {
		switch c := t.b[t.i]; {
		case c == '"':
			raw := t.b[start:t.i]
			t.i++
			if len(raw) > MaxText {
				return longText{len(raw)}, true
			}
			if !escaped {
				return known.String(raw), true
			}
			var s string
			if err := json.Unmarshal(t.b[start-1:t.i], &s); err != nil {
				t.i = start - 1
				return nil, t.fail(fmt.Errorf("text with an escape that JSON does not have: %w", decode.ErrMalformed))
			}
			return s, true
		case c == '\\':
			escaped = true
			t.i++
		case c < ' ':
			return nil, t.unexpected("text without control characters")
		}
	}
	return nil, t.fail(fmt.Errorf("text without an end: %w", decode.ErrTruncated))
}
