package gb26875

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/internal/decode/frames"
	"github.com/situ-city/situ/pkg/sensor"
)

// maxDelay is how much later than Time the packet may be to be taken for the time when the result was produced.
const maxDelay = 31 * 24 * 3600 * 1000

// Protocol is this package's entry in the list of protocols.
func Protocol() decode.Protocol {
	return decode.Protocol{Name: protocol, New: func(s decode.Settings) (decode.Decoder, error) { return New(s) }}
}

// Decoder turns payloads of one or more packets into Readings. It keeps the names it has seen; use one a connection,
// from one goroutine.
type Decoder struct {
	zone     *time.Location
	encoding decode.Text
	off      bool // sums do not count
	strict   bool
	names    decode.Interner
	words    decode.Interner
	empty    sensor.Reason

	out   []decode.Reading // dst while Decode runs
	first int              // len(dst) when Decode began
	hex   []byte           // the payload, if it came as hexadecimal digits
	key   []byte

	at      int // of the current packet: offset of its data unit
	serial  string
	sent    int64
	quality sensor.Quality
}

// New makes a Decoder for a source with these settings.
func New(s decode.Settings) (*Decoder, error) {
	crc, err := s.Checksum()
	if err != nil {
		return nil, err
	}
	d := &Decoder{off: crc == "off", strict: s.Strict}
	if s.Encoding == "" {
		s.Encoding = "gb18030"
	}
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
	if digits := bytes.TrimSpace(payload); !d.strict && bytes.HasPrefix(digits, []byte("4040")) {
		var err error
		if d.hex, err = hex.AppendDecode(d.hex[:0], digits); err == nil {
			payload = d.hex
		}
	}
	err := d.packets(payload)
	out := d.out
	d.out = nil
	if err != nil {
		return dst, err
	}
	return out, nil
}

// packets reads all packets of a payload.
func (d *Decoder) packets(payload []byte) error {
	var t frames.Tally
	for from := 0; len(d.out)-d.first <= decode.MaxReadings; {
		start, end, closed, ok := packets.Next(payload, from)
		if !ok {
			break
		}
		from = end
		if err := t.Count(d.packet(payload, start, end, closed)); err != nil {
			d.add(decode.Reading{Err: err})
		}
	}
	return t.Judge(protocol, payload, len(d.out)-d.first, "packet begins here (4040H)")
}

// add appends r. It keeps one more than allowed, so that packets sees that there are too many.
func (d *Decoder) add(r decode.Reading) {
	if len(d.out)-d.first <= decode.MaxReadings {
		d.out = append(d.out, r)
	}
}

// packet reads one packet.
func (d *Decoder) packet(payload []byte, start, end int, closed bool) error {
	p, err := open(payload, start, end, closed)
	if err != nil {
		return err
	}
	if d.quality, err = d.judge(&p); err != nil {
		return err
	}
	switch p.Command {
	case Send, Answer:
	case Control, Confirm, Request, Deny:
		d.emptyFor(sensor.ReasonCommand)
		return nil
	default:
		return fault(p.at-1, "command", fmt.Errorf("%d: %w", p.Command, decode.ErrUnsupported))
	}
	if len(p.Data) == 0 {
		d.emptyFor(sensor.ReasonHeartbeat)
		return nil
	}
	d.at, d.sent = p.at, 0
	d.sent, _ = d.moment(p.Time[:])
	var digits [12]byte
	for i := range digits {
		digits[i] = "0123456789ABCDEF"[p.Source>>(44-4*i)&15]
	}
	d.serial = d.names.String(digits[:])
	return d.unit(p.Data)
}

// judge compares length and sum with what they should be.
func (d *Decoder) judge(p *Packet) (q sensor.Quality, err error) {
	if p.Declared != len(p.Data) {
		if d.strict {
			return 0, fault(p.at-3, "length", fmt.Errorf("%d bytes, the field says %d: %w", len(p.Data), p.Declared, decode.ErrMalformed))
		}
		q |= sensor.LengthWrong
	}
	if p.Sum == p.Right {
		return q, nil
	}
	if d.off {
		return q | sensor.ChecksumWrong, nil
	}
	return 0, fault(p.at+len(p.Data), "sum", fmt.Errorf("%02X, should be %02X: %w", p.Sum, p.Right, decode.ErrChecksum))
}

// emptyFor remembers why the payload may have no readings.
func (d *Decoder) emptyFor(why sensor.Reason) {
	if d.empty == "" {
		d.empty = why
	}
}

// moment reads a time label; ok is false for what no calendar or clock shows.
func (d *Decoder) moment(b []byte) (ms int64, ok bool) {
	return decode.Clock{
		Second: int(b[0]), Minute: int(b[1]), Hour: int(b[2]), Day: int(b[3]), Month: int(b[4]), Year: 2000 + int(b[5]),
	}.UnixMilli(d.zone)
}
