package lorawan

import (
	"fmt"
	"strconv"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/pkg/geo"
)

// kind is one type of Cayenne LPP: its name, its numbers of size bytes each, big-endian, times scale.
type kind struct {
	name   string
	size   int
	signed bool
	scale  float64 // divides, so that tenths stay exact
	unit   string
	axes   []string // nil: one number
}

var xyz = []string{".x", ".y", ".z"}

// kinds by number: those of Cayenne LPP 2.0 (IPSO object - 3200), and those that its libraries share beyond it.
var kinds = map[byte]kind{
	0: {"digital_in", 1, false, 1, "", nil}, 1: {"digital_out", 1, false, 1, "", nil},
	2: {"analog_in", 2, true, 100, "", nil}, 3: {"analog_out", 2, true, 100, "", nil},
	100: {"generic_sensor", 4, false, 1, "", nil},
	101: {"luminosity", 2, false, 1, "lx", nil}, 102: {"presence", 1, false, 1, "", nil},
	103: {"temperature", 2, true, 10, "Cel", nil}, 104: {"relative_humidity", 1, false, 2, "%", nil},
	113: {"accelerometer", 2, true, 1000, "[g]", xyz}, 115: {"barometric_pressure", 2, false, 10, "hPa", nil},
	116: {"voltage", 2, false, 100, "V", nil}, 117: {"current", 2, false, 1000, "A", nil}, 118: {"frequency", 4, false, 1, "Hz", nil},
	120: {"percentage", 1, false, 1, "%", nil}, 121: {"altitude", 2, true, 1, "m", nil}, 125: {"concentration", 2, false, 1, "[ppm]", nil},
	128: {"power", 2, false, 1, "W", nil}, 130: {"distance", 4, false, 1000, "m", nil}, 131: {"energy", 4, false, 1000, "kW.h", nil},
	132: {"direction", 2, false, 1, "deg", nil}, 133: {"unixtime", 4, false, 1, "s", nil}, 134: {"gyrometer", 2, true, 100, "deg/s", xyz},
	135: {"colour", 1, false, 1, "", []string{".r", ".g", ".b"}}, 142: {"switch", 1, false, 1, "", nil},
}

const gps = 136 // latitude, longitude in 0.0001 degrees, altitude in cm, three bytes each

// cayenne reads channel, type, value, again and again.
func (f *frame) cayenne() error {
	if err := f.lpp(f.position); err != nil { // first, since it holds for all values
		return err
	}
	return f.lpp(f.measure)
}

// lpp walks the types of a frame.
func (f *frame) lpp(do func(channel, id byte, k kind, b []byte) error) error {
	for at := 0; at < len(f.raw); {
		if len(f.raw)-at < 2 {
			return fmt.Errorf("byte %d of the frame: a channel without a type: %w", at, decode.ErrTruncated)
		}
		channel, id := f.raw[at], f.raw[at+1]
		k, ok := kinds[id]
		n := k.size * max(len(k.axes), 1)
		if id == gps {
			n, ok = 9, true
		}
		switch {
		case !ok:
			return fmt.Errorf("byte %d of the frame: Cayenne LPP has no type %d; is this frame Cayenne? %w", at+1, id, decode.ErrUnsupported)
		case len(f.raw)-at-2 < n:
			return fmt.Errorf("byte %d of the frame: type %d has %d bytes, %d are left: %w", at+1, id, n, len(f.raw)-at-2, decode.ErrTruncated)
		}
		if err := do(channel, id, k, f.raw[at+2:at+2+n]); err != nil {
			return err
		}
		at += 2 + n
	}
	return nil
}

func (f *frame) position(_, id byte, _ kind, b []byte) error {
	if id != gps {
		return nil
	}
	return f.at(geo.LonLat{Lon: float64(signed(bits(b[3:6], false), 3)) / 1e4, Lat: float64(signed(bits(b[:3], false), 3)) / 1e4})
}

func (f *frame) measure(channel, id byte, k kind, b []byte) error {
	if id == gps {
		f.number("altitude", channel, "", float64(signed(bits(b[6:9], false), 3))/100, "m")
		return nil
	}
	for i := range max(len(k.axes), 1) {
		axis := ""
		if k.axes != nil {
			axis = k.axes[i]
		}
		raw := bits(b[i*k.size:(i+1)*k.size], false)
		x := float64(raw)
		if k.signed {
			x = float64(signed(raw, k.size))
		}
		f.number(k.name, channel, axis, x/k.scale, k.unit)
	}
	return nil
}

// number adds a value under the name of its type and channel.
func (f *frame) number(name string, channel byte, axis string, x float64, unit string) {
	f.key = strconv.AppendInt(append(append(f.key[:0], name...), '_'), int64(channel), 10)
	f.w.Number(f.w.KeepBytes(append(f.key, axis...)), x, unit)
}
