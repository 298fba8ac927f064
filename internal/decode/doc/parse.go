package doc

import (
	"bytes"

	"github.com/tidwall/gjson"

	"github.com/situ-city/situ/internal/decode"
)

// Bounds of a payload, besides decode.MaxReadings.
const (
	MaxDepth  = 32      // objects and arrays inside one another
	MaxSize   = 4 << 20 // bytes
	MaxKey    = 128     // bytes of a flattened name
	MaxValues = 1 << 17 // objects, arrays and what is in them, of a document that is walked
	MaxText   = 1024    // bytes of a value in words
)

// Parse checks a payload in UTF-8 and gives its root, whose Index, like that of everything in it, is the offset in
// payload. The texts of the root do not alias payload, but they hold on to a copy of all of it: keep them by
// decode.Interner.
func Parse(protocol string, payload []byte) (gjson.Result, error) {
	at, err := Check(protocol, payload)
	if err != nil {
		return gjson.Result{}, err
	}
	root := gjson.Parse(string(payload[at:]))
	root.Index = at
	return root, nil
}

// Check is Parse for whoever walks payload himself: it says where the root begins.
func Check(protocol string, payload []byte) (at int, err error) {
	text, at, err := lead(protocol, payload, decode.Text{})
	if err != nil {
		return at, err
	}
	if bad, err := check(text, nil); err != nil {
		return at, &decode.Error{Protocol: protocol, Offset: at + bad, Err: err}
	}
	return at, nil
}

// lead checks size and encoding, and gives the text in UTF-8 from its first character on.
func lead(protocol string, payload []byte, encoding decode.Text) (text []byte, at int, err error) {
	fail := func(at int, cause error) ([]byte, int, error) {
		return nil, at, &decode.Error{Protocol: protocol, Offset: at, Err: cause}
	}
	if len(payload) > MaxSize {
		return fail(MaxSize, decode.ErrBound)
	}
	text, bad := encoding.UTF8(payload)
	if bad >= 0 {
		return fail(bad, decode.ErrEncoding)
	}
	if bytes.HasPrefix(text, []byte("\ufeff")) { // RFC 8259 8.1: a byte order mark may be ignored
		at = 3
	}
	for at < len(text) && (text[at] == ' ' || text[at] == '\n' || text[at] == '\r' || text[at] == '\t') {
		at++
	}
	if at == len(text) {
		return fail(at, decode.ErrEmpty)
	}
	return text[at:], at, nil
}

// Fail is the error of one member of a payload: v says where.
func Fail(protocol, field string, v gjson.Result, cause error) *decode.Error {
	at := v.Index
	if !v.Exists() {
		at = -1
	}
	return &decode.Error{Protocol: protocol, Offset: at, Field: field, Err: cause}
}
