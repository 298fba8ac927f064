package geo

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// ErrBox: the text is not west,south,east,north in degrees.
var ErrBox = errors.New("not a bounding box (want west,south,east,north in degrees)")

// Box is the area between two meridians and two parallels, in degrees WGS 84. West beyond East means that it
// crosses the antimeridian (RFC 7946 5.2). The zero value is the point at 0, 0.
type Box struct {
	West, South, East, North float64
}

// ParseBox reads "west,south,east,north". Longitudes beyond 180 degrees, as map pages send them after turning
// around the world, are brought back; a width of 360 degrees or more is the whole world.
func ParseBox(s string) (Box, error) {
	parts := strings.Split(s, ",")
	if len(parts) != 4 {
		return Box{}, fmt.Errorf("%q: %w", s, ErrBox)
	}
	var v [4]float64
	for i, p := range parts {
		n, err := strconv.ParseFloat(strings.TrimSpace(p), 64)
		if err != nil || !(n >= -36000 && n <= 36000) {
			return Box{}, fmt.Errorf("%q: %w", s, ErrBox)
		}
		v[i] = n
	}
	b := Box{West: v[0], South: max(v[1], -90), East: v[2], North: min(v[3], 90)}
	if b.South > b.North {
		return Box{}, fmt.Errorf("%q: south is above north: %w", s, ErrBox)
	}
	if b.East-b.West >= 360 {
		b.West, b.East = -180, 180
		return b, nil
	}
	b.West, b.East = turned(b.West), turned(b.East)
	return b, nil
}

// turned brings a longitude into -180 to 180.
func turned(lon float64) float64 {
	for lon > 180 {
		lon -= 360
	}
	for lon < -180 {
		lon += 360
	}
	return lon
}

// Contains reports whether p lies in b or on its edge.
func (b Box) Contains(p LonLat) bool {
	if p.Lat < b.South || p.Lat > b.North {
		return false
	}
	if b.West > b.East {
		return p.Lon >= b.West || p.Lon <= b.East
	}
	return p.Lon >= b.West && p.Lon <= b.East
}
