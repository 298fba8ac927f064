package tile

import (
	"bytes"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/paulmach/orb"
	"github.com/paulmach/orb/encoding/mvt"
	"github.com/paulmach/orb/geojson"
	"github.com/paulmach/orb/planar"

	"github.com/situ-city/situ/pkg/geo"
	"github.com/situ-city/situ/pkg/geo/h3"
	"github.com/situ-city/situ/pkg/sensor"
)

// around makes summaries for all cells of a resolution in and around a tile.
func around(tb testing.TB, t geo.Tile, res int) []sensor.CellSummary {
	tb.Helper()
	b := t.Bounds()
	w, h := (b.East-b.West)/2, (b.North-b.South)/2
	cells, err := h3.Cover(geo.Box{West: max(b.West-w, -180), South: max(b.South-h, -85), East: min(b.East+w, 180), North: min(b.North+h, 85)}, res)
	if err != nil {
		tb.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(uint64(t.X), uint64(t.Y)))
	var out []sensor.CellSummary
	for i, c := range cells {
		s := sensor.CellSummary{Cell: c, N: uint32(i%5 + 1), Fresh: uint32(i % 5), Newest: 1_790_000_000_000 + int64(i%90)*1000}
		if s.Fresh > 0 {
			s.Min, s.Max = math.Round(rng.Float64()*100)/10, 10+math.Round(rng.Float64()*100)/10
			s.Mean, s.Worst = (s.Min+s.Max)/2, s.Max
		}
		out = append(out, s)
	}
	return out
}

// decode reads a tile with another's reader.
func decode(tb testing.TB, b []byte) mvt.Layers {
	tb.Helper()
	layers, err := mvt.Unmarshal(b)
	if err != nil {
		tb.Fatalf("orb cannot read it: %v", err)
	}
	return layers
}

func TestCellsSayWhatTheyWereGiven(t *testing.T) {
	tile := geo.TileAt(geo.LonLat{Lon: 106.55, Lat: 29.56}, 12)
	cells := around(t, tile, 8)
	var r Renderer
	layers := decode(t, r.Cells(nil, tile, cells))
	if len(layers) != 1 || layers[0].Name != "cells" || layers[0].Version != 2 || layers[0].Extent != extent {
		t.Fatalf("layers %+v", layers)
	}
	byCell := make(map[string]*geojson.Feature)
	ids := make(map[any]bool)
	for _, f := range layers[0].Features {
		byCell[f.Properties["cell"].(string)] = f
		ids[f.ID] = true
	}
	if len(byCell) != len(layers[0].Features) || len(ids) != len(byCell) {
		t.Fatalf("%d features, %d cells, %d ids", len(layers[0].Features), len(byCell), len(ids))
	}
	drawn := 0
	for _, c := range cells {
		f := byCell[c.Cell.String()]
		if want := touches(t, c.Cell, tile); want != (f != nil) {
			t.Errorf("%s: touches the tile %v, drawn %v", c.Cell, want, f != nil)
		}
		if f == nil {
			continue
		}
		drawn++
		p := f.Properties
		if p["n"] != float64(c.N) || p["fresh"] != float64(c.Fresh) || p["newest"] != float64(c.Newest/1000) {
			t.Fatalf("%+v of %+v", p, c)
		}
		if c.Fresh == 0 {
			if len(p) != 4 {
				t.Fatalf("stale cell has %+v", p)
			}
			continue
		}
		if p["mean"] != c.Mean || p["min"] != c.Min || p["max"] != c.Max || p["worst"] != c.Worst {
			t.Fatalf("%+v of %+v", p, c)
		}
	}
	if drawn < 50 {
		t.Fatalf("only %d cells drawn", drawn)
	}
}

// touches tells by orb's own projection whether a cell's box overlaps the tile and its buffer, for cells that are
// clearly in or out; cells at the buffer's rim are settled by the drawing itself.
func touches(tb testing.TB, c geo.Cell, t geo.Tile) bool {
	corners, err := h3.AppendBoundary(nil, c)
	if err != nil {
		tb.Fatal(err)
	}
	ring := orb.Ring{}
	for _, p := range corners {
		x, y := t.Fraction(p)
		ring = append(ring, orb.Point{math.Round(x * extent), math.Round(y * extent)})
	}
	ring = append(ring, ring[0])
	const low, high = -buffer, extent + buffer
	for _, p := range ring {
		if p[0] > low && p[0] < high && p[1] > low && p[1] < high {
			return true
		}
	}
	for _, p := range []orb.Point{{low, low}, {low, high}, {high, low}, {high, high}} {
		if planar.RingContains(ring, p) {
			return true
		}
	}
	return false
}

