package doc

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"unicode/utf8"

	"github.com/situ-city/situ/internal/decode"
)

// checker walks a text by the grammar of RFC 8259, once. Open objects and arrays stand in a stack of fixed size.
type checker struct {
	b     []byte
	i     int // where it stopped
	depth int
	open  [MaxDepth]container
	tape  *tape // notes where the values are; nil = nobody wants to know
	node  node  // what is noted then
}

// container is an object or array whose end is yet to come.
type container struct {
	closing byte
	node    int // its place on the tape
}

// check reports the first place where b is no JSON text.
func check(b []byte, t *tape) (at int, err error) {
	c := checker{b: b, tape: t}
	err = c.run()
	return c.i, err
}

// run takes one value after the other, in an object with its name, and what follows it: the ends of what it stands in,
// and a comma. first says that a closing bracket might have stood here as well. The place is kept in a variable of its
// own, since that is a third faster than in the checker.
func (c *checker) run() error {
	b, i, object, first := c.b, 0, false, false
	for {
		n := c.note()
		if n == nil {
			return c.stop(i, fmt.Errorf("more than %d values: %w", MaxValues, decode.ErrBound))
		}
		i = blank(b, i)
		if object {
			switch {
			case at(b, i) == '"':
			case first:
				return c.unexpected(i, "a name in quotes or '}'")
			default:
				return c.unexpected(i, "a name in quotes")
			}
			end, escaped, err := c.quoted(i)
			if err != nil {
				return err
			}
			n.name, n.nameEnd, n.nameEscaped = int32(i+1), int32(end-1), escaped
			if i = blank(b, end); at(b, i) != ':' {
				return c.unexpected(i, "':'")
			}
			i = blank(b, i+1)
		}
		n.start, n.kind = int32(i), at(b, i)
		switch n.kind {
		case '{', '[':
			if c.depth == MaxDepth {
				return c.stop(i, fmt.Errorf("nested deeper than %d levels: %w", MaxDepth, decode.ErrBound))
			}
			c.push(n.kind)
			i = blank(b, i+1)
			if object = n.kind == '{'; at(b, i) != c.open[c.depth-1].closing {
				first = true
				continue
			}
			i++
			object = c.pop(i)
		case '"':
			end, escaped, err := c.quoted(i)
			if err != nil {
				return err
			}
			n.text, n.textEnd, n.escaped = int32(i+1), int32(end-1), escaped
			i = end
			n.end = int32(i)
		default:
			end, err := c.scalar(i, first && !object)
			if err != nil {
				return err
			}
			i = end
			n.end = int32(i)
		}
		for first = false; ; {
			i = blank(b, i)
			if c.depth == 0 {
				if i < len(b) {
					return c.unexpected(i, "the end")
				}
				return nil
			}
			char := at(b, i)
			if i++; char == ',' {
				break
			}
			if char != c.open[c.depth-1].closing {
				return c.unexpected(i-1, "',' or a closing bracket")
			}
			object = c.pop(i)
		}
	}
}

// note gives the node of the next value; nil if there are too many.
func (c *checker) note() *node {
	if c.tape == nil {
		return &c.node
	}
	return c.tape.add()
}

func (c *checker) push(kind byte) {
	open := &c.open[c.depth]
	open.closing = kind + 2 // ']' and '}' stand two behind theirs
	if c.tape != nil {
		open.node = len(c.tape.nodes) - 1
	}
	c.depth++
}

// pop ends the innermost object or array before i, and reports whether it stands in an object.
func (c *checker) pop(i int) (object bool) {
	c.depth--
	if c.tape != nil {
		n := &c.tape.nodes[c.open[c.depth].node]
		n.end, n.next = int32(i), int32(len(c.tape.nodes))
	}
	return c.depth > 0 && c.open[c.depth-1].closing == '}'
}

