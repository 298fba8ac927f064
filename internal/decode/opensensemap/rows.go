package opensensemap

import (
	"fmt"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/internal/decode/doc"
)

// Decoder turns payloads into Readings; one a connection, from one goroutine.
type Decoder struct {
	doc.Walk
}

// New makes a Decoder.
func New(s decode.Settings) (*Decoder, error) {
	w, err := doc.NewWalk(protocol, s)
	return &Decoder{w}, err
}

// Decode implements decode.Decoder.
func (d *Decoder) Decode(dst []decode.Reading, payload []byte) ([]decode.Reading, error) {
	if !isRow(payload) {
		root, err := d.Begin(dst, payload)
		if err != nil {
			return dst, err
		}
		walk(&d.Walk, root)
		return d.End()
	}
	text, err := d.BeginText(dst, payload)
	if err != nil {
		return dst, err
	}
	d.rows(text)
	return d.End()
}

// isRow recognises a sensor's id and a comma.
func isRow(b []byte) bool {
	if len(b) <= idLength || b[idLength] != ',' {
		return false
	}
	for _, c := range b[:idLength] {
		if c-'0' > 9 && (c|0x20 < 'a' || c|0x20 > 'f') {
			return false
		}
	}
	return true
}

// idLength is that of an id of the openSenseMap, in hexadecimal digits.
const idLength = 24

// rows reads lines of sensor id, value, time, longitude, latitude, height, of which the first two must be there.
func (d *Decoder) rows(text string) {
	for at := 0; at < len(text) && !d.Failed(); {
		line, _, _ := strings.Cut(text[at:], "\n")
		where := gjson.Result{Type: gjson.String, Index: at}
		at += len(line) + 1
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		d.Base = decode.Reading{}
		cells := strings.Split(line, ",")
		if len(cells) < 2 || !isRow([]byte(line)) {
			d.Refuse("", where, fmt.Errorf("no row of sensor id, value: %w", decode.ErrMalformed))
			continue
		}
		cell := func(i int) gjson.Result {
			if i >= len(cells) || strings.TrimSpace(cells[i]) == "" {
				return gjson.Result{}
			}
			return gjson.Result{Type: gjson.String, Str: strings.TrimSpace(cells[i]), Index: where.Index}
		}
		d.At(cell(3), cell(4))
		if moment(&d.Walk, cells[0], cell(2)) {
			d.Value(cells[0], cell(1), "")
		}
	}
}
