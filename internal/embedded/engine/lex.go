package engine

import "strings"

// lexer cuts ClickHouse SQL into words, quoted names, strings and single punctuation
// marks, dropping space and comments. It knows just enough to tell what is text of a
// literal and what is not; the engine's parser judges everything else.
type lexer struct {
	text  string
	pos   int
	depth int // of ( [ {
}

type tokenKind byte

const (
	tokenEnd tokenKind = iota
	tokenWord
	tokenQuoted // a name in " or `
	tokenString
	tokenMark // any other single byte
)

// token is text[start:end]; depth counts the brackets open around it.
type token struct {
	kind       tokenKind
	start, end int
	depth      int
}

func (l *lexer) next() token {
	l.skipSpace()
	t := token{start: l.pos, depth: l.depth}
	if l.pos >= len(l.text) {
		t.end = l.pos
		return t
	}
	switch c := l.text[l.pos]; {
	case c == '\'':
		t.kind = tokenString
		l.quoted(c)
	case c == '"' || c == '`':
		t.kind = tokenQuoted
		l.quoted(c)
	case c == '$' && l.heredoc():
		t.kind = tokenString
	case isWord(c):
		t.kind = tokenWord
		for l.pos < len(l.text) && isWord(l.text[l.pos]) {
			l.pos++
		}
	default:
		t.kind = tokenMark
		l.mark(c, &t)
	}
	t.end = l.pos
	return t
}

// mark takes one byte; a closing bracket has the depth of its opening one.
func (l *lexer) mark(c byte, t *token) {
	l.pos++
	switch c {
	case '(', '[', '{':
		l.depth++
	case ')', ']', '}':
		l.depth--
		t.depth = l.depth
	}
}

func isWord(c byte) bool {
	return c == '_' || c == '$' || c >= 0x80 ||
		'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

// quoted moves past a literal whose quote is escaped by a backslash or by doubling.
func (l *lexer) quoted(quote byte) {
	for l.pos++; l.pos < len(l.text); l.pos++ {
		switch l.text[l.pos] {
		case '\\':
			l.pos++
		case quote:
			if l.pos+1 >= len(l.text) || l.text[l.pos+1] != quote {
				l.pos++
				return
			}
			l.pos++
		}
	}
	l.pos = len(l.text)
}

// heredoc moves past $tag$ ... $tag$ if one begins here.
func (l *lexer) heredoc() bool {
	n := strings.IndexByte(l.text[l.pos+1:], '$')
	if n < 0 {
		return false
	}
	tag := l.text[l.pos : l.pos+n+2]
	for i := 1; i < len(tag)-1; i++ {
		if !isWord(tag[i]) {
			return false
		}
	}
	body := l.pos + len(tag)
	end := strings.Index(l.text[body:], tag)
	if end < 0 {
		return false
	}
	l.pos = body + end + len(tag)
	return true
}

func (l *lexer) skipSpace() {
	for l.pos < len(l.text) {
		rest := l.text[l.pos:]
		switch {
		case strings.IndexByte(" \t\r\n\f\v", rest[0]) >= 0:
			l.pos++
		case strings.HasPrefix(rest, "--"), strings.HasPrefix(rest, "# "), strings.HasPrefix(rest, "#!"):
			l.skipPast(rest, "\n")
		case strings.HasPrefix(rest, "/*"):
			l.skipPast(rest, "*/")
		default:
			return
		}
	}
}

func (l *lexer) skipPast(rest, end string) {
	if i := strings.Index(rest, end); i >= 0 {
		l.pos += i + len(end)
	} else {
		l.pos = len(l.text)
	}
}

// word is the token in upper case if it is a bare word, else "".
func (l *lexer) word(t token) string {
	if t.kind != tokenWord {
		return ""
	}
	return strings.ToUpper(l.text[t.start:t.end])
}

// name is an identifier without its quotes, "" for anything else.
func (l *lexer) name(t token) string {
	switch t.kind {
	case tokenWord:
		return l.text[t.start:t.end]
	case tokenQuoted:
		return strings.Trim(l.text[t.start:t.end], "\"`")
	}
	return ""
}

func (l *lexer) is(t token, mark byte) bool {
	return t.kind == tokenMark && l.text[t.start] == mark
}