// TestShapes: on many tiles of all zooms, polygons are inside the buffer, wound clockwise on the screen, of at least
// three distinct points, and together they cover what orb's clipping says they must.
func TestShapes(t *testing.T) {
	var r Renderer
	places := []geo.LonLat{{Lon: 106.55, Lat: 29.56}, {Lon: 179.999, Lat: -16.5}, {Lon: -179.999, Lat: 51.2}, {Lon: 10.5, Lat: 64.7}, {Lon: 0.01, Lat: 0.01}}
	for _, place := range places {
		for z := uint8(4); z <= 14; z++ {
			tile := geo.TileAt(place, z)
			res := geo.ResolutionForZoom(z)
			if z < 7 {
				res = 4 // fewer cells for the test, the same shapes
			}
			if z == 4 {
				res = 3
			}
			cells := around(t, tile, res)
			got := 0.0
			for _, f := range decode(t, r.Cells(nil, tile, cells))[0].Features {
				got += checkPolygon(t, tile, f)
			}
			const whole = (extent + 2*buffer) * (extent + 2*buffer)
			if got < whole*0.995 && math.Abs(place.Lon) < 179 || got > whole*1.005 {
				t.Errorf("tile %v: cells that leave no hole cover %.0f of %d", tile, got, whole)
			}
		}
	}
}

func checkPolygon(t *testing.T, tile geo.Tile, f *geojson.Feature) float64 {
	t.Helper()
	ring := f.Geometry.(orb.Polygon)[0]
	if len(ring) < 4 {
		t.Fatalf("tile %v: ring of %d points", tile, len(ring))
	}
	sum := 0.0
	for i := range ring[:len(ring)-1] {
		p, q := ring[i], ring[i+1]
		sum += p[0]*q[1] - q[0]*p[1]
		if p == q {
			t.Fatalf("tile %v: repeated point in %v", tile, ring)
		}
		if p[0] < -buffer || p[0] > extent+buffer || p[1] < -buffer || p[1] > extent+buffer {
			t.Fatalf("tile %v: %v is outside the buffer", tile, p)
		}
	}
	if sum <= 0 {
		t.Fatalf("tile %v: area %v by the surveyor's formula, want positive", tile, sum/2)
	}
	return sum / 2
}

// TestAntimeridian: a cell across it is drawn in the tiles on both sides, and twice on the tile of the whole world.
func TestAntimeridian(t *testing.T) {
	var r Renderer
	cell := h3.CellAt(geo.LonLat{Lon: 180, Lat: 0.5}, 5)
	cells := []sensor.CellSummary{{Cell: cell, N: 1}}
	width := 0.0
	for _, lon := range []float64{179.999, -179.999} {
		layers := decode(t, r.Cells(nil, geo.TileAt(geo.LonLat{Lon: lon, Lat: 0.5}, 7), cells))
		if len(layers) != 1 {
			t.Fatalf("not drawn at %v", lon)
		}
		b := layers[0].Features[0].Geometry.Bound()
		width += b.Max[0] - b.Min[0]
	}
	if width < 100 || width > 700 { // a cell of 20 km on tiles of 313 km
		t.Errorf("the halves are %v units wide", width)
	}
	world := decode(t, r.Cells(nil, geo.Tile{}, cells))
	if n := len(world[0].Features); n != 2 {
		t.Errorf("drawn %d times on the whole world, want 2", n)
	}
}

func TestNothing(t *testing.T) {
	var r Renderer
	far := around(t, geo.TileAt(geo.LonLat{Lon: 106.55, Lat: 29.56}, 12), 8)
	for name, cells := range map[string][]sensor.CellSummary{"none": nil, "elsewhere": far, "no cell": {{Cell: 0, N: 1}, {Cell: 1 << 59, N: 1}}} {
		if b := r.Cells([]byte("x"), geo.TileAt(geo.LonLat{Lon: 2, Lat: 48}, 12), cells); string(b) != "x" {
			t.Errorf("%s: %d bytes", name, len(b)-1)
		}
	}
}

