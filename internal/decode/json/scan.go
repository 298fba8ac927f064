package json

import (
	"fmt"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/situ-city/situ/internal/decode"
)

// maxNesting bounds the depth of what is skipped, and so the stack.
const maxNesting = 64

// end is what peek gives behind the last byte; UTF-8 never holds it.
const end = 0xff

// scanner walks the tokens of RFC 8259. Its methods report false once something is wrong; err and i then say
// what and where.
type scanner struct {
	b       []byte
	i       int
	err     error
	scratch []byte // the last text that held an escape
}

// fail notes why the document is refused. It returns false for its callers' convenience.
func (s *scanner) fail(err error) bool {
	s.err = err
	return false
}

func (s *scanner) unexpected(want string) bool {
	if s.i >= len(s.b) {
		s.i = len(s.b)
		return s.fail(fmt.Errorf("want %s: %w", want, decode.ErrTruncated))
	}
	r, _ := utf8.DecodeRune(s.b[s.i:])
	return s.fail(fmt.Errorf("%q where %s belongs: %w", r, want, decode.ErrMalformed))
}

func (s *scanner) blank() {
	for s.i < len(s.b) {
		switch s.b[s.i] {
		case ' ', '\n', '\r', '\t':
			s.i++
		default:
			return
		}
	}
}

func (s *scanner) peek() byte {
	if s.i < len(s.b) {
		return s.b[s.i]
	}
	return end
}

// at steps over c if it stands here.
func (s *scanner) at(c byte) bool {
	if s.i < len(s.b) && s.b[s.i] == c {
		s.i++
		return true
	}
	return false
}

// word reads true, false or null.
func (s *scanner) word(w string) bool {
	for j := range len(w) {
		if !s.at(w[j]) {
			return s.unexpected(w)
		}
	}
	return true
}

// text reads a string in quotes. The result lies in the payload or in scratch and holds until the next text.
func (s *scanner) text(want string) ([]byte, bool) {
	if !s.at('"') {
		return nil, s.unexpected(want)
	}
	for i := s.i; i < len(s.b); i++ {
		switch c := s.b[i]; {
		case c == '"':
			t := s.b[s.i:i]
			s.i = i + 1
			return t, true
		case c == '\\' || c < ' ':
			s.scratch = append(s.scratch[:0], s.b[s.i:i]...)
			s.i = i
			return s.escaped()
		}
	}
	s.i = len(s.b)
	return nil, s.unexpected("'\"'")
}

// escaped is the rest of text from its first escape on.
func (s *scanner) escaped() ([]byte, bool) {
	for s.i < len(s.b) {
		switch c := s.b[s.i]; {
		case c == '"':
			s.i++
			return s.scratch, true
		case c < ' ':
			return nil, s.fail(fmt.Errorf("control character %q in a text: %w", c, decode.ErrMalformed))
		case c == '\\':
			s.i++
			if !s.escape() {
				return nil, false
			}
		default:
			s.scratch = append(s.scratch, c)
			s.i++
		}
	}
	return nil, s.unexpected("'\"'")
}

func (s *scanner) escape() bool {
	c := s.peek()
	switch c {
	case '"', '\\', '/':
	case 'b':
		c = '\b'
	case 'f':
		c = '\f'
	case 'n':
		c = '\n'
	case 'r':
		c = '\r'
	case 't':
		c = '\t'
	case 'u':
		return s.unicode()
	default:
		return s.unexpected("an escape")
	}
	s.i++
	s.scratch = append(s.scratch, c)
	return true
}

// unicode reads uXXXX, and a second one behind it when both form a surrogate pair. A surrogate alone stands for
// no character (RFC 8259 8.2) and becomes U+FFFD.
func (s *scanner) unicode() bool {
	r, ok := s.hex4(s.i + 1)
	if !ok {
		s.i++
		return s.unexpected("four hexadecimal digits")
	}
	s.i += 5
	if utf16.IsSurrogate(r) {
		r2, ok := rune(0), false
		if s.i+1 < len(s.b) && s.b[s.i] == '\\' && s.b[s.i+1] == 'u' {
			r2, ok = s.hex4(s.i + 2)
		}
		if r = utf16.DecodeRune(r, r2); ok && r != utf8.RuneError {
			s.i += 6
		}
	}
	s.scratch = utf8.AppendRune(s.scratch, r)
	return true
}

func (s *scanner) hex4(at int) (r rune, ok bool) {
	if at+4 > len(s.b) {
		return 0, false
	}
	for _, c := range s.b[at : at+4] {
		r <<= 4
		switch {
		case c >= '0' && c <= '9':
			r |= rune(c - '0')
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			r |= rune(c|0x20-'a') + 10
		default:
			return 0, false
		}
	}
	return r, true
}

// skip reads one value of any kind and keeps nothing of it.
func (s *scanner) skip(depth int) bool {
	switch s.peek() {
	case '{':
		return s.skipMany(depth+1, '}')
	case '[':
		return s.skipMany(depth+1, ']')
	case '"':
		_, ok := s.text("a value")
		return ok
	case 't':
		return s.word("true")
	case 'f':
		return s.word("false")
	case 'n':
		return s.word("null")
	}
	_, n, _ := decode.Number(s.b[min(s.i, len(s.b)):])
	if n == 0 {
		return s.noValue()
	}
	s.i += n
	return true
}

// noValue tells a number that is none, or not yet one, from something that is no value at all.
func (s *scanner) noValue() bool {
	from := s.i
	for s.i < len(s.b) && strings.IndexByte("+-.0123456789eE", s.b[s.i]) >= 0 {
		s.i++
	}
	token := s.b[from:s.i]
	if len(token) == 0 || s.i == len(s.b) {
		return s.unexpected("a value")
	}
	s.i = from
	return s.fail(fmt.Errorf("%.40s is not a JSON number: %w", token, decode.ErrMalformed))
}

// skipMany reads what stands between two brackets.
func (s *scanner) skipMany(depth int, closing byte) bool {
	if depth > maxNesting {
		return s.fail(fmt.Errorf("nested deeper than %d levels: %w", maxNesting, decode.ErrBound))
	}
	s.i++
	if s.blank(); s.at(closing) {
		return true
	}
	for {
		s.blank()
		if closing == '}' {
			if _, ok := s.text("a name in quotes"); !ok {
				return false
			}
			if s.blank(); !s.at(':') {
				return s.unexpected("':'")
			}
			s.blank()
		}
		if !s.skip(depth) {
			return false
		}
		if s.blank(); s.at(closing) {
			return true
		}
		if !s.at(',') {
			return s.unexpected("',' or the closing bracket")
		}
	}
}
