package tile

import (
	"sync"

	"github.com/situ-city/situ/pkg/geo"
	"github.com/situ-city/situ/pkg/geo/h3"
	"github.com/situ-city/situ/pkg/sensor"
)

// maxCorners of an H3 cell: six, and one more wherever an edge crosses one of the icosahedron's.
const maxCorners = 10

// outline is a cell's corners on the square of Web Mercator, 2^32 units wide and wrapping in x.
type outline struct {
	n            int
	x, y         [maxCorners]uint32
	west, east   int64 // of the outermost corners, relative to x[0]
	north, south int64 // of the outermost corners
}

func outlineOf(c geo.Cell) *outline {
	var room [maxCorners]geo.LonLat
	corners, err := h3.AppendBoundary(room[:0], c)
	if err != nil || len(corners) > maxCorners {
		return nil
	}
	o := &outline{n: len(corners)}
	for i, p := range corners {
		o.x[i], o.y[i] = world(p)
		dx, y := int64(int32(o.x[i]-o.x[0])), int64(o.y[i])
		if i == 0 {
			o.north, o.south = y, y
		}
		o.west, o.east = min(o.west, dx), max(o.east, dx)
		o.north, o.south = min(o.north, y), max(o.south, y)
	}
	return o
}

func world(p geo.LonLat) (x, y uint32) {
	const size = 1 << 32
	fx, fy := geo.Mercator(p)
	return uint32(uint64(fx * size)), uint32(min(fy*size, size-1))
}

// generation is how many outlines are kept before the older half is let go: about 6 MB.
const generation = 50_000

// outlines remembers outlines: asking H3 takes 1 us a cell, and a live map asks for the same ones all the time.
// Outlines asked for within the last generation or two are kept.
type outlines struct {
	mu       sync.RWMutex
	new, old map[geo.Cell]*outline
}

// find appends the outline of each cell, nil for a cell that does not exist.
func (o *outlines) find(dst []*outline, cells []sensor.CellSummary) []*outline {
	missing, kept := 0, 0
	o.mu.RLock()
	for i := range cells {
		f, ok := o.new[cells[i].Cell]
		if !ok {
			if f = o.old[cells[i].Cell]; f != nil {
				kept++
			} else {
				missing++
			}
		}
		dst = append(dst, f)
	}
	o.mu.RUnlock()
	if missing+kept == 0 {
		return dst
	}
	for i := range dst {
		if dst[i] == nil {
			dst[i] = outlineOf(cells[i].Cell)
		}
	}
	o.keep(dst, cells)
	return dst
}

func (o *outlines) keep(found []*outline, cells []sensor.CellSummary) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.new == nil || len(o.new) >= generation {
		o.new, o.old = make(map[geo.Cell]*outline), o.new
	}
	for i, f := range found {
		if f != nil {
			o.new[cells[i].Cell] = f
		}
	}
}
