package tile

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/paulmach/orb"
	"github.com/paulmach/orb/encoding/mvt"
	"github.com/paulmach/orb/geojson"
	"github.com/paulmach/orb/maptile"

	"github.com/situ-city/situ/pkg/geo"
	"github.com/situ-city/situ/pkg/geo/h3"
	"github.com/situ-city/situ/pkg/sensor"
)

// tiles of about 60, 270 and 2,200 cells, and the yardstick's of 1,000.
func benchTiles(tb testing.TB) []benchTile {
	var out []benchTile
	for _, c := range []struct {
		z   uint8
		res int
	}{{14, 9}, {10, 7}, {7, 6}} {
		t := geo.TileAt(geo.LonLat{Lon: 106.55, Lat: 29.56}, c.z)
		cells, err := h3.Cover(t.Bounds(), c.res)
		if err != nil {
			tb.Fatal(err)
		}
		values := around(tb, t, c.res)[:len(cells)]
		for i := range values {
			values[i].Cell = cells[i]
		}
		out = append(out, benchTile{t, values})
		if len(values) > 1000 {
			out = append(out, benchTile{t, values[:1000]})
		}
	}
	return out
}

type benchTile struct {
	tile  geo.Tile
	cells []sensor.CellSummary
}

func BenchmarkCells(b *testing.B) {
	for _, c := range benchTiles(b) {
		b.Run(fmt.Sprintf("cells=%d", len(c.cells)), func(b *testing.B) {
			var r Renderer
			var dst []byte
			b.ReportAllocs()
			for range b.N {
				dst = r.Cells(dst[:0], c.tile, c.cells)
			}
			b.ReportMetric(float64(len(dst)), "bytes/tile")
		})
	}
}

// BenchmarkCellsFirstTime has no outline in memory.
func BenchmarkCellsFirstTime(b *testing.B) {
	for _, c := range benchTiles(b) {
		b.Run(fmt.Sprintf("cells=%d", len(c.cells)), func(b *testing.B) {
			var dst []byte
			for range b.N {
				var r Renderer
				dst = r.Cells(dst[:0], c.tile, c.cells)
			}
		})
	}
}

func BenchmarkGzip(b *testing.B) {
	for _, c := range benchTiles(b) {
		for _, level := range []int{gzip.StatelessCompression, 1, 5} {
			b.Run(fmt.Sprintf("cells=%d/level=%d", len(c.cells), level), func(b *testing.B) {
				var r Renderer
				raw := r.Cells(nil, c.tile, c.cells)
				var out bytes.Buffer
				w, err := gzip.NewWriterLevel(&out, level)
				if err != nil {
					b.Fatal(err)
				}
				b.ReportAllocs()
				for range b.N {
					out.Reset()
					w.Reset(&out)
					if _, err := w.Write(raw); err != nil {
						b.Fatal(err)
					}
					if err := w.Close(); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(out.Len()), "bytes/tile")
			})
		}
	}
}

// BenchmarkOrb is the yardstick: the same tile through orb's geometry, projection, clipping and writer.
func BenchmarkOrb(b *testing.B) {
	for _, c := range benchTiles(b) {
		b.Run(fmt.Sprintf("cells=%d", len(c.cells)), func(b *testing.B) {
			b.ReportAllocs()
			for range b.N {
				if _, err := orbTile(c.tile, c.cells); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func orbTile(t geo.Tile, cells []sensor.CellSummary) ([]byte, error) {
	fc := geojson.NewFeatureCollection()
	for i := range cells {
		corners, err := h3.AppendBoundary(nil, cells[i].Cell)
		if err != nil {
			return nil, err
		}
		ring := make(orb.Ring, 0, len(corners)+1)
		for _, p := range corners {
			ring = append(ring, orb.Point{p.Lon, p.Lat})
		}
		f := geojson.NewFeature(orb.Polygon{append(ring, ring[0])})
		c := &cells[i]
		f.Properties = geojson.Properties{"cell": c.Cell.String(), "n": c.N, "fresh": c.Fresh, "mean": c.Mean, "min": c.Min,
			"max": c.Max, "worst": c.Worst, "newest": c.Newest / 1000}
		fc.Append(f)
	}
	layers := mvt.NewLayers(map[string]*geojson.FeatureCollection{"cells": fc})
	layers.ProjectToTile(maptile.New(t.X, t.Y, maptile.Zoom(t.Z)))
	layers.Clip(mvt.MapboxGLDefaultExtentBound)
	return mvt.Marshal(layers)
}
