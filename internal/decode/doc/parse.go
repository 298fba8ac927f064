package doc

import (
	"bytes"

	"github.com/tidwall/gjson"

	"github.com/situ-city/situ/internal/decode"
)

// Bounds of a payload, besides decode.MaxReadings.
const (
	MaxDepth = 32      // objects and arrays inside one another
	MaxSize  = 4 << 20 // bytes
	MaxKey   = 128     // bytes of a flattened name
	MaxText  = 1024    // bytes of a value in words
)

// Parse checks a payload in UTF-8 and gives its root, whose Index, like that of everything in it, is the offset in
// payload. The texts of the root do not alias payload, but they hold on to a copy of all of it: keep them by
// decode.Interner.
func Parse(protocol string, payload []byte) (gjson.Result, error) {
	return parse(protocol, payload, decode.Text{})
}

func parse(protocol string, payload []byte, encoding decode.Text) (root gjson.Result, err error) {
	fail := func(at int, cause error) (gjson.Result, error) {
		return root, &decode.Error{Protocol: protocol, Offset: at, Err: cause}
	}
	if len(payload) > MaxSize {
		return fail(MaxSize, decode.ErrBound)
	}
	text, bad := encoding.UTF8(payload)
	if bad >= 0 {
		return fail(bad, decode.ErrEncoding)
	}
	start := 0
	if bytes.HasPrefix(text, []byte("\ufeff")) { // RFC 8259 8.1: a byte order mark may be ignored
		start = 3
	}
	for start < len(text) && (text[start] == ' ' || text[start] == '\n' || text[start] == '\r' || text[start] == '\t') {
		start++
	}
	if start == len(text) {
		return fail(start, decode.ErrEmpty)
	}
	if at, err := check(text[start:]); err != nil {
		return fail(start+at, err)
	}
	root = gjson.Parse(string(text[start:]))
	root.Index = start
	return root, nil
}

// Fail is the error of one member of a payload: v says where.
func Fail(protocol, field string, v gjson.Result, cause error) *decode.Error {
	at := v.Index
	if !v.Exists() {
		at = -1
	}
	return &decode.Error{Protocol: protocol, Offset: at, Field: field, Err: cause}
}
