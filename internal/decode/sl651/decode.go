package sl651

import (
	"bytes"
	"fmt"
	"time"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/internal/decode/frames"
	"github.com/situ-city/situ/pkg/sensor"
)

// MaxText bounds the bytes of words that a reading may hold.
const MaxText = 1024

// maxDelay is how much later than Time the sending may be to be taken for the time when the result was produced.
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
	names    decode.Interner
	words    decode.Interner
	empty    sensor.Reason

	out   []decode.Reading // dst while Decode runs
	first int              // len(dst) when Decode began
	hex   []byte           // the payload, if it came as hexadecimal digits
	set   packets

	body // of the current frame
	gate []byte
	key  []byte
}

// body is what the groups of a frame's body say about the values behind them.
type body struct {
	task     task
	function byte
	text     bool
	stateful bool // the bits of ZT are still to be told
	at       int  // offset of the groups in the payload, -1 = they are put together from several places
	sent     int64
	time     int64
	step     int64 // ms between the values of an even-interval report
	serial   string
	quality  sensor.Quality
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
	if digits := bytes.TrimSpace(payload); !d.strict && spelledOut(digits) {
		d.hex = hexed(d.hex[:0], digits)
		payload = d.hex
	}
	err := d.frames(payload)
	out := d.out
	d.out = nil
	d.set.forget()
	if err != nil {
		return dst, err
	}
	return out, nil
}

// spelledOut: the payload is a binary frame as hexadecimal digits.
func spelledOut(b []byte) bool {
	return len(b) >= 4 && len(b)%2 == 0 && b[0] == '7' && b[1]|0x20 == 'e' && b[2] == '7' && b[3]|0x20 == 'e' && isHex(b)
}

// frames reads all frames of a payload.
func (d *Decoder) frames(payload []byte) error {
	var t frames.Tally
	for from := 0; len(d.out)-d.first <= decode.MaxReadings; {
		start, end, closed, ok := format.Next(payload, from)
		if !ok {
			break
		}
		from = end
		d.settle(&t, d.frame(&t, payload, start, end, closed))
	}
	d.incomplete(&t)
	return t.Judge(protocol, payload, len(d.out)-d.first, "frame begins here (7E7EH or SOH)")
}

// settle counts a frame; a broken one leaves as one Reading.
func (d *Decoder) settle(t *frames.Tally, err error) {
	if t.Count(err) != nil {
		d.add(decode.Reading{Err: err})
	}
}

// add appends r. It keeps one more than allowed, so that frames sees that there are too many.
func (d *Decoder) add(r decode.Reading) {
	if len(d.out)-d.first <= decode.MaxReadings {
		d.out = append(d.out, r)
	}
}

// frame reads one frame, or keeps it until the set of packets it is one of is whole.
func (d *Decoder) frame(t *frames.Tally, payload []byte, start, end int, closed bool) error {
	e, err := open(payload, start, end, closed)
	if err != nil {
		return err
	}
	quality, err := d.judge(&e)
	if err != nil {
		return err
	}
	if e.total == 0 || e.down {
		return d.read(&e, e.body, e.at, quality)
	}
	if !d.set.of(&e) {
		d.incomplete(t)
	}
	if !d.set.add(&e, quality) {
		return nil
	}
	defer d.set.forget()
	return d.read(&d.set.head, d.set.joined(), -1, d.set.quality)
}

// incomplete gives up the packets that wait for others.
func (d *Decoder) incomplete(t *frames.Tally) {
	s := &d.set
	if s.count == 0 {
		return
	}
	head, count, kept := s.head, s.count, s.kept
	s.forget()
	if functions[head.function] == picture {
		d.emptyFor(picture)
		return
	}
	t.Good -= kept
	d.settle(t, fault(head.at, "packet", fmt.Errorf("%d packets of %d: %w", count, head.total, decode.ErrTruncated)))
}

