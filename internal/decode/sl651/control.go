package sl651

import (
	"fmt"
	"strconv"

	"github.com/situ-city/situ/internal/decode"
)

// maxSwitches bounds what one frame may tell of: a payload must not become more readings than it has bytes.
const maxSwitches = 32

// switched names what functions 4CH to 4EH switch.
var switched = [...]string{"pump-", "valve-", "gate-"}

// afterStation reads what stands behind the station in the bodies that have no elements: the states of switches (4CH to
// 4EH), counts of events (50H). A time of observation may stand before it.
func (d *Decoder) afterStation(b []byte, i int) error {
	if len(b) >= 7 && b[0] == signTime && b[1] == signTime {
		n, err := d.group(b, i)
		if err != nil {
			return err
		}
		b, i = b[n:], i+n
	}
	if d.task == events {
		d.events(b, i)
	} else {
		d.switches(b, i)
	}
	return nil
}

// switches reads how many there are, a bit for each from the lowest, 1 for running or open, and of gates an opening in
// centimetres, four decimal digits each. Some stations count the bytes instead of the switches.
func (d *Decoder) switches(b []byte, i int) {
	name := switched[d.function-0x4C]
	if len(b) == 0 { // a station that only confirms the command
		return
	}
	n, rest := int(b[0]), b[1:]
	gates := d.function == 0x4E
	bytes := (n + 7) / 8
	switch want := bytes; {
	case gates && len(rest) == want+2*n:
	case !gates && len(rest) == want:
	case !gates && len(rest) == n:
		bytes, n = n, 8*n
	default:
		d.bad(i, name, fmt.Errorf("%d bytes for %d of them: %w", len(rest), n, decode.ErrMalformed))
		return
	}
	if n > maxSwitches {
		d.bad(i, name, fmt.Errorf("%d of them, at most %d: %w", n, maxSwitches, decode.ErrBound))
		return
	}
	for k := range n {
		bit := rest[bytes-1-k/8] >> (k % 8) & 1
		key := d.numbered(name, k+1)
		d.put(decode.Reading{Key: key, Property: key, Number: float64(bit)})
	}
	if !gates {
		return
	}
	gh := byName([]byte("GH"))
	for k := range n {
		at := bytes + 2*k
		v, missing, err := d.bcd(rest[at:at+2], 2) // cm are hundredths of the table's metre
		key := d.numbered("GH-", k+1)
		switch {
		case err != nil:
			d.bad(i+1+at, key, err)
		case !missing:
			d.put(decode.Reading{Key: key, Property: key, Number: v, Unit: gh.unit})
		}
	}
}

// events reads 32 counts of two binary bytes, ERC1 to ERC32 (table 84). Those that the standard reserves are left out.
func (d *Decoder) events(b []byte, i int) {
	if len(b) == 0 || len(b)%2 != 0 || len(b) > 64 {
		d.bad(i, "ERC", fmt.Errorf("%d bytes of counts, want 64: %w", len(b), decode.ErrMalformed))
		return
	}
	for k := 0; k < len(b)/2 && k < eventKinds; k++ {
		key := d.numbered("ERC", k+1)
		d.put(decode.Reading{Key: key, Property: key, Number: float64(int(b[2*k])<<8 | int(b[2*k+1]))})
	}
}

// eventKinds are data initialised, settings changed, state changed, sensor fault, password changed, station fault, mains off,
// battery low, box opened, pump fault, remaining water, water level, pressure and quality beyond limits, data wrong, reports
// sent, received, not sent.
const eventKinds = 18

func (d *Decoder) numbered(name string, k int) string {
	d.key = strconv.AppendInt(append(d.key[:0], name...), int64(k), 10)
	return d.names.String(d.key)
}
