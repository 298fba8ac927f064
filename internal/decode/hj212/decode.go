package hj212

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/internal/decode/frames"
	"github.com/situ-city/situ/pkg/sensor"
)

// Bounds of a value, besides those of a frame and decode.MaxReadings.
const (
	MaxKey  = 128  // bytes of code-param
	MaxText = 1024 // bytes of words
)

// maxDelay is how much later than DataTime a QN may be to be taken for the time when the result was produced:
// stations resend what they could not for days, and a clock that is a month off is wrong.
const maxDelay = 31 * 24 * 3600 * 1000

// Protocol is this package's entry in the list of protocols.
func Protocol() decode.Protocol {
	return decode.Protocol{Name: protocol, New: func(s decode.Settings) (decode.Decoder, error) { return New(s) }}
}

// Decoder turns payloads of one or more frames into Readings. It keeps the names it has seen; use one a connection,
// from one goroutine.
type Decoder struct {
	zone     *time.Location
	encoding decode.Text
	crc      string
	strict   bool
	names    decode.Interner // MN and keys
	words    decode.Interner
	empty    sensor.Reason

	out   []decode.Reading // dst while Decode runs
	first int              // len(dst) when Decode began
	begin int              // index in out of the current frame's first reading
	group int              // and of the current group's
	marks []mark           // of the current group
}

// mark is a Flag or SampleTime: it speaks about values that may stand before or behind it.
type mark struct {
	item
	use use
}

// New makes a Decoder for a source with these settings.
func New(s decode.Settings) (*Decoder, error) {
	crc, err := s.Checksum()
	if err != nil {
		return nil, err
	}
	d := &Decoder{crc: crc, strict: s.Strict}
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
	d.out, d.first, d.empty = dst, len(dst), ""
	err := d.frames(payload)
	out := d.out
	clear(d.marks[:cap(d.marks)]) // keep nothing of the caller's
	d.out = nil
	if err != nil {
		return dst, err
	}
	return out, nil
}

// frames reads all frames of a payload.
func (d *Decoder) frames(payload []byte) error {
	var t frames.Tally
	for from := 0; ; {
		start, end, closed, ok := next(payload, from)
		if !ok {
			break
		}
		from = end
		before := len(d.out)
		err := t.Count(d.frame(payload, start, end, closed))
		if err == nil {
			continue
		}
		clear(d.out[before:])
		d.out = d.out[:before]
		if !d.add(decode.Reading{Err: err}) {
			break
		}
	}
	return t.Judge(protocol, payload, len(d.out)-d.first, "frame begins here (##)")
}

// add appends r. It keeps one more than allowed, so that frames sees that there are too many.
func (d *Decoder) add(r decode.Reading) bool {
	if len(d.out)-d.first > decode.MaxReadings {
		return false
	}
	d.out = append(d.out, r)
	return true
}

// frame reads one frame.
func (d *Decoder) frame(payload []byte, start, end int, closed bool) error {
	e, err := open(payload, start, end, closed)
	if err != nil {
		return err
	}
	quality, err := d.judge(&e, closed)
	if err != nil {
		return err
	}
	data, bad := d.encoding.UTF8(e.data)
	if bad >= 0 {
		if encrypted(e.data) {
			return fault(e.at+bad, "CP", errEncrypted)
		}
		return fault(e.at+bad, "", decode.ErrEncoding)
	}
	var h header
	if err := h.read(data, nil); err != nil {
		return shift(err, e.at)
	}
	if h.encrypted() {
		return fault(e.at+h.cpAt, "CP", errEncrypted)
	}
	kind, ok := kindOf(h.cn)
	if !ok {
		return fault(e.at, "CN", fmt.Errorf("%.40q is no command number of 4 digits: %w", h.cn, decode.ErrMalformed))
	}
	if d.empty == "" {
		d.empty = kind.empty()
	}
	if kind != Data {
		return nil
	}
	return d.values(&h, e.at+h.cpAt, quality)
}

// judge compares length and CRC with what they should be.
func (d *Decoder) judge(e *envelope, closed bool) (q sensor.Quality, err error) {
	if e.declared != len(e.data) {
		if d.strict {
			return 0, fault(e.at, "length", fmt.Errorf("%d bytes, the field says %d: %w", len(e.data), e.declared, decode.ErrMalformed))
		}
		q |= sensor.LengthWrong
	}
	if e.sum == e.right {
		return q, nil
	}
	if !closed && e.declared > len(e.data) {
		return 0, fault(e.at+len(e.data), "", fmt.Errorf("%d bytes of data of %d: %w", len(e.data), e.declared, decode.ErrTruncated))
	}
	if d.crc == "off" || d.crc == "variants" && variant(e.data, e.sum) != "" {
		return q | sensor.ChecksumWrong, nil
	}
	return 0, fault(e.at+len(e.data), "CRC", fmt.Errorf("%s, should be %04X: %w", e.sumText, e.right, decode.ErrChecksum))
}

