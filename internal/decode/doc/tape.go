package doc

import (
	"bytes"
	"slices"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/tidwall/gjson"

	"github.com/situ-city/situ/internal/decode"
)

// tape says where the values of a text are, so that who walks it need not look for their ends again: walking by gjson
// alone reads what lies n levels deep n times.
type tape struct {
	nodes   []node // in the order in which they begin
	escapes bool   // some text or name holds escapes
}

// node is a value of a text.
type node struct {
	start, end    int32 // as it stands there
	name, nameEnd int32 // what it is called in an object
	text, textEnd int32 // what a string says
	next          int32 // the node behind it and all in it
	kind          byte  // its first byte
	escaped       bool
	nameEscaped   bool
}

// add gives the next node, or nil if there are too many. It may be written to until the next call.
func (t *tape) add() *node {
	at := len(t.nodes)
	if at == MaxValues {
		return nil
	}
	if at == cap(t.nodes) { // doubled, so that a great document costs no more than twice its tape
		t.nodes = append(make([]node, 0, max(2*at, 64)), t.nodes...)
	}
	t.nodes = t.nodes[:at+1]
	n := &t.nodes[at]
	*n = node{next: int32(at + 1)}
	return n
}

// document is a checked payload: its text, and behind it what the strings with escapes say.
type document struct {
	tape
	text  string
	at    int    // where in the payload the text begins
	size  int    // of the payload's part of text
	outer int    // Index of the string whose text inner has read
	room  []byte // for putting text together
}

// keep is for how many values room is kept until the next payload.
const keep = 1 << 10

// forget lets go of the payload.
func (d *document) forget() {
	d.text, d.outer, d.tape = "", 0, tape{nodes: d.nodes[:0]}
	if cap(d.nodes) > keep {
		d.nodes = nil
	}
	if cap(d.room) > 32*keep {
		d.room = nil
	}
}

// read checks b, which begins at a place of the payload, and gives its root.
func (d *document) read(b []byte, at int) (root gjson.Result, bad int, err error) {
	if bad, err = check(b, &d.tape); err != nil {
		d.forget()
		return root, bad, err
	}
	d.at, d.size = at, len(b)
	if d.escapes {
		d.room = d.say(append(d.room[:0], b...), 0)
		b = d.room
	}
	d.text = string(b)
	return d.result(0), 0, nil
}

// Inner reads the text of a string of the payload as a JSON document of its own.
func (w *Walk) Inner(v gjson.Result) (gjson.Result, error) {
	d := &w.document
	i, ok := d.find(v)
	if !ok || d.nodes[i].kind != '"' {
		return Parse(w.Protocol, []byte(v.Str))
	}
	from, to, first := d.nodes[i].text, d.nodes[i].textEnd, len(d.nodes)
	d.room, d.escapes = append(d.room[:0], d.text[from:to]...), false
	if at, err := check(d.room, &d.tape); err != nil {
		d.nodes = d.nodes[:first]
		return gjson.Result{}, &decode.Error{Protocol: w.Protocol, Offset: at, Err: err}
	}
	for i := range d.nodes[first:] {
		n := &d.nodes[first+i]
		n.start, n.end, n.text, n.textEnd, n.name, n.nameEnd = n.start+from, n.end+from, n.text+from, n.textEnd+from, n.name+from, n.nameEnd+from
	}
	if d.escapes {
		d.room = d.say(append(d.room[:0], d.text...), first)
		d.text = string(d.room)
	}
	d.outer = v.Index
	return d.result(first), nil
}

// say appends to text what the strings with escapes among the nodes from first on say.
func (d *document) say(text []byte, first int) []byte {
	for i := range d.nodes[first:] {
		n := &d.nodes[first+i]
		if n.nameEscaped {
			from := len(text)
			text = unescape(text, text[n.name:n.nameEnd])
			n.name, n.nameEnd = int32(from), int32(len(text))
		}
		if n.escaped {
			from := len(text)
			text = unescape(text, text[n.text:n.textEnd])
			n.text, n.textEnd = int32(from), int32(len(text))
		}
	}
	return text
}

