package h3

import (
	"fmt"
	"math"
	"slices"

	"github.com/uber/h3-go/v4"

	"github.com/situ-city/situ/pkg/geo"
)

// slab is the widest strip of longitude handed to the library at once: it takes polygons wider than half the
// world for ones that cross the 180th meridian.
const slab = 90.0

// Cover gives the cells of resolution res that touch the box, sorted; beyond 75 degrees of latitude, where cells
// are no longer the shapes that straight lines between their corners draw, some may be missing. ErrCover when there would be more than
// MaxCover of them (judged by area before any is computed, so a hostile box costs nothing).
func Cover(b geo.Box, res int) ([]geo.Cell, error) {
	if !(b.South >= -90 && b.South <= b.North && b.North <= 90 && math.Abs(b.West) <= 180 && math.Abs(b.East) <= 180) {
		return nil, fmt.Errorf("cover of %v: %w", b, geo.ErrPosition)
	}
	mean, err := h3.HexagonAreaAvgM2(res)
	if err != nil {
		return nil, fmt.Errorf("cover at %d: %w", res, ErrResolution)
	}
	if n := boxArea(b) / mean; n > MaxCover {
		return nil, fmt.Errorf("cover at %d: about %.0f, at most %d: %w", res, n, MaxCover, ErrCover)
	}
	var out []geo.Cell
	if b.West > b.East { // across the 180th meridian
		if out, err = appendCover(nil, geo.Box{West: b.West, South: b.South, East: 180, North: b.North}, res); err != nil {
			return nil, err
		}
		b.West = -180
	}
	if out, err = appendCover(out, b, res); err != nil {
		return nil, err
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

func appendCover(dst []geo.Cell, b geo.Box, res int) ([]geo.Cell, error) {
	// A box of no width is no polygon; 1e-7 degrees is the unit positions are stored in.
	const unit = 1e-7
	b = geo.Box{West: max(-180, b.West-unit), South: max(-90, b.South-unit), East: min(180, b.East+unit), North: min(90, b.North+unit)}
	for west := b.West; west < b.East; west += slab {
		east := min(west+slab, b.East)
		loop := h3.GeoLoop{{Lat: b.South, Lng: west}, {Lat: b.South, Lng: east}, {Lat: b.North, Lng: east}, {Lat: b.North, Lng: west}}
		cells, err := h3.PolygonToCellsExperimental(h3.GeoPolygon{GeoLoop: loop}, res, h3.ContainmentOverlapping)
		if err != nil {
			return dst, fmt.Errorf("cover of %v at %d: %w", b, res, err)
		}
		dst = appendCells(dst, cells)
	}
	return dst, nil
}

// boxArea is the area in square metres on the sphere.
func boxArea(b geo.Box) float64 {
	const rad, radius = math.Pi / 180, 6371008.8
	width := b.East - b.West
	if width < 0 {
		width += 360
	}
	return radius * radius * width * rad * (math.Sin(b.North*rad) - math.Sin(b.South*rad))
}
