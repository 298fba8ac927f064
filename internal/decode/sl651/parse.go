package sl651

import (
	"bytes"
	"fmt"
	"time"

	"github.com/situ-city/situ/internal/decode"
)

// Frame is all that stands in one frame, as sent.
type Frame struct {
	Text     bool // coded in characters
	Down     bool // from the center to the station
	Center   byte
	Station  string // ten hexadecimal digits, upper case
	Password uint16 // never logged, never stored
	Function byte
	Begin    byte   // STX, or SYN for a packet
	End      byte   // ETX, ETB; from the center EOT, ESC, ACK, NAK, ENQ
	Total    int    // packets of the set, 0 = not in packets
	Number   int    // of this packet, from 1
	Serial   uint16 // number of the message; 0 in a station's later packets of a set, whose body goes on
	Sent     string // YYMMDDhhmmss, "" in a station's later packets of a set
	Body     []byte // groups behind them

	Declared int // bytes between STX or SYN and the end, by the length field
	Actual   int
	Checksum Checksum
}

// Checksum compares the CRC of a frame with the standard's.
type Checksum struct {
	Declared uint16
	Right    uint16
	OK       bool
	Variant  string // which known wrong way of counting gives the declared one, "" = none
}

// Last reports whether the station waits for the answer to it: no other frame follows.
func (f *Frame) Last() bool { return f.End == etx && f.Number == f.Total }

// SentAt is the time of sending in Unix milliseconds.
func (f *Frame) SentAt(zone *time.Location) (int64, error) {
	d := Decoder{zone: zone}
	if len(f.Sent) == 12 {
		if ms, ok := d.clock([]byte(f.Sent)); ok {
			return ms, nil
		}
	}
	return 0, fmt.Errorf("%.20q is not YYMMDDhhmmss: %w", f.Sent, decode.ErrTime)
}

// Parse reads the first frame in payload and shows what stands in it. CRC and length are compared, not judged. The
// Frame does not alias payload.
func Parse(payload []byte) (Frame, error) {
	start, end, closed, ok := format.Next(payload, 0)
	if !ok {
		return Frame{}, fault(0, "", fmt.Errorf("no frame begins here (7E7EH or SOH): %w", decode.ErrMalformed))
	}
	e, err := open(payload, start, end, closed)
	if err != nil {
		return Frame{}, err
	}
	f := Frame{
		Text: e.text, Down: e.down, Center: e.center, Password: e.password, Function: e.function,
		Begin: e.begin, End: e.end, Total: e.total, Number: e.number, Declared: e.declared, Actual: e.actual,
	}
	f.Station = string(spelled(nil, e.station[:]))
	f.Checksum = Checksum{Declared: e.sum, Right: e.right, OK: e.sum == e.right}
	if !f.Checksum.OK {
		f.Checksum.Variant = variant(e.summed, e.right, e.sum)
	}
	body := e.body
	if e.number <= 1 || e.down {
		if body, err = f.readLead(body); err != nil {
			return Frame{}, fault(e.at, "", err)
		}
	}
	f.Body = append([]byte(nil), body...)
	return f, nil
}

// readLead takes serial number and time of sending from before the groups.
func (f *Frame) readLead(b []byte) (rest []byte, err error) {
	if f.Text {
		if len(b) < 16 || !isHex(b[:16]) {
			return nil, fmt.Errorf("want a serial number and a time: %w", decode.ErrMalformed)
		}
		n := hexed(nil, b[:4])
		f.Serial, f.Sent = uint16(n[0])<<8|uint16(n[1]), string(bytes.ToUpper(b[4:16]))
		return b[16:], nil
	}
	if len(b) < 8 {
		return nil, fmt.Errorf("a body of %d bytes: %w", len(b), decode.ErrTruncated)
	}
	f.Serial, f.Sent = uint16(b[0])<<8|uint16(b[1]), string(spelled(nil, b[2:8]))
	return b[8:], nil
}
