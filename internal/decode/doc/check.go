package doc

import (
	"fmt"
	"unicode/utf8"

	"github.com/situ-city/situ/internal/decode"
)

// want is what the grammar of RFC 8259 allows at a place.
type want uint8

const (
	aValue want = iota
	aValueOrEnd
	aName
	aNameOrEnd
	aCommaOrEnd
)

var wants = [...]string{"a value", "a value or ']'", "a name in quotes", "a name in quotes or '}'", "',' or a closing bracket"}

// checker walks a text by the grammar. Open objects and arrays stand in a stack of fixed size.
type checker struct {
	b     []byte
	i     int
	depth int
	open  [MaxDepth]byte // the closing brackets to come
}

// check reports the first place where b is no JSON text.
func check(b []byte) (at int, err error) {
	c := checker{b: b}
	for next := aValue; ; {
		c.blank()
		if next == aCommaOrEnd && c.depth == 0 {
			if c.i < len(b) {
				return c.i, c.unexpected("the end")
			}
			return c.i, nil
		}
		if next, err = c.step(next); err != nil {
			return c.i, err
		}
	}
}

// step takes what stands here, of which next says what it may be.
func (c *checker) step(next want) (want, error) {
	char := c.peek()
	switch next {
	case aCommaOrEnd:
		return c.comma(char)
	case aName, aNameOrEnd:
		if char == '"' {
			return aValue, c.name()
		}
		if char == '}' && next == aNameOrEnd {
			return c.pop()
		}
		return 0, c.unexpected(wants[next])
	}
	switch char {
	case '{':
		return aNameOrEnd, c.push('}')
	case '[':
		return aValueOrEnd, c.push(']')
	case ']':
		if next == aValueOrEnd {
			return c.pop()
		}
	case '"':
		return aCommaOrEnd, c.text()
	case 't':
		return aCommaOrEnd, c.word("true")
	case 'f':
		return aCommaOrEnd, c.word("false")
	case 'n':
		return aCommaOrEnd, c.word("null")
	default:
		if char == '-' || char-'0' <= 9 {
			return aCommaOrEnd, c.number()
		}
	}
	return 0, c.unexpected(wants[next])
}

func (c *checker) comma(char byte) (want, error) {
	closing := c.open[c.depth-1]
	switch {
	case char == closing:
		return c.pop()
	case char != ',':
		return 0, c.unexpected(wants[aCommaOrEnd])
	}
	c.i++
	if closing == '}' {
		return aName, nil
	}
	return aValue, nil
}

func (c *checker) push(closing byte) error {
	if c.depth == MaxDepth {
		return fmt.Errorf("nested deeper than %d levels: %w", MaxDepth, decode.ErrBound)
	}
	c.open[c.depth] = closing
	c.depth++
	c.i++
	return nil
}

func (c *checker) pop() (want, error) {
	c.depth--
	c.i++
	return aCommaOrEnd, nil
}

// name reads a member's name and its colon.
func (c *checker) name() error {
	if err := c.text(); err != nil {
		return err
	}
	if c.blank(); c.peek() != ':' {
		return c.unexpected("':'")
	}
	c.i++
	return nil
}

func (c *checker) text() error {
	for i := c.i + 1; i < len(c.b); i++ {
		char := c.b[i]
		if char >= ' ' && char != '"' && char != '\\' {
			continue
		}
		c.i = i
		switch char {
		case '"':
			c.i++
			return nil
		case '\\':
			if err := c.escape(); err != nil {
				return err
			}
			i = c.i
		default:
			return fmt.Errorf("control character %q in a text: %w", char, decode.ErrMalformed)
		}
	}
	c.i = len(c.b)
	return c.unexpected(`'"'`)
}

// escape leaves i at the escape's last byte.
func (c *checker) escape() error {
	c.i++
	switch c.peek() {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return nil
	case 'u':
		for range 4 {
			c.i++
			if char := c.peek(); char-'0' > 9 && (char|0x20 < 'a' || char|0x20 > 'f') {
				return c.unexpected("a hexadecimal digit")
			}
		}
		return nil
	}
	return c.unexpected("an escape")
}

func (c *checker) word(w string) error {
	for j := range len(w) {
		if c.peek() != w[j] {
			return c.unexpected(w)
		}
		c.i++
	}
	return nil
}

// number reads RFC 8259 section 6.
func (c *checker) number() error {
	if c.b[c.i] == '-' {
		c.i++
	}
	if c.peek() == '0' {
		c.i++
	} else if c.digits() == 0 {
		return c.unexpected("a digit")
	}
	if c.peek() == '.' {
		if c.i++; c.digits() == 0 {
			return c.unexpected("a digit")
		}
	}
	if c.peek()|0x20 == 'e' {
		if c.i++; c.peek() == '+' || c.peek() == '-' {
			c.i++
		}
		if c.digits() == 0 {
			return c.unexpected("a digit")
		}
	}
	return nil
}

func (c *checker) digits() (n int) {
	for c.i < len(c.b) && c.b[c.i]-'0' <= 9 {
		c.i++
		n++
	}
	return n
}

func (c *checker) blank() {
	for c.i < len(c.b) && (c.b[c.i] == ' ' || c.b[c.i] == '\n' || c.b[c.i] == '\r' || c.b[c.i] == '\t') {
		c.i++
	}
}

// peek gives the byte here, or one that UTF-8 never holds.
func (c *checker) peek() byte {
	if c.i < len(c.b) {
		return c.b[c.i]
	}
	return 0xff
}

func (c *checker) unexpected(want string) error {
	if c.i >= len(c.b) {
		c.i = len(c.b)
		return fmt.Errorf("want %s: %w", want, decode.ErrTruncated)
	}
	r, _ := utf8.DecodeRune(c.b[c.i:])
	return fmt.Errorf("%q where %s belongs: %w", r, want, decode.ErrMalformed)
}
