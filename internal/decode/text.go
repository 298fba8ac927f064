package decode

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/simplifiedchinese"
)

// Text turns the bytes of a source's encoding into UTF-8. The zero value takes UTF-8 only.
type Text struct {
	from *encoding.Decoder
}

// NewText knows UTF-8 (also "") and GB18030, which contains GBK and GB 2312.
func NewText(name string) (Text, error) {
	switch strings.ToLower(strings.NewReplacer("-", "", "_", "").Replace(name)) {
	case "", "utf8":
		return Text{}, nil
	case "gb18030", "gbk", "gb2312":
		return Text{simplifiedchinese.GB18030.NewDecoder()}, nil
	}
	return Text{}, fmt.Errorf("encoding %q is not known (want utf-8 or gb18030)", name)
}

// UTF8 gives b itself when it needs no change. bad is the offset of the first byte that is not in the encoding
// (0 when that cannot be told), -1 when all are.
func (t Text) UTF8(b []byte) (out []byte, bad int) {
	if t.from == nil {
		if utf8.Valid(b) {
			return b, -1
		}
		for i := 0; ; {
			r, n := utf8.DecodeRune(b[i:])
			if r == utf8.RuneError && n <= 1 {
				return nil, i
			}
			i += n
		}
	}
	if ascii(b) {
		return b, -1
	}
	out, err := t.from.Bytes(b)
	if err != nil || strings.ContainsRune(string(out), utf8.RuneError) {
		return nil, 0
	}
	return out, -1
}

// Locate turns the offsets of errors, which are places in the text that UTF8 made of payload, into those of payload. It
// goes through text once, however many errors there are.
func (t Text) Locate(payload, text []byte, readings []Reading, err error) {
	if t.from == nil || ascii(payload) {
		return
	}
	var wrong []*Error
	for _, err := range append([]error{err}, errs(readings)...) {
		var e *Error
		if errors.As(err, &e) && e.Offset > 0 && e.Offset <= len(text) {
			wrong = append(wrong, e)
		}
	}
	slices.SortFunc(wrong, func(a, b *Error) int { return a.Offset - b.Offset })
	back := simplifiedchinese.GB18030.NewEncoder()
	seen, there := 0, 0
	for _, e := range slices.Compact(wrong) {
		piece, _ := back.Bytes(text[seen:e.Offset])
		seen, there = e.Offset, there+len(piece)
		e.Offset = min(there, len(payload))
	}
}

func errs(readings []Reading) (all []error) {
	for i := range readings {
		if err := readings[i].Err; err != nil {
			all = append(all, err)
		}
	}
	return all
}

func ascii(b []byte) bool {
	for _, c := range b {
		if c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
