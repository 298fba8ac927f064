package lorawan

import (
	"fmt"
	"math"
	mathbits "math/bits"
	"strings"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/pkg/geo"
	"github.com/situ-city/situ/pkg/sensor"
)

// field is a decode.Field that was checked.
type field struct {
	decode.Field
	size   int
	form   byte // 'u', 'i' or 'f'
	little bool
	shift  int
}

// layout checks fields.
func layout(list []decode.Field) (out []field, err error) {
	if len(list) > MaxFields {
		return nil, fmt.Errorf("%d fields, at most %d", len(list), MaxFields)
	}
	lon, lat := false, false
	for i, given := range list {
		f := field{Field: given}
		if err := f.check(); err != nil {
			return nil, fmt.Errorf("fields[%d]: %w", i, err)
		}
		lon, lat = lon || f.Property == "lon", lat || f.Property == "lat"
		out = append(out, f)
	}
	if lon != lat {
		return nil, fmt.Errorf("fields: lon and lat make a position together; one of them is missing")
	}
	return out, nil
}

func (f *field) check() error {
	number, order := f.Type, ""
	if n := len(number); n > 2 {
		number, order = number[:n-2], number[n-2:]
	}
	if len(f.Type) == 2 { // one byte has no order
		number, order = f.Type, "be"
	} else if order != "be" && order != "le" {
		number = ""
	}
	sizes := map[string]int{"u8": 1, "i8": 1, "u16": 2, "i16": 2, "u24": 3, "i24": 3, "u32": 4, "i32": 4, "u64": 8, "i64": 8, "f32": 4, "f64": 8}
	f.size = sizes[number]
	if f.size == 0 || f.size == 1 && len(f.Type) > 2 {
		return fmt.Errorf("type %q; want u8, i8, or u16 i16 u24 i24 u32 i32 u64 i64 f32 f64 with be or le behind it, such as u16be", f.Type)
	}
	f.form, f.little = number[0], order == "le"
	switch {
	case f.Property == "" || len(f.Property) > 64:
		return fmt.Errorf("property is empty or longer than 64 bytes; say what the number is")
	case f.Offset < -MaxFrame || f.Offset >= MaxFrame:
		return fmt.Errorf("offset %d; a frame has at most %d bytes", f.Offset, MaxFrame)
	case f.Mask != 0 && f.form == 'f':
		return fmt.Errorf("mask of a fraction; bits are of whole numbers")
	case f.Scale-f.Scale != 0 || f.Add-f.Add != 0:
		return fmt.Errorf("scale and add must be finite")
	}
	if f.Unit != "" {
		if _, err := sensor.ParseUnit(f.Unit); err != nil {
			return err
		}
	}
	if f.Scale == 0 {
		f.Scale = 1
	}
	if f.Mask != 0 {
		f.shift = mathbits.TrailingZeros64(f.Mask)
	}
	return nil
}

// layout reads the fields of a frame: the position first, since it holds for all values.
func (f *frame) layout(fields []field) error {
	var p geo.LonLat
	has := 0
	for i := range fields {
		d := &fields[i]
		if d.Property != "lon" && d.Property != "lat" {
			continue
		}
		x, ok, err := f.value(d)
		switch {
		case err != nil:
			return err
		case !ok:
		case d.Property == "lon":
			p.Lon = x
			has |= 1
		default:
			p.Lat = x
			has |= 2
		}
	}
	if has == 3 {
		if err := f.at(p); err != nil {
			return err
		}
	}
	for i := range fields {
		d := &fields[i]
		if d.Property == "lon" || d.Property == "lat" {
			continue
		}
		x, ok, err := f.value(d)
		if err != nil {
			return err
		}
		if ok {
			f.w.Number(d.Property, x, d.Unit)
		}
	}
	return nil
}

// value reads a field; ok is false where there is none.
func (f *frame) value(d *field) (x float64, ok bool, err error) {
	at := d.Offset
	if at < 0 {
		at += len(f.raw)
	}
	if at < 0 || at+d.size > len(f.raw) {
		if d.Optional {
			return 0, false, nil
		}
		return 0, false, fmt.Errorf("%s wants %d bytes at offset %d, the frame has %d: %w", d.Property, d.size, d.Offset, len(f.raw), decode.ErrTruncated)
	}
	raw := bits(f.raw[at:at+d.size], d.little)
	if d.Mask != 0 {
		raw = raw & d.Mask >> d.shift
	}
	if d.None != nil && raw == *d.None {
		return 0, false, nil
	}
	switch {
	case d.form == 'f' && d.size == 4:
		x = float64(math.Float32frombits(uint32(raw)))
	case d.form == 'f':
		x = math.Float64frombits(raw)
	case d.form == 'i' && d.Mask == 0:
		x = float64(signed(raw, d.size))
	case d.form == 'i':
		x = float64(int64(raw<<(64-d.width())) >> (64 - d.width()))
	default:
		x = float64(raw)
	}
	if x = scaled(x, d.Scale) + d.Add; x-x != 0 {
		return 0, false, fmt.Errorf("%s at offset %d is no finite number: %w", d.Property, d.Offset, decode.ErrNumber)
	}
	return x, true, nil
}

// width of a masked number: its highest bit is the sign.
func (d *field) width() int { return mathbits.Len64(d.Mask >> d.shift) }

// scaled multiplies; by a tenth, a hundredth and so on it divides instead, so that 21.3 stays 21.3.
func scaled(x, by float64) float64 {
	if inverse := math.Round(1 / by); by < 1 && by > 0 && 1/inverse == by {
		return x / inverse
	}
	return x * by
}

// bits reads up to 8 bytes as one number.
func bits(b []byte, little bool) (x uint64) {
	for i := range b {
		if little {
			x |= uint64(b[i]) << (8 * i)
		} else {
			x = x<<8 | uint64(b[i])
		}
	}
	return x
}

// signed reads the lowest size bytes of x as two's complement.
func signed(x uint64, size int) int64 { return int64(x<<(64-8*size)) >> (64 - 8*size) }

// describe is how people see what a profile is about.
func describe(p *decode.Profile) string {
	var about []string
	if p.Profile != "" {
		about = append(about, "profile "+p.Profile)
	}
	if p.Application != "" {
		about = append(about, "application "+p.Application)
	}
	if p.Port != 0 {
		about = append(about, fmt.Sprintf("f_port %d", p.Port))
	}
	if len(about) == 0 {
		return "any uplink"
	}
	return strings.Join(about, ", ")
}
