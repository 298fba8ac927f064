package geo

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// BBox is a box of WGS 84 degrees, edges included. It does not cross the 180th meridian.
type BBox struct {
	West, South, East, North float64
}

// ParseBBox reads "west,south,east,north", the order of GeoJSON (RFC 7946 5).
func ParseBBox(s string) (BBox, error) {
	var n [4]float64
	parts := strings.Split(s, ",")
	if len(parts) != 4 {
		return BBox{}, fmt.Errorf("bbox %q: want west,south,east,north: %w", s, ErrPosition)
	}
	for i, p := range parts {
		x, err := strconv.ParseFloat(strings.TrimSpace(p), 64)
		if err != nil {
			return BBox{}, fmt.Errorf("bbox %q: %q is not a number: %w", s, p, ErrPosition)
		}
		n[i] = x
	}
	b := BBox{n[0], n[1], n[2], n[3]}
	if !b.Valid() {
		return BBox{}, fmt.Errorf("bbox %q: want -180 <= west <= east <= 180 and -90 <= south <= north <= 90: %w", s, ErrPosition)
	}
	return b, nil
}

func emptyBBox() BBox {
	return BBox{math.Inf(1), math.Inf(1), math.Inf(-1), math.Inf(-1)}
}

// Valid reports whether both corners are on the Earth and in order.
func (b BBox) Valid() bool {
	return LonLat{b.West, b.South}.Valid() && LonLat{b.East, b.North}.Valid() && b.West <= b.East && b.South <= b.North
}

// Contains reports whether p is in the box or on its edge.
func (b BBox) Contains(p LonLat) bool {
	return p.Lon >= b.West && p.Lon <= b.East && p.Lat >= b.South && p.Lat <= b.North
}

// Intersects reports whether the boxes share a point.
func (b BBox) Intersects(c BBox) bool {
	return b.West <= c.East && c.West <= b.East && b.South <= c.North && c.South <= b.North
}

// Extend gives the smallest box with b and p in it.
func (b BBox) Extend(p LonLat) BBox {
	return BBox{math.Min(b.West, p.Lon), math.Min(b.South, p.Lat), math.Max(b.East, p.Lon), math.Max(b.North, p.Lat)}
}

// Union gives the smallest box with b and c in it.
func (b BBox) Union(c BBox) BBox {
	return BBox{math.Min(b.West, c.West), math.Min(b.South, c.South), math.Max(b.East, c.East), math.Max(b.North, c.North)}
}

// Center is the middle of the box.
func (b BBox) Center() LonLat {
	return LonLat{Lon: (b.West + b.East) / 2, Lat: (b.South + b.North) / 2}
}

// Grow gives the box widened by degrees on every side, kept on the Earth.
func (b BBox) Grow(degrees float64) BBox {
	return BBox{math.Max(-180, b.West-degrees), math.Max(-90, b.South-degrees), math.Min(180, b.East+degrees), math.Min(90, b.North+degrees)}
}
