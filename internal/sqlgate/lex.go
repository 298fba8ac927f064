package sqlgate

import (
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"
)

// lexed is what the lexer finds. It decides nothing about safety that the engine's parser does not decide again; it
// gives better words for common mistakes, cuts the tail that cannot stand inside a subquery, and finds the names that
// WITH gives, which the syntax tree does not show.
type lexed struct {
	sql      string            // without a trailing semicolon, FORMAT or SETTINGS
	settings map[string]string // of the trailing SETTINGS
	ctes     []string
}

// settable are the settings that a query may bring along. None of them widens a bound.
var settable = []string{"max_threads", "max_block_size", "join_use_nulls", "join_algorithm", "group_by_use_nulls",
	"union_default_mode", "date_time_output_format", "output_format_csv_null_representation"}

type tokenKind uint8

const (
	tokenEnd    tokenKind = iota
	tokenWord             // a bare word or number
	tokenQuoted           // a name in " or `
	tokenString           // '...' or a heredoc
	tokenMark             // any other byte
)

type token struct {
	kind       tokenKind
	text       string // quoted names without their quotes
	start, end int
	depth      int // brackets open around it
}

func (t token) is(word string) bool { return t.kind == tokenWord && strings.EqualFold(t.text, word) }
func (t token) mark(b byte) bool    { return t.kind == tokenMark && t.text[0] == b }

func lex(sql string) (*lexed, error) {
	if !utf8.ValidString(sql) || strings.ContainsRune(sql, 0) {
		return nil, refuse(http.StatusBadRequest, "the query is not UTF-8 text")
	}
	tokens, err := tokenize(sql)
	if err != nil {
		return nil, err
	}
	for len(tokens) > 0 && tokens[len(tokens)-1].mark(';') {
		tokens = tokens[:len(tokens)-1]
	}
	if len(tokens) == 0 {
		return nil, refuse(http.StatusBadRequest, "the query is empty")
	}
	for _, t := range tokens {
		if t.mark(';') {
			return nil, at(sql, t, http.StatusBadRequest, "one statement at a time: ';' may stand only at the end")
		}
		if t.kind == tokenQuoted && strings.ContainsAny(t.text, "\n\r") {
			return nil, at(sql, t, http.StatusBadRequest, "a name in quotes goes over a line's end")
		}
	}
	if first := tokens[0]; !first.mark('(') && !slices.ContainsFunc([]string{"SELECT", "WITH", "FROM"}, first.is) {
		return nil, at(sql, first, http.StatusForbidden, "only SELECT is allowed here")
	}
	return cut(sql, tokens)
}

// cut takes off the tail.
func cut(sql string, tokens []token) (*lexed, error) {
	l := &lexed{settings: map[string]string{}}
	for i, t := range tokens {
		switch {
		case t.depth == 0 && t.is("FORMAT") && i == len(tokens)-2 && tokens[i+1].kind == tokenWord:
			return nil, at(sql, t, http.StatusBadRequest, "the form of the result is chosen outside of the query: format=json, jsonl, csv, tsv, parquet or arrow")
		case t.depth == 0 && t.is("OUTFILE"):
			return nil, at(sql, t, http.StatusForbidden, "INTO OUTFILE is not allowed")
		}
	}
	if i := settingsAt(tokens); i > 0 {
		if err := l.readSettings(sql, tokens[i+1:]); err != nil {
			return nil, err
		}
		tokens = tokens[:i]
	}
	l.sql = sql[:tokens[len(tokens)-1].end]
	l.ctes = names(tokens)
	return l, nil
}

// settingsAt finds a SETTINGS clause that ends the text: name = value, ...; 0 if there is none.
func settingsAt(tokens []token) int {
	for i := len(tokens) - 1; i > 0; i-- {
		if t := tokens[i]; t.depth == 0 && t.is("SETTINGS") && i+2 < len(tokens) && tokens[i+1].kind == tokenWord && tokens[i+2].mark('=') {
			return i
		}
	}
	return 0
}

func (l *lexed) readSettings(sql string, tokens []token) error {
	for len(tokens) > 0 {
		if len(tokens) < 3 || !tokens[1].mark('=') || tokens[2].kind != tokenWord && tokens[2].kind != tokenString {
			return at(sql, tokens[0], http.StatusBadRequest, "SETTINGS: want name = value, ...")
		}
		name, value := tokens[0].text, tokens[2]
		if !slices.Contains(settable, name) {
			return at(sql, tokens[0], http.StatusForbidden, "setting "+name+" is not among "+strings.Join(settable, ", "))
		}
		l.settings[name] = value.text
		tokens = tokens[3:]
		if len(tokens) > 0 {
			if !tokens[0].mark(',') {
				return at(sql, tokens[0], http.StatusBadRequest, "SETTINGS: want name = value, ...")
			}
			tokens = tokens[1:]
		}
	}
	return nil
}

// names finds what WITH names: `name AS (` and `name (columns) AS (`, before a SELECT.
func names(tokens []token) (found []string) {
	for i := 0; i+3 < len(tokens); i++ {
		if (tokens[i].kind == tokenWord || tokens[i].kind == tokenQuoted) && tokens[i+1].is("AS") && tokens[i+2].mark('(') {
			found = append(found, tokens[i].text)
		}
	}
	return found
}

func at(sql string, t token, status int, detail string) *Error {
	e := refuse(status, "%s", detail)
	e.Line = 1 + strings.Count(sql[:t.start], "\n")
	e.Column = t.start - strings.LastIndexByte(sql[:t.start], '\n')
	return e
}

// plainName reports whether s is a letter or '_', then letters, digits and '_'.
func plainName(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !(c == '_' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || i > 0 && '0' <= c && c <= '9') {
			return false
		}
	}
	return s != "" && len(s) <= 128
}
