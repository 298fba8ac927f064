package cnemc

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/pkg/geo"
	"github.com/situ-city/situ/pkg/sensor"
)

const protocol = "cnemc"

// MaxText bounds the bytes of words that a reading may hold.
const MaxText = 256

// Protocol is this package's entry in the list of protocols.
func Protocol() decode.Protocol {
	return decode.Protocol{Name: protocol, New: func(s decode.Settings) (decode.Decoder, error) { return New(s) }}
}

// Decoder turns CSV payloads into Readings. It keeps the names it has seen; use one a connection, from one goroutine.
type Decoder struct {
	zone     *time.Location
	encoding decode.Text
	either   bool // GB 18030 too, where it is not UTF-8
	strict   bool
	names    decode.Interner
	words    decode.Interner
	empty    sensor.Reason

	out    []decode.Reading
	first  int
	shift  int         // bytes of the byte order mark
	used   decode.Text // the encoding of this payload
	rows   rows
	head   []field
	places [asLabel + 1]int // of the columns that a row has one of; -1 = none
}

// field is a column of this payload.
type field struct {
	column
	key string
}

// New makes a Decoder for a source with these settings.
func New(s decode.Settings) (*Decoder, error) {
	d := &Decoder{strict: s.Strict, either: s.Encoding == "" && !s.Strict}
	var err error
	if d.zone, err = s.Location(); err != nil {
		return nil, err
	}
	d.encoding, err = decode.NewText(s.Encoding)
	return d, err
}

// Empty implements decode.Emptier.
func (d *Decoder) Empty() sensor.Reason { return d.empty }

// Decode implements decode.Decoder.
func (d *Decoder) Decode(dst []decode.Reading, payload []byte) ([]decode.Reading, error) {
	d.out, d.first, d.empty = dst, len(dst), sensor.ReasonNoValues
	err := d.table(payload)
	out := d.out
	d.used.Locate(payload, d.rows.b, out[d.first:], err)
	d.out, d.rows.b = nil, nil
	clear(d.rows.cells[:cap(d.rows.cells)])
	if err == nil && len(out)-d.first > decode.MaxReadings {
		err = fault(-1, "", fmt.Errorf("more than %d values: %w", decode.MaxReadings, decode.ErrBound))
	}
	if err != nil {
		clear(out[d.first:])
		return dst, err
	}
	return out, nil
}

// table reads the first line and all rows.
func (d *Decoder) table(payload []byte) error {
	text, err := d.text(payload)
	if err != nil {
		return err
	}
	d.rows.b, d.rows.i, d.rows.comma = text, 0, comma(text)
	ok, err := d.rows.next()
	switch {
	case !ok:
		return fault(0, "", decode.ErrEmpty)
	case err != nil:
		return fault(d.place(0), "", fmt.Errorf("first line: %w: %w", err, decode.ErrMalformed))
	}
	if err := d.readHead(); err != nil {
		return err
	}
	for len(d.out)-d.first <= decode.MaxReadings {
		ok, err := d.rows.next()
		if !ok {
			break
		}
		if err == nil && len(d.rows.cells) != len(d.head) {
			err = fmt.Errorf("%d cells under %d names", len(d.rows.cells), len(d.head))
		}
		if err != nil {
			d.add(decode.Reading{Err: fault(d.place(d.rows.at), "", fmt.Errorf("row: %w: %w", err, decode.ErrMalformed))})
			continue
		}
		d.row()
	}
	return nil
}

// text turns the payload into UTF-8 without a byte order mark.
func (d *Decoder) text(payload []byte) ([]byte, error) {
	whole := len(payload)
	payload = bytes.TrimPrefix(payload, []byte("\xef\xbb\xbf"))
	d.shift = whole - len(payload)
	d.used, d.rows.b = d.encoding, nil
	text, bad := d.encoding.UTF8(payload)
	if bad >= 0 && d.either {
		if gb, err := decode.NewText("gb18030"); err == nil {
			if text, other := gb.UTF8(payload); other < 0 {
				d.used = gb
				return text, nil
			}
		}
	}
	if bad >= 0 {
		return nil, fault(bad+d.shift, "", decode.ErrEncoding)
	}
	return text, nil
}

// comma is what separates cells: the first of the three that the first line holds.
func comma(text []byte) byte {
	line, _, _ := bytes.Cut(bytes.TrimLeft(text, "\r\n"), []byte("\n"))
	if i := bytes.IndexAny(line, ",;\t"); i >= 0 {
		return line[i]
	}
	return ','
}

// readHead takes the names of the columns.
func (d *Decoder) readHead() error {
	d.head = d.head[:0]
	for i := range d.places {
		d.places[i] = -1
	}
	for i, name := range d.rows.cells {
		if len(name) > maxName {
			return fault(d.place(d.rows.offsets[i]), "", fmt.Errorf("a name of %d bytes, at most %d: %w", len(name), maxName, decode.ErrBound))
		}
		f := field{known(name), d.names.String(name)}
		if len(name) == 0 {
			f.use = asLabel
		}
		if f.use > asOther && f.use < asNumber {
			if d.places[f.use] >= 0 { // twice: the first counts
				f.use = asLabel
			} else {
				d.places[f.use] = i
			}
		}
		d.head = append(d.head, f)
	}
	if d.places[asTime] < 0 || d.places[asCode] < 0 {
		return fault(0, "", fmt.Errorf("the first line names no time and no station's code: %w", decode.ErrMalformed))
	}
	return nil
}

