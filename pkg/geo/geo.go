// Package geo holds the values situ places things with: LonLat, CRS, Cell, Tile and DivisionCode.
//
// Everything here is a value without I/O and without cgo. Positions are WGS 84 degrees unless a CRS says
// otherwise; longitude always comes first and the fields are always named. H3 geometry (which needs cgo)
// lives in pkg/geo/h3, so that a gateway can be built with CGO_ENABLED=0.
package geo

import (
	"errors"
	"math"
	"strconv"
)

// Errors of parsing and placing.
var (
	// ErrPosition: a longitude or latitude is not a finite number of degrees on the Earth.
	ErrPosition = errors.New("position outside the world")
	// ErrCell: the text or number is not an H3 cell index.
	ErrCell = errors.New("not an H3 cell index")
	// ErrDivision: the text is not a division code of 2, 4, 6 or 9 digits.
	ErrDivision = errors.New("not a division code (2, 4, 6 or 9 digits of GB/T 2260 and GB/T 10114)")
	// ErrCRS: the name is none of the coordinate reference systems situ knows.
	ErrCRS = errors.New("unknown coordinate reference system (want WGS84, CGCS2000, GCJ02 or BD09)")
)

// LonLat is a position in degrees. Its datum is WGS 84 except where a CRS stands beside it.
// The zero value is a valid point in the Gulf of Guinea; "no position" is a separate bool everywhere.
type LonLat struct {
	Lon, Lat float64
}

// Valid reports whether both numbers are finite and on the Earth.
func (p LonLat) Valid() bool {
	return p.Lon >= -180 && p.Lon <= 180 && p.Lat >= -90 && p.Lat <= 90 // NaN fails every comparison
}

// E7 gives the position in units of 1e-7 degrees (about 1 cm), the form stored in logs and tables.
func (p LonLat) E7() (lon, lat int32) {
	return int32(math.Round(p.Lon * 1e7)), int32(math.Round(p.Lat * 1e7))
}

// FromE7 is the inverse of E7.
func FromE7(lon, lat int32) LonLat {
	return LonLat{Lon: float64(lon) / 1e7, Lat: float64(lat) / 1e7}
}

// Cell is an H3 index of mode 1 (a hexagon or pentagon). Zero is invalid and means "no cell".
// JSON and text carry it as 15 lower-case hexadecimal digits: JavaScript rounds the number.
type Cell uint64

// ParseCell reads the hexadecimal form. It checks mode and resolution bits, not whether the index exists.
func ParseCell(s string) (Cell, error) {
	n, err := strconv.ParseUint(s, 16, 64)
	if err != nil || !Cell(n).Valid() {
		return 0, ErrCell
	}
	return Cell(n), nil
}

// Valid reports whether the reserved bits, the mode and the base cell are those of a cell index.
func (c Cell) Valid() bool {
	return c>>63 == 0 && c>>59&0xf == 1 && c>>56&7 == 0 && c>>45&0x7f < 122
}

// Resolution is 0 to 15.
func (c Cell) Resolution() int { return int(c >> 52 & 0xf) }

// Parent gives the ancestor at resolution res by bit arithmetic: the digits below res become 7.
// A res finer than the cell's own returns the cell itself.
func (c Cell) Parent(res int) Cell {
	own := c.Resolution()
	if c == 0 || res >= own || res < 0 {
		return c
	}
	unused := Cell(1)<<(3*uint(15-res)) - 1
	return c&^(0xf<<52)&^unused | Cell(res)<<52 | unused
}

// Range gives the lowest and highest index of c's descendants at resolution res: H3's digit order is a
// space-filling order, so all descendants lie between the two, and nothing else of that resolution does.
func (c Cell) Range(res int) (lo, hi Cell) {
	own := c.Resolution()
	if res < own {
		res = own
	}
	keep := c&^(0xf<<52)&^(Cell(1)<<(3*uint(15-own))-1) | Cell(res)<<52
	tail := Cell(1)<<(3*uint(15-res)) - 1 // digits finer than res are 7 in every index
	var digits Cell
	for r := own + 1; r <= res; r++ {
		digits |= 6 << (3 * uint(15-r))
	}
	return keep | tail, keep | digits | tail
}

// AppendText appends the hexadecimal form; the zero Cell appends nothing.
func (c Cell) AppendText(dst []byte) ([]byte, error) {
	if c == 0 {
		return dst, nil
	}
	return strconv.AppendUint(dst, uint64(c), 16), nil
}

// String is the hexadecimal form, empty for the zero Cell.
func (c Cell) String() string { b, _ := c.AppendText(nil); return string(b) }

// MarshalText implements encoding.TextMarshaler.
func (c Cell) MarshalText() ([]byte, error) { return c.AppendText(nil) }

// UnmarshalText implements encoding.TextUnmarshaler; empty text is the zero Cell.
func (c *Cell) UnmarshalText(b []byte) (err error) {
	if len(b) == 0 {
		*c = 0
		return nil
	}
	*c, err = ParseCell(string(b))
	return err
}

// DivisionCode is an administrative division of China by number: 2 digits province, 4 city, 6 district
// (GB/T 2260), 9 town (GB/T 10114). Zero is invalid and means "not known".
type DivisionCode uint32

// ParseDivisionCode reads 2, 4, 6 or 9 digits; empty text is the zero code.
func ParseDivisionCode(s string) (DivisionCode, error) {
	if s == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(s, 10, 32)
	d := DivisionCode(n)
	if err != nil || d.Tier() == TierUnknown || len(s) != len(d.String()) {
		return 0, ErrDivision
	}
	return d, nil
}

// Tier is the level of a Division in the city's hierarchy.
type Tier uint8

// The tiers, by the number of digits of the code.
const (
	TierUnknown  Tier = iota
	TierProvince      // 2 digits; a municipality such as Chongqing is one
	TierCity          // 4 digits
	TierDistrict      // 6 digits
	TierTown          // 9 digits
)

// Tier tells the level by the number of digits.
func (d DivisionCode) Tier() Tier {
	switch {
	case d >= 10 && d <= 99:
		return TierProvince
	case d >= 1000 && d <= 9999:
		return TierCity
	case d >= 100000 && d <= 999999:
		return TierDistrict
	case d >= 100000000 && d <= 999999999:
		return TierTown
	}
	return TierUnknown
}

// District is the district of a town, the code itself for a district, zero for coarser codes.
func (d DivisionCode) District() DivisionCode {
	switch d.Tier() {
	case TierTown:
		return d / 1000
	case TierDistrict:
		return d
	}
	return 0
}

// String is the decimal form, empty for the zero code.
func (d DivisionCode) String() string {
	if d == 0 {
		return ""
	}
	return strconv.FormatUint(uint64(d), 10)
}

// MarshalText implements encoding.TextMarshaler.
func (d DivisionCode) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *DivisionCode) UnmarshalText(b []byte) (err error) {
	*d, err = ParseDivisionCode(string(b))
	return err
}
