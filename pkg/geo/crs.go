package geo

import "strings"

// CRS is a horizontal coordinate reference system a source may report positions in.
type CRS uint8

// The systems situ knows. CGCS2000 differs from WGS 84 by centimetres and is taken as equal.
const (
	WGS84 CRS = iota
	CGCS2000
	GCJ02
	BD09
)

var crsNames = [...]string{WGS84: "WGS84", CGCS2000: "CGCS2000", GCJ02: "GCJ02", BD09: "BD09"}

// ParseCRS reads a name in any case, with or without hyphens and blanks; empty text means WGS 84.
func ParseCRS(s string) (CRS, error) {
	key := strings.NewReplacer("-", "", " ", "", "_", "").Replace(strings.ToUpper(s))
	switch key {
	case "":
		return WGS84, nil
	case "EPSG:4326", "WGS1984":
		return WGS84, nil
	case "EPSG:4490":
		return CGCS2000, nil
	case "BD09LL":
		return BD09, nil
	}
	for c, name := range crsNames {
		if key == name {
			return CRS(c), nil
		}
	}
	return 0, ErrCRS
}

// String is the name without a hyphen, as in "GCJ02".
func (c CRS) String() string {
	if int(c) < len(crsNames) {
		return crsNames[c]
	}
	return "CRS(?)"
}

// MarshalText implements encoding.TextMarshaler.
func (c CRS) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (c *CRS) UnmarshalText(b []byte) (err error) {
	*c, err = ParseCRS(string(b))
	return err
}
