package sqlgate

import (
	"net/http"
	"strings"
)

// tokenize cuts SQL as ClickHouse's lexer does, as far as quotes, comments and brackets go.
func tokenize(sql string) (tokens []token, err error) {
	depth := 0
	for at := 0; ; {
		at, err = skip(sql, at)
		if err != nil || at >= len(sql) {
			return tokens, err
		}
		t := token{start: at, depth: depth}
		switch c := sql[at]; {
		case c == '\'':
			t.kind = tokenString
			t.text, t.end, err = quoted(sql, at)
		case c == '"' || c == '`':
			t.kind = tokenQuoted
			t.text, t.end, err = quoted(sql, at)
		case c == '$' && heredoc(sql, at) > 0:
			t.kind, t.end = tokenString, heredoc(sql, at)
			t.text = sql[at:t.end]
		case wordByte(c):
			t.kind, t.end = tokenWord, at+1
			for t.end < len(sql) && wordByte(sql[t.end]) {
				t.end++
			}
			t.text = sql[at:t.end]
		default:
			t.kind, t.end, t.text = tokenMark, at+1, sql[at:at+1]
			switch c {
			case '(', '[', '{':
				depth++
			case ')', ']', '}':
				depth--
				t.depth = depth
			}
		}
		if err != nil {
			return nil, err
		}
		tokens = append(tokens, t)
		at = t.end
	}
}

func wordByte(c byte) bool {
	return c == '_' || c >= 0x80 || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '$'
}

// quoted reads a literal whose quote is escaped by a backslash or by doubling.
func quoted(sql string, start int) (text string, end int, err error) {
	quote := sql[start]
	var b strings.Builder
	for i := start + 1; i < len(sql); i++ {
		switch c := sql[i]; {
		case c == '\\' && i+1 < len(sql):
			i++
			b.WriteByte(sql[i])
		case c == quote && i+1 < len(sql) && sql[i+1] == quote:
			i++
			b.WriteByte(quote)
		case c == quote:
			return b.String(), i + 1, nil
		default:
			b.WriteByte(c)
		}
	}
	return "", 0, at(sql, token{start: start}, http.StatusBadRequest, "a quote is never closed")
}

// heredoc gives the end of $tag$ ... $tag$ if one begins at start, else 0.
func heredoc(sql string, start int) int {
	n := strings.IndexByte(sql[start+1:], '$')
	if n < 0 {
		return 0
	}
	tag := sql[start : start+n+2]
	for i := 1; i < len(tag)-1; i++ {
		if !wordByte(tag[i]) {
			return 0
		}
	}
	body := start + len(tag)
	end := strings.Index(sql[body:], tag)
	if end < 0 {
		return 0
	}
	return body + end + len(tag)
}

// skip moves over space and comments.
func skip(sql string, i int) (int, error) {
	for i < len(sql) {
		rest := sql[i:]
		switch {
		case strings.IndexByte(" \t\r\n\f\v", rest[0]) >= 0:
			i++
		case strings.HasPrefix(rest, "--"), strings.HasPrefix(rest, "# "), strings.HasPrefix(rest, "#!"):
			n := strings.IndexByte(rest, '\n')
			if n < 0 {
				return len(sql), nil
			}
			i += n + 1
		case strings.HasPrefix(rest, "/*"):
			n := strings.Index(rest, "*/")
			if n < 0 {
				return 0, at(sql, token{start: i}, http.StatusBadRequest, "a comment is never closed")
			}
			i += n + 2
		default:
			return i, nil
		}
	}
	return i, nil
}