// quoted finds the end of the string that begins at i, eight bytes at a time as long as there are so many.
func (c *checker) quoted(i int) (end int, escaped bool, err error) {
	b := c.b
	for i++; ; i++ {
		for i+8 <= len(b) {
			n := special(binary.LittleEndian.Uint64(b[i:]))
			i += n
			if n < 8 {
				break
			}
		}
		for i < len(b) && b[i] >= ' ' && b[i] != '"' && b[i] != '\\' {
			i++
		}
		switch char := at(b, i); {
		case char == '"':
			return i + 1, escaped, nil
		case i == len(b):
			return i, false, c.unexpected(i, `'"'`)
		case char != '\\':
			return i, false, c.stop(i, fmt.Errorf("control character %q in a text: %w", char, decode.ErrMalformed))
		}
		escaped = true
		if c.tape != nil {
			c.tape.escapes = true
		}
		if i, err = c.escape(i + 1); err != nil {
			return i, false, err
		}
	}
}

// special counts the bytes of x, lowest first, before the first quote, backslash or control character; 8 = there is none.
// Subtracting one from a byte (a blank: from one below ' ') borrows into its highest bit; a borrow that goes on into
// the next byte can only mislead behind the first one found.
func special(x uint64) int {
	const ones, highest = 0x0101010101010101, 0x8080808080808080
	quote, backslash := x^ones*'"', x^ones*'\\'
	found := (quote-ones)&^quote | (backslash-ones)&^backslash | (x-ones*' ')&^x
	return bits.TrailingZeros64(found&highest) / 8
}

// escape takes what stands behind a backslash, and gives its last byte's place.
func (c *checker) escape(i int) (last int, err error) {
	switch at(c.b, i) {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i, nil
	case 'u':
		for range 4 {
			i++
			if char := at(c.b, i); char-'0' > 9 && (char|0x20 < 'a' || char|0x20 > 'f') {
				return i, c.unexpected(i, "a hexadecimal digit")
			}
		}
		return i, nil
	}
	return i, c.unexpected(i, "an escape")
}

// scalar finds the end of a number, or of true, false or null.
func (c *checker) scalar(i int, orEnd bool) (end int, err error) {
	switch char := at(c.b, i); {
	case char == '-' || char-'0' <= 9:
		return c.number(i)
	case char == 't':
		return c.word(i, "true")
	case char == 'f':
		return c.word(i, "false")
	case char == 'n':
		return c.word(i, "null")
	}
	if orEnd {
		return i, c.unexpected(i, "a value or ']'")
	}
	return i, c.unexpected(i, "a value")
}

func (c *checker) word(i int, w string) (end int, err error) {
	for j := range len(w) {
		if at(c.b, i+j) != w[j] {
			return i, c.unexpected(i+j, w)
		}
	}
	return i + len(w), nil
}

// number reads RFC 8259 section 6.
func (c *checker) number(i int) (end int, err error) {
	b := c.b
	if b[i] == '-' {
		i++
	}
	from := i
	if i = digits(b, i); i == from {
		return i, c.unexpected(i, "a digit")
	}
	if b[from] == '0' && i > from+1 {
		return i, c.unexpected(from+1, "',' or a closing bracket")
	}
	if at(b, i) == '.' {
		from = i + 1
		if i = digits(b, from); i == from {
			return i, c.unexpected(i, "a digit")
		}
	}
	if at(b, i)|0x20 == 'e' {
		if i++; at(b, i) == '+' || at(b, i) == '-' {
			i++
		}
		from = i
		if i = digits(b, from); i == from {
			return i, c.unexpected(i, "a digit")
		}
	}
	return i, nil
}

// digits gives the end of the digits that begin at i.
func digits(b []byte, i int) int {
	for i < len(b) && b[i]-'0' <= 9 {
		i++
	}
	return i
}

// blank gives the end of the white space that begins at i.
func blank(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\r' || b[i] == '\t') {
		i++
	}
	return i
}

// at gives the byte at i, behind the end one that UTF-8 never holds.
func at(b []byte, i int) byte {
	if i < len(b) {
		return b[i]
	}
	return 0xff
}

// stop notes where the text is refused.
func (c *checker) stop(i int, err error) error {
	c.i = i
	return err
}

func (c *checker) unexpected(i int, want string) error {
	if i >= len(c.b) {
		return c.stop(len(c.b), fmt.Errorf("want %s: %w", want, decode.ErrTruncated))
	}
	r, _ := utf8.DecodeRune(c.b[i:])
	return c.stop(i, fmt.Errorf("%q where %s belongs: %w", r, want, decode.ErrMalformed))
}
