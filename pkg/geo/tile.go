package geo

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// ErrTile: the text or numbers are not a tile of the slippy map.
var ErrTile = errors.New("not a tile (want z/x/y with z at most 24 and x, y below 2^z)")

// MaxZoom is the finest zoom situ knows; a tile is then about 2 m wide.
const MaxZoom = 24

// PointsZoom is the zoom from which tiles show points rather than cells (docs/api.md).
const PointsZoom = 15

// maxMercatorLat is where the square of Web Mercator ends.
const maxMercatorLat = 85.05112877980659

// Tile names a square of the slippy map (XYZ, y counted from the north) in Web Mercator. The zero value is the world.
type Tile struct {
	Z    uint8
	X, Y uint32
}

// ParseTile reads "z/x/y".
func ParseTile(s string) (Tile, error) {
	parts := strings.Split(s, "/")
	if len(parts) != 3 {
		return Tile{}, fmt.Errorf("%q: %w", s, ErrTile)
	}
	var n [3]uint64
	for i, p := range parts {
		x, err := strconv.ParseUint(p, 10, 25)
		if err != nil {
			return Tile{}, fmt.Errorf("%q: %w", s, ErrTile)
		}
		n[i] = x
	}
	t := Tile{X: uint32(n[1]), Y: uint32(n[2])}
	if n[0] <= MaxZoom {
		t.Z = uint8(n[0])
	}
	if n[0] > MaxZoom || !t.Valid() {
		return Tile{}, fmt.Errorf("%q: %w", s, ErrTile)
	}
	return t, nil
}

// Valid reports whether zoom, column and row exist.
func (t Tile) Valid() bool { return t.Z <= MaxZoom && t.X < 1<<t.Z && t.Y < 1<<t.Z }

// String is "z/x/y".
func (t Tile) String() string { return fmt.Sprintf("%d/%d/%d", t.Z, t.X, t.Y) }

// TileAt is the tile of zoom z that p lies in; positions beyond Web Mercator's square count as on its rim.
func TileAt(p LonLat, z uint8) Tile {
	x, y := Mercator(p)
	side := float64(uint32(1) << z)
	last := side - 1
	return Tile{Z: z, X: uint32(min(math.Floor(x*side), last)), Y: uint32(min(math.Floor(y*side), last))}
}

// Mercator gives p's place in the square of Web Mercator: (0, 0) is its north-west corner, (1, 1) its south-east.
func Mercator(p LonLat) (x, y float64) {
	lat := min(max(p.Lat, -maxMercatorLat), maxMercatorLat)
	sin := math.Sin(lat * math.Pi / 180)
	x = p.Lon/360 + 0.5
	y = 0.5 - math.Log((1+sin)/(1-sin))/(4*math.Pi)
	return min(max(x, 0), 1), min(max(y, 0), 1)
}

// FromMercator is the inverse of Mercator.
func FromMercator(x, y float64) LonLat {
	return LonLat{Lon: (x - 0.5) * 360, Lat: math.Atan(math.Sinh((0.5-y)*2*math.Pi)) * 180 / math.Pi}
}

// Fraction gives p's place in the tile: (0, 0) is its north-west corner, (1, 1) its south-east; beyond for
// positions outside.
func (t Tile) Fraction(p LonLat) (x, y float64) {
	x, y = Mercator(p)
	side := float64(uint32(1) << t.Z)
	return x*side - float64(t.X), y*side - float64(t.Y)
}

// Bounds is the tile's box in degrees.
func (t Tile) Bounds() Box {
	side := float64(uint32(1) << t.Z)
	nw := FromMercator(float64(t.X)/side, float64(t.Y)/side)
	se := FromMercator(float64(t.X+1)/side, float64(t.Y+1)/side)
	return Box{West: nw.Lon, South: se.Lat, East: se.Lon, North: nw.Lat}
}

// ResolutionForZoom is the H3 resolution of the cells shown at a zoom (docs/api.md): a cell is then about 10 to 40
// pixels wide.
func ResolutionForZoom(z uint8) int {
	switch {
	case z <= 7:
		return 5
	case z <= 9:
		return 6
	case z <= 11:
		return 7
	case z <= 13:
		return 8
	}
	return 9
}