// values reads CP. at is its offset in the payload.
func (d *Decoder) values(h *header, at int, quality sensor.Quality) error {
	var dataTime, firstTime int64
	d.begin, d.group = len(d.out), len(d.out)
	s := items{b: h.cp}
	for {
		it, ok := s.next()
		if !ok {
			break
		}
		it.at += at
		if it.dash < 0 && it.whole {
			if err := d.field(&it, &dataTime); err != nil {
				return err
			}
			if firstTime == 0 {
				firstTime = dataTime
			}
		} else if !d.value(&it, dataTime) {
			return nil
		}
		if it.closes {
			d.close()
		}
	}
	if string(h.cn) == checkAgainstStandard {
		quality |= sensor.SourceCalib
	}
	serial := d.names.String(h.mn)
	qn, _ := parseTime(h.qn, d.zone)
	for i := d.begin; i < len(d.out); i++ {
		r := &d.out[i]
		r.Serial = serial
		r.Quality |= quality
		if r.Time == 0 { // the value stood before DataTime
			r.Time = firstTime
		}
		if r.Time != 0 && qn >= r.Time && qn-r.Time <= maxDelay {
			r.ResultTime = qn
		}
	}
	return nil
}

// field reads DataTime, or AlarmTime of HJ/T 212-2005; other fields of CP are no values.
func (d *Decoder) field(it *item, dataTime *int64) error {
	if string(it.name) != "DataTime" && string(it.name) != "AlarmTime" || len(it.value) == 0 {
		return nil
	}
	ms, ok := parseTime(it.value, d.zone)
	if !ok {
		return fault(it.at, string(it.name), fmt.Errorf("%.40q: %w", it.value, decode.ErrTime))
	}
	*dataTime = ms
	return nil
}

// value reads one code-param=value. It returns false when there are too many.
func (d *Decoder) value(it *item, time int64) bool {
	if !it.whole {
		return d.add(unusable(it, fmt.Errorf("%.40q is no code-param=value: %w", it.name, decode.ErrMalformed)))
	}
	use, statistic := lookParam(it.name[it.dash+1:])
	switch use {
	case asFlag, asSample:
		d.marks = append(d.marks, mark{*it, use})
		return true
	case asNothing:
		return true
	}
	if len(it.value) == 0 {
		return true // missing
	}
	if len(it.name) > MaxKey {
		return d.add(unusable(it, fmt.Errorf("name of %d bytes, at most %d: %w", len(it.name), MaxKey, decode.ErrBound)))
	}
	key := d.names.String(it.name)
	r := decode.Reading{Key: key, Property: key, Statistic: statistic, Time: time}
	if use == asNumber {
		r.Property = key[:it.dash]
	}
	v, err := number(it.value)
	if err != nil && use == asNumber && condition(it.name[:it.dash]) {
		use = asWords
	}
	switch {
	case err == nil:
		r.Number = v
	case use == asWords && len(it.value) <= MaxText:
		r.Text = d.words.String(it.value)
	case use == asWords:
		err = fmt.Errorf("text of %d bytes, at most %d: %w", len(it.value), MaxText, decode.ErrBound)
		fallthrough
	default:
		r.Err = fault(it.at, key, err)
	}
	return d.add(r)
}

// unusable stands for an item whose name cannot even be read.
func unusable(it *item, err error) decode.Reading {
	key := string(it.name[:min(len(it.name), MaxKey)])
	if !utf8.ValidString(key) { // cut inside a character
		key = strings.ToValidUTF8(key, "")
	}
	return decode.Reading{Key: key, Property: key, Err: fault(it.at, key, err)}
}

// close ends a group: its marks go to its values.
func (d *Decoder) close() {
	for i := range d.marks {
		d.apply(&d.marks[i])
	}
	d.marks = d.marks[:0]
	d.group = len(d.out)
}

// apply gives a mark to the values of its code in the group. Stations that put ';' everywhere leave a group without
// values: then the values of that code just before it are meant.
func (d *Decoder) apply(m *mark) {
	code := m.name[:m.dash]
	found := false
	for i := d.group; i < len(d.out); i++ {
		if isOf(&d.out[i], code) {
			d.put(m, &d.out[i])
			found = true
		}
	}
	for i := d.group - 1; !found && i >= d.begin && isOf(&d.out[i], code); i-- {
		d.put(m, &d.out[i])
	}
}

// isOf reports whether the reading is a value of the code.
func isOf(r *decode.Reading, code []byte) bool {
	key := r.Key
	return len(key) > len(code)+1 && key[len(code)] == '-' && key[:len(code)] == string(code) &&
		strings.IndexByte(key[len(code)+1:], '-') < 0
}

func (d *Decoder) put(m *mark, r *decode.Reading) {
	if m.use == asFlag {
		r.Quality |= quality(m.value)
		return
	}
	ms, ok := parseTime(m.value, d.zone)
	if !ok {
		*r = decode.Reading{Key: r.Key, Property: r.Property, Err: fault(m.at, string(m.name), fmt.Errorf("%.40q: %w", m.value, decode.ErrTime))}
		return
	}
	r.Time = ms
}

// shift moves the offset of an error inside the data to where it is in the payload.
func shift(err error, by int) error {
	var e *decode.Error
	if errors.As(err, &e) && e.Offset >= 0 {
		e.Offset += by
	}
	return err
}
