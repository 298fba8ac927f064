package livestate

import (
	"cmp"
	"math"
	"slices"

	"github.com/situ-city/situ/pkg/geo"
)

// grid files things by place: in buckets that are the tiles of one slippy zoom.
type grid struct {
	zoom    uint8
	buckets map[uint32]*bucket
}

// bucket holds node indexes sorted by cell and stratum, or thing indexes in no order.
type bucket struct {
	items []uint32
	floor uint64 // version of the last node that was freed out of it
}

func newGrid(zoom uint8) grid { return grid{zoom: zoom, buckets: make(map[uint32]*bucket)} }

func (g *grid) key(x, y uint32) uint32 { return y>>(32-g.zoom)<<16 | x>>(32-g.zoom) }

func (g *grid) keyAt(p geo.LonLat) uint32 { return g.key(world(p)) }

func (g *grid) bucket(key uint32) *bucket {
	b := g.buckets[key]
	if b == nil {
		b = &bucket{}
		g.buckets[key] = b
	}
	return b
}

func (g *grid) insert(spots []spot, ni uint32) {
	b := g.bucket(g.key(spots[ni].x, spots[ni].y))
	at, _ := slices.BinarySearchFunc(b.items, ni, byCell(spots))
	b.items = slices.Insert(b.items, at, ni)
}

func (g *grid) remove(spots []spot, ni uint32, version uint64) {
	b := g.bucket(g.key(spots[ni].x, spots[ni].y))
	b.floor = max(b.floor, version)
	if at, ok := slices.BinarySearchFunc(b.items, ni, byCell(spots)); ok {
		b.items = slices.Delete(b.items, at, at+1)
	}
}

func byCell(spots []spot) func(a, b uint32) int {
	return func(a, b uint32) int {
		sa, sb := &spots[a], &spots[b]
		return cmp.Or(cmp.Compare(sa.cell, sb.cell), cmp.Compare(sa.stratum, sb.stratum))
	}
}

// window is an area on the world's square, which is 2^32 wide and wraps in x.
type window struct {
	x, width uint32 // from x to x+width, wrapping
	y0, y1   uint32
}

func (w window) holds(x, y uint32) bool { return x-w.x <= w.width && y >= w.y0 && y <= w.y1 }

// visit calls see with every bucket that w touches, in a fixed order, until see returns false.
func (g *grid) visit(w window, see func(*bucket) bool) {
	shift := 32 - g.zoom
	cols := (uint64(w.x&(1<<shift-1))+uint64(w.width))>>shift + 1
	if cols > 1<<g.zoom { // all around the world: the first column must not come twice
		cols = 1 << g.zoom
	}
	top, bottom := w.y0>>shift, w.y1>>shift
	if cols*uint64(bottom-top+1) > uint64(len(g.buckets)) {
		g.visitAll(w, see)
		return
	}
	for row := top; row <= bottom; row++ {
		for c := range uint32(cols) {
			col := (w.x>>shift + c) & (1<<g.zoom - 1)
			if b := g.buckets[row<<16|col]; b != nil && !see(b) {
				return
			}
		}
	}
}

func (g *grid) visitAll(w window, see func(*bucket) bool) {
	keys := make([]uint32, 0, len(g.buckets))
	shift := 32 - g.zoom
	cell := uint32(1)<<shift - 1
	for key := range g.buckets {
		x, y := key&0xffff<<shift, key>>16<<shift
		if (x-w.x <= w.width || w.x-x <= cell) && y+cell >= w.y0 && y <= w.y1 {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	for _, key := range keys {
		if !see(g.buckets[key]) {
			return
		}
	}
}

// world puts a position on the square of Web Mercator, 2^32 units (9 mm at the equator) wide.
func world(p geo.LonLat) (x, y uint32) {
	const size = 1 << 32
	fx, fy := geo.Mercator(p)
	return uint32(uint64(fx * size)), uint32(min(fy*size, size-1))
}

// radius is, for each H3 resolution, no less than the distance in metres from a cell's centre to any of its corners.
var radius = [...]float64{1_650_000, 650_000, 245_000, 93_000, 35_000, 13_300, 5_030, 1_900, 720, 272}

const equator = 40_075_016.7 // metres around

// windowOf is an area, widened by so many metres on all sides. A viewport may cross the antimeridian, which a BBox
// otherwise does not: its West is then beyond its East.
func windowOf(area geo.Box, metres float64) window {
	lat := min(max(math.Abs(area.South), math.Abs(area.North))+metres/equator*360, 85.06)
	margin := metres / equator / math.Cos(lat*math.Pi/180)
	x0, y0 := world(geo.LonLat{Lon: area.West, Lat: area.North})
	x1, y1 := world(geo.LonLat{Lon: area.East, Lat: area.South})
	span := area.East - area.West
	if span < 0 {
		span += 360
	}
	if span/360+2*margin >= 1 {
		x0, x1 = 0, math.MaxUint32
	} else {
		pad := uint32(margin * (1 << 32))
		x0, x1 = x0-pad, x1+pad
	}
	pad := uint32(min(margin*(1<<32), math.MaxUint32))
	return window{x: x0, width: x1 - x0, y0: y0 - min(pad, y0), y1: y1 + min(pad, math.MaxUint32-y1)}
}

// contains is area.Contains for a viewport that may cross the antimeridian.
func contains(area geo.Box, p geo.LonLat) bool {
	if area.West <= area.East {
		return area.Contains(p)
	}
	return p.Lat >= area.South && p.Lat <= area.North && (p.Lon >= area.West || p.Lon <= area.East)
}