func TestPoints(t *testing.T) {
	var r Renderer
	for _, z := range []uint8{15, 20, 21, 24} {
		place := geo.LonLat{Lon: 106.55, Lat: 29.56}
		tile := geo.TileAt(place, z)
		points := []sensor.PointSummary{
			{ID: "bureau/a", Thing: 1 << 60, Place: place, Class: sensor.Government, Fresh: true, Result: 35.2, Newest: 1_790_000_000_999},
			{ID: "bureau/b", Thing: 2 << 60, Place: place, Class: sensor.Government, Result: 35.2, Newest: 1_790_000_000_000},
			{ID: "far/c", Place: geo.LonLat{Lon: -73.45, Lat: -29.56}},
		}
		fs := decode(t, r.Points(nil, tile, points))[0].Features
		if len(fs) != 2 {
			t.Fatalf("z %d: %d points", z, len(fs))
		}
		p := fs[0].Properties
		if p["thing"] != "bureau/a" || p["result"] != 35.2 || p["newest"] != 1_790_000_000.0 || p["fresh"] != 1.0 || p["class"] != "government" {
			t.Errorf("z %d: %+v", z, p)
		}
		if fs[1].Properties["fresh"] != 0.0 || fs[0].ID == fs[1].ID {
			t.Errorf("z %d: %+v", z, fs[1])
		}
		x, y := tile.Fraction(place)
		got := fs[0].Geometry.(orb.Point)
		if math.Abs(got[0]-x*extent) > 17 || math.Abs(got[1]-y*extent) > 17 { // a tile of zoom 24 is 256 of the world's 2^32 units wide
			t.Errorf("z %d: at %v, want %v %v", z, got, x*extent, y*extent)
		}
	}
}

// TestManyTexts: values longer than 127 bytes, and many of them.
func TestManyTexts(t *testing.T) {
	var r Renderer
	place := geo.LonLat{Lon: 106.55, Lat: 29.56}
	long := sensor.ThingID(bytes.Repeat([]byte("长"), 60))
	fs := decode(t, r.Points(nil, geo.TileAt(place, 15), []sensor.PointSummary{{ID: long, Place: place}}))[0].Features
	if fs[0].Properties["thing"] != string(long) {
		t.Errorf("%v", fs[0].Properties)
	}
}

// TestSameAsOrb: the same features written by orb decode to the same tile.
func TestSameAsOrb(t *testing.T) {
	tile := geo.TileAt(geo.LonLat{Lon: 106.55, Lat: 29.56}, 11)
	var r Renderer
	ours := decode(t, r.Cells(nil, tile, around(t, tile, 7)))
	b, err := mvt.Marshal(ours)
	if err != nil {
		t.Fatal(err)
	}
	theirs := decode(t, b)
	if len(ours[0].Features) != len(theirs[0].Features) {
		t.Fatal("orb lost features")
	}
	for i, f := range ours[0].Features {
		g := theirs[0].Features[i]
		if f.ID != g.ID || !orb.Equal(f.Geometry, g.Geometry) || len(f.Properties) != len(g.Properties) {
			t.Fatalf("%+v\n%+v", f, g)
		}
	}
}

// TestOgrinfo has GDAL read a tile.
func TestOgrinfo(t *testing.T) {
	ogrinfo, err := exec.LookPath("ogrinfo")
	if err != nil {
		t.Skip("ogrinfo (Debian: gdal-bin) is not installed")
	}
	tile := geo.TileAt(geo.LonLat{Lon: 106.55, Lat: 29.56}, 12)
	var r Renderer
	dir := t.TempDir()
	file := filepath.Join(dir, tile.String(), "tile.mvt")
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	cells := around(t, tile, 8)
	if err := os.WriteFile(file, r.Cells(nil, tile, cells), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(ogrinfo, "-ro", "-al", "-oo", "CLIP=NO", "MVT:"+file).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	n := 0
	for _, c := range cells {
		if bytes.Contains(out, []byte("cell (String) = "+c.Cell.String())) {
			n++
		}
	}
	if n < 50 || bytes.Contains(out, []byte("ERROR")) || !bytes.Contains(out, []byte("mean (Real)")) {
		t.Errorf("GDAL sees %d cells\n%.2000s", n, out)
	}
}

func TestFeatureID(t *testing.T) {
	seen := map[uint64]geo.Cell{}
	for res := range 14 {
		for _, p := range []geo.LonLat{{Lon: 106.55, Lat: 29.56}, {Lon: 10.5, Lat: 64.7}, {Lon: 0, Lat: -89}} {
			c := h3.CellAt(p, res)
			id := featureID(c)
			if old, taken := seen[id]; taken || id >= 1<<53 {
				t.Errorf("%s: id %d, also of %s", c, id, old)
			}
			seen[id] = c
		}
	}
}