// find gives the place of a value on the tape. Whoever's text it is a piece of: one that is the same has the same members.
func (d *document) find(v gjson.Result) (at int, ok bool) {
	start := int32(v.Index - d.at)
	if start > 0 {
		at, ok = slices.BinarySearchFunc(d.nodes, start, func(n node, start int32) int { return int(n.start - start) })
	}
	if at == len(d.nodes) {
		return 0, false
	}
	n := &d.nodes[at]
	return at, d.text[n.start:n.end] == v.Raw
}

// result makes what gjson would make of the node at a place.
func (d *document) result(at int) gjson.Result {
	n := &d.nodes[at]
	v := gjson.Result{Raw: d.text[n.start:n.end], Index: int(n.start) + d.at}
	switch n.kind {
	case '"':
		v.Type, v.Str = gjson.String, d.text[n.text:n.textEnd]
	case '{', '[':
		v.Type = gjson.JSON
	case 't':
		v.Type = gjson.True
	case 'f':
		v.Type = gjson.False
	case 'n':
	default:
		v.Type = gjson.Number
		v.Num, _ = strconv.ParseFloat(v.Raw, 64) // beyond float64 it is an infinity: see Number
	}
	return v
}

// place gives v the Index that its document has in the payload.
func (d *document) place(v gjson.Result) gjson.Result {
	if d.outer > 0 && v.Index >= d.at+d.size {
		v.Index = d.outer
	}
	return v
}

// Members steps through the members of an object or array, without reading again what lies deeper in it:
//
//	for m := w.Members(v); m.Next(); {
//		switch m.Name() {
//		case "time":
//			at = m.Value()
//		}
//	}
type Members struct {
	d             *document
	nodes         []node
	at, next, end int32
}

// Members gives those of a value of the payload; there are none in a value that is no object or array.
func (w *Walk) Members(v gjson.Result) Members {
	d := &w.document
	at, ok := d.find(v)
	if !ok { // gjson has made it
		d, at = &document{}, 0
		if _, _, err := d.read([]byte(v.Raw), v.Index); err != nil {
			return Members{d: d}
		}
	}
	return d.members(at)
}

func (d *document) members(at int) Members {
	return Members{d: d, nodes: d.nodes, next: int32(at + 1), end: d.nodes[at].next}
}

// Next steps to the next member, the first one at first.
func (m *Members) Next() bool {
	if m.next >= m.end {
		return false
	}
	m.at, m.next = m.next, m.nodes[m.next].next
	return true
}

// Name is the member's name; "" in an array.
func (m *Members) Name() string {
	n := &m.nodes[m.at]
	return m.d.text[n.name:n.nameEnd]
}

// Value is the member's value.
func (m *Members) Value() gjson.Result { return m.d.result(int(m.at)) }

// Members gives those of the member.
func (m *Members) Members() Members { return m.d.members(int(m.at)) }

// unescape appends what a string of JSON says. A half of a surrogate pair by itself is U+FFFD.
func unescape(dst, b []byte) []byte {
	for i := 0; i < len(b); i++ {
		n := bytes.IndexByte(b[i:], '\\')
		if n < 0 {
			return append(dst, b[i:]...)
		}
		dst = append(dst, b[i:i+n]...)
		i += n + 1
		switch b[i] {
		case 'b':
			dst = append(dst, '\b')
		case 'f':
			dst = append(dst, '\f')
		case 'n':
			dst = append(dst, '\n')
		case 'r':
			dst = append(dst, '\r')
		case 't':
			dst = append(dst, '\t')
		case 'u':
			r := hex4(b[i+1:])
			i += 4
			if utf16.IsSurrogate(r) && i+6 < len(b) && b[i+1] == '\\' && b[i+2] == 'u' {
				if both := utf16.DecodeRune(r, hex4(b[i+3:])); both != utf8.RuneError {
					r = both
					i += 6
				}
			}
			dst = utf8.AppendRune(dst, r)
		default:
			dst = append(dst, b[i])
		}
	}
	return dst
}

// hex4 reads four hexadecimal digits.
func hex4(b []byte) (r rune) {
	for _, c := range b[:4] {
		if c >= 'a' {
			c -= 'a' - 10
		} else if c >= 'A' {
			c -= 'A' - 10
		} else {
			c -= '0'
		}
		r = r<<4 | rune(c)
	}
	return r
}
