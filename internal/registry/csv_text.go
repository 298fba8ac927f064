package registry

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/unicode"
)

// ErrCSV: the file as a whole cannot be a register; the text says why and what to do.
var ErrCSV = errors.New("not a register")

// MaxCSV bounds a register file, in bytes.
const MaxCSV = 256 << 20

// readText reads the whole file as UTF-8 without a byte order mark. How the file was encoded is told in note when it
// was not plainly UTF-8. Rows with a stray bad byte are left for their own verdict.
func readText(r io.Reader) (text []byte, note string, err error) {
	text, err = io.ReadAll(io.LimitReader(r, MaxCSV+1))
	switch {
	case err != nil:
		return nil, "", fmt.Errorf("read register: %w", err)
	case len(text) > MaxCSV:
		return nil, "", fmt.Errorf("more than %d MiB; split it: %w", MaxCSV>>20, ErrCSV)
	case bytes.HasPrefix(text, []byte("PK\x03\x04")), bytes.HasPrefix(text, []byte("\xd0\xcf\x11\xe0")):
		return nil, "", fmt.Errorf("this is a workbook; save it as CSV (UTF-8) first: %w", ErrCSV)
	case bytes.HasPrefix(text, []byte("\xff\xfe")), bytes.HasPrefix(text, []byte("\xfe\xff")):
		text, err = unicode.UTF16(unicode.LittleEndian, unicode.ExpectBOM).NewDecoder().Bytes(text)
		return text, "the file was read as UTF-16", err
	}
	text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
	invalid, long := sequences(text)
	if invalid <= long {
		return text, "", nil
	}
	decoded, err := simplifiedchinese.GB18030.NewDecoder().Bytes(text)
	if err != nil || 10*bytes.Count(decoded, []byte("\ufffd")) > invalid {
		return text, "the text is neither UTF-8 nor GB18030; save the file as UTF-8", nil
	}
	return decoded, "the file was read as GB18030", nil
}

// sequences counts the bytes that are not UTF-8 and the sequences of three and more bytes that are. The two tell
// GB18030 from UTF-8 with a few bad bytes: Chinese in UTF-8 is nearly all sequences of three; Chinese in GB18030, read
// as UTF-8, is mostly invalid bytes and hardly ever such a sequence.
func sequences(text []byte) (invalid, long int) {
	for len(text) > 0 {
		c, n := utf8.DecodeRune(text)
		switch {
		case c == utf8.RuneError && n == 1:
			invalid++
		case n >= 3:
			long++
		}
		text = text[n:]
	}
	return invalid, long
}
