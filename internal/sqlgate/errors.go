package sqlgate

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
)

// Error is why a query gave nothing, or broke off.
type Error struct {
	HTTP   int    // status for the asker
	Code   int    // ClickHouse's code, 0 when the gate itself refused
	Detail string // in the asker's terms
	Line   int    // in the asker's text, from 1; 0 = not known
	Column int
	Err    error // cause, if there is one
}

func (e *Error) Error() string {
	if e.Line > 0 {
		return fmt.Sprintf("line %d, column %d: %s", e.Line, e.Column, e.Detail)
	}
	return e.Detail
}

// Status is the HTTP status.
func (e *Error) Status() int { return e.HTTP }

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

func refuse(status int, format string, args ...any) *Error {
	return &Error{HTTP: status, Detail: fmt.Sprintf(format, args...)}
}

// unavailable wraps what went wrong on the way to the engine.
func unavailable(err error) error {
	if errors.Is(err, context.Canceled) {
		return &Error{HTTP: 499, Detail: "the asker left", Err: err}
	}
	return &Error{HTTP: http.StatusServiceUnavailable, Detail: "the ClickHouse engine is not available now", Err: err}
}

// maxException bounds what is read of an engine's error.
const maxException = 64 << 10

var (
	exceptionHead = regexp.MustCompile(`(?s)^\s*Code: (\d+)\. (?:[A-Za-z:]*Exception: )?(.*)$`)
	exceptionTail = regexp.MustCompile(`\s*\([A-Z_0-9]+\)\s*(\(version [^)]*\)?\)?\s*)?$`)
	position      = regexp.MustCompile(`failed at position (\d+)( \([^)]*\))?( \(line \d+, col \d+\))?`)
)

// statuses of the engine's codes that are not simply the asker's mistake.
var statuses = map[int]int{
	159: http.StatusGatewayTimeout,      // took too long
	158: http.StatusUnprocessableEntity, // reads too many rows
	307: http.StatusUnprocessableEntity, // reads too many bytes
	241: http.StatusUnprocessableEntity, // needs too much memory
	396: http.StatusUnprocessableEntity, // result too large
	164: http.StatusForbidden, 497: http.StatusForbidden, 516: http.StatusServiceUnavailable,
	60: http.StatusNotFound, 81: http.StatusServiceUnavailable,
	202: http.StatusServiceUnavailable, 209: http.StatusServiceUnavailable, 210: http.StatusServiceUnavailable,
	394: 499, // killed: the asker left
}

// explainError puts an engine's error into the asker's terms: positions in his text, and nothing of ours.
func (q *query) explainError(text string) *Error {
	e := &Error{HTTP: http.StatusBadRequest, Detail: strings.TrimSpace(text)}
	m := exceptionHead.FindStringSubmatch(text)
	if m == nil {
		e.HTTP = http.StatusBadGateway
		return e
	}
	e.Code, _ = strconv.Atoi(m[1]) // digits, says the expression
	if s, ok := statuses[e.Code]; ok {
		e.HTTP = s
	}
	e.Detail = exceptionTail.ReplaceAllString(strings.TrimSpace(m[2]), "")
	if p := position.FindStringSubmatch(e.Detail); p != nil {
		e.locate(q, p[1])
		e.Detail = "syntax error" + strings.TrimSuffix(": "+near(p[2]), ": ")
	}
	if i := strings.Index(e.Detail, ": While executing"); i > 0 {
		e.Detail = e.Detail[:i]
	}
	e.Detail = strings.TrimPrefix(e.Detail, "Syntax error: ")
	return e
}

// locate turns a position in the text sent, from 1 in bytes, into line and column of the asker's.
func (e *Error) locate(q *query, digits string) {
	at, err := strconv.Atoi(digits)
	if err != nil || at < q.offset+1 {
		return
	}
	at = min(at-1-q.offset, len(q.sql))
	e.Line = 1 + strings.Count(q.sql[:at], "\n")
	e.Column = at - strings.LastIndexByte(q.sql[:at], '\n')
}

// near is the word the parser stumbled over.
func near(paren string) string {
	word := strings.Trim(paren, " ()")
	switch word {
	case "":
		return ""
	case "end of query":
		return "the text ends too early"
	}
	return "near " + strconv.Quote(word)
}
