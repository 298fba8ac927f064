// Package h3 turns positions into cells of Uber's H3 grid (version 4) and cells into shapes.
//
// It is the only place with h3-go, and so with cgo: ingester, livestate and tiles use it, a gateway never does
// (it is built with CGO_ENABLED=0 and leaves the cell 0). Positions are WGS 84 degrees, resolutions 0 to 15, areas
// square metres. Parents and key ranges need no geometry: geo.Cell has them by bit arithmetic.
package h3

import (
	"errors"
	"fmt"
	"math"

	"github.com/uber/h3-go/v4"

	"github.com/situ-city/situ/pkg/geo"
)

// StoredResolution is the resolution of the cells in logs and tables; a cell is then about 18 m wide.
const StoredResolution = 12

// MaxCover bounds what Cover may return.
const MaxCover = 50_000

var (
	// ErrCover: a box holds more cells than MaxCover; the caller asks for a coarser resolution or a smaller box.
	ErrCover = errors.New("too many cells in the box")
	// ErrResolution: a resolution outside 0 to 15.
	ErrResolution = errors.New("H3 resolution must be 0 to 15")
)

// CellAt gives the cell that p lies in, or the zero Cell when p is not on the Earth or res is not 0 to 15.
func CellAt(p geo.LonLat, res int) geo.Cell {
	if !p.Valid() {
		return 0
	}
	c, err := h3.LatLngToCell(h3.LatLng{Lat: p.Lat, Lng: p.Lon}, res)
	if err != nil {
		return 0
	}
	return geo.Cell(c)
}

// Valid reports whether the index exists. geo.Cell.Valid looks at a few bits only; this looks at all digits.
func Valid(c geo.Cell) bool { return c>>63 == 0 && h3.Cell(c).IsValid() }

// Center gives the middle of the cell.
func Center(c geo.Cell) (geo.LonLat, error) {
	p, err := h3.CellToLatLng(h3.Cell(c))
	if err = refused(c, err); err != nil {
		return geo.LonLat{}, err
	}
	return lonLat(p), nil
}

// AppendBoundary appends the cell's corners, counter-clockwise and not closed: 6, or 5 for a pentagon, more where
// the cell crosses an edge of the icosahedron. A cell across the 180th meridian has corners on both sides of it.
// On error dst is returned unchanged.
func AppendBoundary(dst []geo.LonLat, c geo.Cell) ([]geo.LonLat, error) {
	corners, err := h3.CellToBoundary(h3.Cell(c))
	if err = refused(c, err); err != nil {
		return dst, err
	}
	for _, p := range corners {
		dst = append(dst, lonLat(p))
	}
	return dst, nil
}

// Children gives all descendants at resolution res: 7 for each step, 6 below a pentagon. At most MaxCover.
func Children(c geo.Cell, res int) ([]geo.Cell, error) {
	steps := res - c.Resolution()
	switch {
	case res > 15 || steps < 0:
		return nil, fmt.Errorf("children of %s at %d: %w", c, res, ErrResolution)
	case math.Pow(7, float64(steps)) > MaxCover:
		return nil, fmt.Errorf("children of %s at %d: %w", c, res, ErrCover)
	}
	cells, err := h3.Cell(c).Children(res)
	if err != nil {
		return nil, fmt.Errorf("children of %s at %d: %w: %w", c, res, geo.ErrCell, err)
	}
	return appendCells(nil, cells), nil
}

// Area is the cell's area in square metres.
func Area(c geo.Cell) (float64, error) {
	m2, err := h3.CellAreaM2(h3.Cell(c))
	if err = refused(c, err); err != nil {
		return 0, err
	}
	return m2, nil
}

// refused gives the error for a cell the library refused, or should have: it answers for index 0 as if it existed.
func refused(c geo.Cell, err error) error {
	switch {
	case err != nil:
		return fmt.Errorf("%q: %w: %w", c.String(), geo.ErrCell, err)
	case !c.Valid():
		return fmt.Errorf("%q: %w", c.String(), geo.ErrCell)
	}
	return nil
}

func lonLat(p h3.LatLng) geo.LonLat { return geo.LonLat{Lon: p.Lng, Lat: p.Lat} }

func appendCells(dst []geo.Cell, cells []h3.Cell) []geo.Cell {
	for _, c := range cells {
		dst = append(dst, geo.Cell(c))
	}
	return dst
}
