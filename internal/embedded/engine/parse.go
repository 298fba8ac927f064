package engine

// parsed is what this package must know of a statement before the engine sees it.
type parsed struct {
	sql    string // the statement; of a feeding INSERT, what stands before VALUES or FORMAT
	format string // of its FORMAT clause, "" without one; "Values" for VALUES
	feed   bool   // an INSERT whose rows follow it
	rows   int    // where in the text those rows begin
	rowset bool   // begins like a SELECT, so that the engine can probably stream it
}

var (
	errManyStatements = newException(codeSyntaxError, "SYNTAX_ERROR", "Multi-statements are not allowed")
	errIntoOutfile    = newException(codeIntoOutfileRefused, "INTO_OUTFILE_NOT_ALLOWED", "INTO OUTFILE is not allowed")
	errInfile         = newException(codeNotImplemented, "NOT_IMPLEMENTED", "FROM INFILE is not allowed over HTTP")
	errNoQuery        = newException(codeSyntaxError, "SYNTAX_ERROR", "Empty query")
)

// parse reads a statement. text may be the first part of a longer body: then it is
// enough that an INSERT's head is in it.
func parse(text string) (parsed, error) {
	l := &lexer{text: text}
	first := l.next()
	switch l.word(first) {
	case "INSERT":
		return parseInsert(l, first)
	case "SELECT", "WITH", "FROM":
		return parseTail(l, first, true)
	}
	return parseTail(l, first, l.is(first, '('))
}

// parseInsert looks, after the target's name, for what brings the rows.
func parseInsert(l *lexer, first token) (parsed, error) {
	t := l.next()
	for w := l.word(t); w == "INTO" || w == "TABLE" || w == "FUNCTION"; w = l.word(t) {
		t = l.next()
	}
	for t = l.next(); l.is(t, '.'); t = l.next() { // t was the name; db.name goes on
		l.next()
	}
	for ; t.kind != tokenEnd; t = l.next() {
		if t.depth > 0 {
			continue
		}
		switch l.word(t) {
		case "VALUES":
			return parsed{sql: l.text[first.start:t.start], format: "Values", feed: true, rows: t.end}, nil
		case "FORMAT":
			f := l.next()
			return parsed{sql: l.text[first.start:t.start], format: l.name(f), feed: true, rows: rowsAfter(l.text, f.end)}, nil
		case "INFILE":
			return parsed{}, errInfile
		case "SELECT", "WITH":
			return parseTail(l, first, false)
		}
	}
	return parsed{sql: l.text[first.start:]}, nil
}

// rowsAfter skips the blanks and the one line end that part FORMAT's name from the rows.
func rowsAfter(text string, i int) int {
	for i < len(text) && (text[i] == ' ' || text[i] == '\t' || text[i] == '\f') {
		i++
	}
	if i < len(text) && text[i] == '\r' {
		i++
	}
	if i < len(text) && text[i] == '\n' {
		i++
	}
	return i
}

// parseTail reads to the end of one statement, for its FORMAT clause.
func parseTail(l *lexer, first token, rowset bool) (parsed, error) {
	if first.kind == tokenEnd || l.is(first, ';') {
		return parsed{}, errNoQuery
	}
	var c formatClause
	end, before := first.end, ""
	for t := l.next(); t.kind != tokenEnd; t = l.next() {
		if l.is(t, ';') && t.depth == 0 {
			if !l.onlySemicolons() {
				return parsed{}, errManyStatements
			}
			break
		}
		if w := l.word(t); before == "INTO" && w == "OUTFILE" {
			return parsed{}, errIntoOutfile
		} else {
			before = w
		}
		c.take(l, t)
		end = t.end
	}
	return parsed{sql: l.text[first.start:end], format: c.found(), rowset: rowset}, nil
}

func (l *lexer) onlySemicolons() bool {
	for t := l.next(); t.kind != tokenEnd; t = l.next() {
		if !l.is(t, ';') {
			return false
		}
	}
	return true
}

// formatClause watches tokens for FORMAT name, which counts if the statement ends
// there or goes on with SETTINGS; a column of that name does not.
type formatClause struct {
	name  string
	state formatState
}

type formatState byte

const (
	formatNone formatState = iota
	formatWord             // FORMAT was the last token
	formatName             // FORMAT name were the last two
	formatSure             // FORMAT name SETTINGS
)

func (c *formatClause) take(l *lexer, t token) {
	w := l.word(t)
	switch {
	case c.state == formatSure:
	case c.state == formatWord && t.depth == 0 && l.name(t) != "":
		c.name, c.state = l.name(t), formatName
	case c.state == formatName && w == "SETTINGS":
		c.state = formatSure
	case w == "FORMAT" && t.depth == 0:
		c.state = formatWord
	default:
		c.state = formatNone
	}
}

func (c *formatClause) found() string {
	if c.state == formatName || c.state == formatSure {
		return c.name
	}
	return ""
}
