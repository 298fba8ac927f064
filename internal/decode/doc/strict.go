package doc

import (
	"bytes"
	"fmt"

	"github.com/tidwall/gjson"

	"github.com/situ-city/situ/internal/decode"
)

// mark is a byte order mark.
var mark = []byte("\ufeff")

// letter refuses what JSON does not have by its letter, and is met all the same: a byte order mark (RFC 8259 8.1), a name
// twice in one object (RFC 7493 2.3). text is the document, which is known to be well formed, and begins at offset at.
func (w *Walk) letter(payload, text []byte, at int) error {
	if bytes.HasPrefix(payload, mark) {
		return w.marked()
	}
	root := gjson.ParseBytes(text)
	root.Index = at
	if name, where := twice(root); where >= 0 {
		name, _ = cut(name)
		return &decode.Error{Protocol: w.Protocol, Offset: where, Field: name, Err: fmt.Errorf("named twice in one object: %w", decode.ErrMalformed)}
	}
	return nil
}

func (w *Walk) marked() error {
	return &decode.Error{Protocol: w.Protocol, Offset: 0, Err: fmt.Errorf("a byte order mark: %w", decode.ErrEncoding)}
}

// twice finds a name that an object of v has more than once; where is -1 if there is none. It goes as deep as MaxDepth.
func twice(v gjson.Result) (name string, where int) {
	where = -1
	seen, object := map[string]struct{}{}, v.IsObject()
	v.ForEach(func(key, member gjson.Result) bool {
		if object {
			if _, again := seen[key.Str]; again {
				name, where = key.Str, key.Index
				return false
			}
			seen[key.Str] = struct{}{}
		}
		if member.Type == gjson.JSON {
			name, where = twice(member)
		}
		return where < 0
	})
	return name, where
}