// judge compares length and CRC with what they should be.
func (d *Decoder) judge(e *envelope) (q sensor.Quality, err error) {
	declared := e.declared
	if e.total > 0 {
		declared -= e.actual - len(e.body)
	}
	if declared != len(e.body) {
		if d.strict {
			return 0, fault(e.at, "length", fmt.Errorf("%d bytes, the field says %d: %w", len(e.body), declared, decode.ErrMalformed))
		}
		q |= sensor.LengthWrong
	}
	if e.sum == e.right {
		return q, nil
	}
	if d.crc == "off" || d.crc == "variants" && variant(e.summed, e.right, e.sum) != "" {
		return q | sensor.ChecksumWrong, nil
	}
	return 0, fault(e.at+len(e.body)+1, "CRC", fmt.Errorf("%04X, should be %04X: %w", e.sum, e.right, decode.ErrChecksum))
}

// emptyFor remembers why the payload may have no readings.
func (d *Decoder) emptyFor(k task) {
	if d.empty != "" {
		return
	}
	switch k {
	case heartbeat:
		d.empty = sensor.ReasonHeartbeat
	case command:
		d.empty = sensor.ReasonCommand
	default:
		d.empty = sensor.ReasonNoValues
	}
}

// read reads the body of a frame or of a set of packets.
func (d *Decoder) read(e *envelope, b []byte, at int, quality sensor.Quality) error {
	k := functions[e.function]
	if e.down {
		k = command
	}
	if k == unsupported {
		return fault(at, "function", fmt.Errorf("%02XH: %w", e.function, decode.ErrUnsupported))
	}
	d.emptyFor(k)
	if k == heartbeat || k == picture || k == command {
		return nil
	}
	switch {
	case e.function == 0x30:
		quality |= sensor.SourceCalib
	case k == manual:
		quality |= sensor.Estimated
	}
	var digits [10]byte
	for i, c := range e.station {
		digits[2*i], digits[2*i+1] = upper[c>>4], upper[c&15]
	}
	d.body = body{task: k, function: e.function, text: e.text, stateful: true, at: at, serial: d.names.String(digits[:]), quality: quality}
	d.gate = d.gate[:0]
	before := len(d.out)
	var err error
	if e.text {
		err = d.textBody(b)
	} else {
		err = d.binaryBody(b)
	}
	if err != nil {
		clear(d.out[before:])
		d.out = d.out[:before]
	}
	return err
}

const upper = "0123456789ABCDEF"

// where gives the place in the payload of offset i of the body.
func (d *Decoder) where(i int) int {
	if d.at < 0 {
		return -1
	}
	return d.at + i
}

// put adds a value of the element with everything the groups before it said.
func (d *Decoder) put(r decode.Reading) {
	r.Serial, r.Quality = d.serial, d.quality
	if r.Time == 0 {
		r.Time = d.time
	}
	if r.Time == 0 {
		r.Time = d.sent
	}
	if late := d.sent - r.Time; r.Time != 0 && late >= 0 && late <= maxDelay {
		r.ResultTime = d.sent
	}
	d.add(r)
}

// bad adds a value that cannot be used.
func (d *Decoder) bad(i int, key string, err error) {
	d.put(decode.Reading{Key: key, Property: key, Err: fault(d.where(i), key, err)})
}

// clock reads YYMMDDhhmm, with or without ss behind it, from digits.
func (d *Decoder) clock(b []byte) (ms int64, ok bool) {
	c := decode.Clock{
		Year: decode.Digits(b[:2]), Month: decode.Digits(b[2:4]), Day: decode.Digits(b[4:6]),
		Hour: decode.Digits(b[6:8]), Minute: decode.Digits(b[8:10]),
	}
	if len(b) == 12 {
		c.Second = decode.Digits(b[10:])
	}
	if min(c.Year, c.Hour, c.Minute, c.Second) < 0 {
		return 0, false
	}
	c.Year += 2000
	return c.UnixMilli(d.zone)
}
