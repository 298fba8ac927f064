package engine

import (
	"errors"
	"net/http"
	"regexp"
	"strconv"
	"strings"
)

// Exception is an error of the engine in ClickHouse's terms.
type Exception struct {
	Code int    // ClickHouse's error code, e.g. 60 UNKNOWN_TABLE
	Text string // "Code: 60. DB::Exception: ..."
}

func (e *Exception) Error() string { return e.Text }

// ClickHouse error codes that this package raises itself.
const (
	codeSyntaxError        = 62
	codeNotImplemented     = 48
	codeNoDataToInsert     = 108
	codeIntoOutfileRefused = 193
	codeTooManyQueries     = 202
	codeUnknown            = 1002
	codeNetwork            = 210
)

var (
	// errNotStreamable: the statement answers rows but is not a SELECT.
	errNotStreamable = errors.New("statement cannot be streamed")
	// errEmptyInsert: a Native body without a byte. clickhouse-go sends one when it could
	// not encode its batch (columns of unequal length) and then reports success, because
	// the deferred CloseWithError in its batch sender captures a nil error.
	errEmptyInsert = newException(codeNoDataToInsert, "NO_DATA_TO_INSERT", "INSERT came without a block of data")
	// errRowsRefused: the engine ended an INSERT before its rows did, and named no reason.
	errRowsRefused = newException(codeUnknown, "UNKNOWN_EXCEPTION", "INSERT was ended before all of its data was read")
)

func newException(code int, name, text string) *Exception {
	return &Exception{code, "Code: " + strconv.Itoa(code) + ". DB::Exception: " + text + ". (" + name + ")"}
}

var exceptionCode = regexp.MustCompile(`Code: (\d+)\. `)

// parseException reads the engine's error text. The C API puts "Error: " or a space
// before some of them; texts without a code get 1002 UNKNOWN_EXCEPTION.
func parseException(text string) *Exception {
	text = strings.TrimSpace(text)
	if m := exceptionCode.FindStringSubmatchIndex(text); m != nil {
		code, err := strconv.Atoi(text[m[2]:m[3]])
		if err == nil {
			return &Exception{code, text[m[0]:]}
		}
	}
	return newException(codeUnknown, "UNKNOWN_EXCEPTION", text)
}

// asException makes an *Exception of any error.
func asException(err error) *Exception {
	var e *Exception
	if errors.As(err, &e) {
		return e
	}
	return newException(codeUnknown, "UNKNOWN_EXCEPTION", err.Error())
}

// httpStatus follows ClickHouse's HTTP interface: what the asker got wrong is 400 or
// 404, a limit 5xx, the rest 500.
func httpStatus(code int) int {
	switch code {
	case 6, 26, 27, 36, 38, 41, 42, 43, 44, 46, 47, 50, 53, 57, 62, 63, 69, 70, 72, 73, 107, 108, 115, 117, 130, 131, 193, 456, 457:
		return http.StatusBadRequest
	case 16, 60, 81, 82:
		return http.StatusNotFound
	case 48:
		return http.StatusNotImplemented
	case 159:
		return http.StatusRequestTimeout
	case codeTooManyQueries:
		return http.StatusServiceUnavailable
	case 164, 497:
		return http.StatusForbidden
	}
	return http.StatusInternalServerError
}