// row reads one station's hour.
func (d *Decoder) row() {
	var base decode.Reading
	code := d.rows.cells[d.places[asCode]]
	if len(code) == 0 || len(code) > maxName {
		d.refuse(base, asCode, fmt.Errorf("code %.20q: want 1 to %d bytes: %w", code, maxName, decode.ErrMalformed))
		return
	}
	base.Serial = d.names.String(code)
	when := d.rows.cells[d.places[asTime]]
	ms, ok := moment(when, d.zone)
	if !ok {
		d.refuse(base, asTime, fmt.Errorf("%.40q: %w", when, decode.ErrTime))
		return
	}
	base.Time = ms
	d.position(&base)
	for i := range d.head {
		d.cell(&base, i)
	}
}

// refuse adds a Reading that stands for a row.
func (d *Decoder) refuse(base decode.Reading, u use, cause error) {
	i := d.places[u]
	base.Key, base.Property = d.head[i].key, d.head[i].key
	base.Err = fault(d.place(d.rows.offsets[i]), base.Key, cause)
	d.add(base)
}

// position takes where the station is.
func (d *Decoder) position(base *decode.Reading) {
	i, k := d.places[asLon], d.places[asLat]
	if i < 0 || k < 0 || d.missing(d.rows.cells[i]) || d.missing(d.rows.cells[k]) {
		return
	}
	lon, errLon := number(d.rows.cells[i])
	lat, errLat := number(d.rows.cells[k])
	p := geo.LonLat{Lon: lon, Lat: lat}
	if errLon != nil || errLat != nil || !p.Valid() {
		d.refuse(*base, asLon, fmt.Errorf("%.20q, %.20q: %w", d.rows.cells[i], d.rows.cells[k], decode.ErrPosition))
		return
	}
	base.Position, base.HasPosition = p, true
}

// cell reads one cell of a row.
func (d *Decoder) cell(base *decode.Reading, i int) {
	f, text := &d.head[i], d.rows.cells[i]
	if f.use != asOther && f.use != asNumber && f.use != asWords || d.missing(text) {
		return
	}
	r := *base
	r.Key, r.Property, r.Statistic = f.key, f.key, f.statistic
	switch f.use {
	case asWords:
		if len(text) > MaxText {
			r.Err = fault(d.place(d.rows.offsets[i]), r.Key, fmt.Errorf("text of %d bytes, at most %d: %w", len(text), MaxText, decode.ErrBound))
			break
		}
		r.Text = d.words.String(text)
	default:
		v, err := number(text)
		if err != nil && f.use == asOther && !errors.Is(err, errRange) {
			return
		}
		r.Number, r.Unit = v, f.unit
		if err != nil {
			r.Number, r.Err = 0, fault(d.place(d.rows.offsets[i]), r.Key, err)
		}
	}
	d.add(r)
}

// missing: nobody has measured anything.
func (d *Decoder) missing(text []byte) bool {
	if len(text) == 0 {
		return true
	}
	if d.strict {
		return false
	}
	switch string(text) {
	case "—", "-", "--", "NA", "N/A", "NaN", "nan", "null", "NULL", "None":
		return true
	}
	return false
}

var errRange = fmt.Errorf("beyond float64: %w", decode.ErrNumber)

// number reads a cell; what says 1e400 is errRange.
func number(text []byte) (float64, error) {
	v, n, err := decode.Number(text)
	switch {
	case err != nil:
		return 0, errRange
	case n == 0 || n != len(text):
		return 0, fmt.Errorf("%.40q: %w", text, decode.ErrNumber)
	}
	return v, nil
}

// moment reads RFC 3339 with or without its zone, and what spreadsheets make of it: '/' for '-', one digit for two, no
// seconds.
func moment(b []byte, zone *time.Location) (ms int64, ok bool) {
	if ms, err := decode.ParseTime(b, zone); err == nil {
		return ms, true
	}
	var parts [6]int
	n, digits := 0, 0
	for i, c := range b {
		switch {
		case c-'0' <= 9:
			if digits == 4 {
				return 0, false
			}
			parts[n] = parts[n]*10 + int(c-'0')
			digits++
		case digits > 0 && n < len(parts)-1 && separates(b[i], n):
			n, digits = n+1, 0
		default:
			return 0, false
		}
	}
	if n < 4 || digits == 0 || parts[0] < 1000 {
		return 0, false
	}
	return decode.Clock{Year: parts[0], Month: parts[1], Day: parts[2], Hour: parts[3], Minute: parts[4], Second: parts[5]}.UnixMilli(zone)
}

// separates: c stands behind the n-th part of a time.
func separates(c byte, n int) bool {
	switch n {
	case 0, 1:
		return c == '-' || c == '/'
	case 2:
		return c == 'T' || c == ' '
	}
	return c == ':'
}

// add appends r. It keeps one more than allowed, so that Decode sees that there are too many.
func (d *Decoder) add(r decode.Reading) {
	if len(d.out)-d.first <= decode.MaxReadings {
		d.out = append(d.out, r)
	}
}

// place gives the offset in the payload, or in what Locate then takes it from.
func (d *Decoder) place(i int) int { return i + d.shift }

func fault(at int, field string, err error) *decode.Error {
	return &decode.Error{Protocol: protocol, Offset: at, Field: field, Err: err}
}
