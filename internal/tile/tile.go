// Package tile turns a slippy tile's cells or points into the bytes a map draws (step 8 of 8), and serves them.
//
// In: cell and point summaries of the live state, through Source. Out: Mapbox Vector Tiles (MVT 2.1), extent 4096,
// buffer 64, layers `cells` (zoom below 15) and `points` (15 and more) with the properties that docs/api.md lists;
// TileJSON 3.0 (docs/api.md). Coordinates are Web Mercator (EPSG:3857), numbers in the property's canonical unit.
//
// A tile with too many cells is drawn of coarser ones, and says so; a set, zoom or tile that does not exist is
// refused with a problem document (situ_tile_requests_total by code); nothing here can fail otherwise. It never looks at what is not in the viewer's
// scope, and keeps nothing but the outlines of cells.
package tile

import (
	"strconv"
	"sync"

	"github.com/situ-city/situ/pkg/geo"
	"github.com/situ-city/situ/pkg/sensor"
)

const (
	extent     = 4096
	extentBits = 12
	buffer     = 64 // units drawn beyond the edge, so that lines and circles on it are whole in both tiles
)

// Renderer draws tiles. Its zero value is ready; any number of goroutines may share it.
type Renderer struct {
	outlines outlines
	scratch  sync.Pool // of *layerWriter
}

// Keys of the two layers, in the order of their tags.
var (
	cellKeys  = [...]string{"cell", "n", "fresh", "mean", "min", "max", "worst", "newest"}
	pointKeys = [...]string{"thing", "result", "newest", "fresh", "class"}
)

// Cells appends to dst a tile with the layer `cells`: a polygon for every cell that touches the tile or its buffer.
// Cells elsewhere are left out, and without any dst is returned as it was.
func (r *Renderer) Cells(dst []byte, t geo.Tile, cells []sensor.CellSummary) []byte {
	w := r.writer()
	defer r.scratch.Put(w)
	w.outlines = r.outlines.find(w.outlines[:0], cells)
	f := frameOf(t)
	for i, o := range w.outlines {
		if o == nil { // no such cell
			continue
		}
		c := &cells[i]
		for turn := int64(-1); turn <= 1; turn++ { // the world repeats: on its edge a cell is drawn twice
			if w.ring = f.polygon(w.ring, &w.clipped, o, turn<<32); len(w.ring) > 0 {
				w.cellTags(c)
				w.feature(featureID(c.Cell), polygonType, w.ring)
			}
		}
	}
	return w.appendLayer(dst, "cells", cellKeys[:])
}

func (w *layerWriter) cellTags(c *sensor.CellSummary) {
	var hex [16]byte
	w.tags = w.tags[:0]
	w.tag(0, w.bytesValue(strconv.AppendUint(hex[:0], uint64(c.Cell), 16)))
	w.tag(1, w.uintValue(uint64(c.N)))
	w.tag(2, w.uintValue(uint64(c.Fresh)))
	if c.Fresh > 0 {
		w.tag(3, w.floatValue(c.Mean))
		w.tag(4, w.floatValue(c.Min))
		w.tag(5, w.floatValue(c.Max))
		w.tag(6, w.floatValue(c.Worst))
	}
	w.tag(7, w.uintValue(seconds(c.Newest)))
}

// Points appends to dst a tile with the layer `points`.
func (r *Renderer) Points(dst []byte, t geo.Tile, points []sensor.PointSummary) []byte {
	w := r.writer()
	defer r.scratch.Put(w)
	f := frameOf(t)
	for i := range points {
		p := &points[i]
		at, ok := f.point(p.Place)
		if !ok {
			continue
		}
		fresh := uint64(0)
		if p.Fresh {
			fresh = 1
		}
		w.tags = w.tags[:0]
		w.tag(0, w.textValue(string(p.ID)))
		w.tag(1, w.floatValue(p.Result))
		w.tag(2, w.uintValue(seconds(p.Newest)))
		w.tag(3, w.uintValue(fresh))
		w.tag(4, w.textValue(p.Class.String()))
		w.ring = append(w.ring[:0], at)
		w.feature(uint64(p.Thing)>>11, pointType, w.ring)
	}
	return w.appendLayer(dst, "points", pointKeys[:])
}

func (r *Renderer) writer() *layerWriter {
	w, ok := r.scratch.Get().(*layerWriter)
	if !ok {
		w = &layerWriter{}
	}
	w.reset()
	return w
}

// seconds is a time in Unix seconds; times before 1970 are not in the data.
func seconds(ms int64) uint64 { return uint64(max(ms, 0)) / 1000 }

// featureID numbers a cell below 2^53, so that JavaScript keeps it whole: base cell and digits, then resolution.
// It is exact for resolutions up to 13, finer than any cell on a tile.
func featureID(c geo.Cell) uint64 {
	digits := uint64(c) >> (3 * uint(15-c.Resolution())) & (1<<(7+3*uint(c.Resolution())) - 1)
	return digits<<4 | uint64(c.Resolution())
}
