package sl651

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/situ-city/situ/internal/decode"
)

// Append appends f as a frame: head, body, end and CRC. Begin 0 is STX, or SYN if Total is set; End 0 is ETX. Length
// and CRC are made here, those in f are not looked at. Refused are a station or time that is not all digits, a body
// beyond the length field, and a packet number that is none.
func Append(dst []byte, f Frame) ([]byte, error) {
	station, err := digits(f.Station, 10)
	if err != nil {
		return dst, fmt.Errorf("station: %w", err)
	}
	body, err := f.appendLead(nil)
	if err != nil {
		return dst, err
	}
	body = append(body, f.Body...)
	size, most := len(body), 0xfff
	if f.Total > 0 {
		most = 0x7fff // beyond it, the highest bit would be read as the direction
	}
	if size > most {
		return dst, fmt.Errorf("a body of %d bytes, at most %d: %w", size, most, decode.ErrBound)
	}
	if f.Down {
		size |= 0x8000
	}
	var head []byte
	if f.Down {
		head = append(append(head, station...), f.Center)
	} else {
		head = append(append(head, f.Center), station...)
	}
	head = binary.BigEndian.AppendUint16(head, f.Password)
	head = append(head, f.Function)
	head = binary.BigEndian.AppendUint16(head, uint16(size))
	begin := len(dst)
	if f.Text {
		dst = spelled(append(dst, soh), head)
	} else {
		dst = append(append(dst, 0x7E, 0x7E), head...)
	}
	dst = append(dst, or(f.Begin, stx))
	if f.Total > 0 {
		dst[len(dst)-1] = or(f.Begin, syn)
	}
	dst = append(append(dst, body...), or(f.End, etx))
	sum := binary.BigEndian.AppendUint16(nil, checksum(dst[begin:]))
	if f.Text {
		return spelled(dst, sum), nil
	}
	return append(dst, sum...), nil
}

func or(c, usual byte) byte {
	if c == 0 {
		return usual
	}
	return c
}

// appendLead appends what stands before the groups: packet, serial number, time.
func (f *Frame) appendLead(b []byte) ([]byte, error) {
	if f.Total > 0 {
		if f.Total > 0xfff || f.Number < 1 || f.Number > f.Total {
			return b, fmt.Errorf("packet %d of %d: %w", f.Number, f.Total, decode.ErrBound)
		}
		b = append(b, byte(f.Total>>4), byte(f.Total<<4|f.Number>>8), byte(f.Number))
	}
	if f.Number <= 1 || f.Down {
		sent, err := digits(f.Sent, 12)
		if err != nil {
			return b, fmt.Errorf("time of sending: %w", err)
		}
		b = append(binary.BigEndian.AppendUint16(b, f.Serial), sent...)
	}
	if f.Text {
		b = spelled(nil, b)
	}
	return b, nil
}

// digits packs n hexadecimal digits, two a byte.
func digits(s string, n int) ([]byte, error) {
	if len(s) != n || !isHex([]byte(s)) {
		return nil, fmt.Errorf("%.20q, want %d digits: %w", s, n, decode.ErrMalformed)
	}
	return hexed(nil, []byte(s)), nil
}

// AppendStation appends the group of a station (ten digits) and its class: 'P' rain, 'H' river, 'K' reservoir, 'Z' gate,
// 'D' pumps, 'T' tide, 'M' soil, 'G' groundwater, 'Q' quality, 'I' intake, 'O' outlet. Class 0 is left out, as some
// functions want it.
func AppendStation(dst []byte, station string, class byte) ([]byte, error) {
	b, err := digits(station, 10)
	if err != nil {
		return dst, fmt.Errorf("station: %w", err)
	}
	dst = append(append(dst, signStation, signStation), b...)
	if class != 0 {
		dst = append(dst, class)
	}
	return dst, nil
}

// AppendTime appends the group of a time of observation, to the minute, in t's zone.
func AppendTime(dst []byte, t time.Time) []byte {
	return hexed(append(dst, signTime, signTime), t.AppendFormat(nil, "0601021504"))
}

// AppendNumber appends element id with a number in the unit of the readings, rounded to the decimals of table C.1.
// NaN is written as missing. Refused are elements whose value is no decimal number, and numbers of more than 18 digits.
func AppendNumber(dst []byte, id byte, v float64) ([]byte, error) {
	e := &elements[id]
	if e.use != asNumber && e.use != asSpecial && e.use != asGate && e.use != asNothing {
		return dst, fmt.Errorf("element %02XH is no plain number: %w", id, decode.ErrUnsupported)
	}
	def := e.d
	if math.IsNaN(v) {
		return append(dst, id, 3<<3|byte(def), 0xff, 0xff, 0xff), nil
	}
	n := math.Round(math.Abs(v) * math.Pow10(int(def)-int(e.ten)))
	if n >= 1e18 {
		return dst, fmt.Errorf("%v of element %02XH: %w", v, id, decode.ErrNumber)
	}
	text := strconv.AppendUint(nil, uint64(n), 10)
	if len(text)%2 == 1 {
		text = append([]byte{'0'}, text...)
	}
	data := hexed(nil, text)
	if v < 0 {
		data = append([]byte{0xff}, data...)
	}
	return append(append(dst, id, byte(len(data)<<3)|byte(def)), data...), nil
}
