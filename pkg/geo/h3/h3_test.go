package h3

import (
	"bufio"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/situ-city/situ/pkg/geo"
)

// samples opens a file of the shared samples, or skips the test saying how to give it.
func samples(t *testing.T, name string) *bufio.Scanner {
	t.Helper()
	dir := os.Getenv("SITU_SAMPLES")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "..", "shared", "samples")
	}
	f, err := os.Open(filepath.Join(dir, "h3", name))
	if err != nil {
		t.Skipf("no samples: %v (set SITU_SAMPLES to the directory that holds them)", err)
	}
	t.Cleanup(func() { f.Close() })
	return bufio.NewScanner(f)
}

// H3's own files: index, latitude, longitude (0 to 360 in some). The points are the cells' centres, in the rand files
// any points of the cells.
func TestCentersOfH3(t *testing.T) {
	for _, name := range []string{"bc05r08centers.txt", "bc14r09centers.txt", "bc19r10centers.txt", "rand05centers.txt", "rand10centers.txt", "res00ic.txt"} {
		t.Run(name, func(t *testing.T) {
			n := 0
			for in := samples(t, name); in.Scan(); n++ {
				var text string
				var p geo.LonLat
				if _, err := fmt.Sscan(in.Text(), &text, &p.Lat, &p.Lon); err != nil {
					t.Fatalf("%q: %v", in.Text(), err)
				}
				if p.Lon > 180 {
					p.Lon -= 360
				}
				want, err := geo.ParseCell(text)
				if err != nil {
					t.Fatalf("%q: %v", text, err)
				}
				if got := CellAt(p, want.Resolution()); got != want {
					t.Fatalf("%v is in %s, want %s", p, got, want)
				}
				c, err := Center(want)
				if err != nil || geo.Metres(c, p) > 1 && !strings.HasPrefix(name, "rand") {
					t.Fatalf("centre of %s is %v, %v, want %v", want, c, err, p)
				}
			}
			if n == 0 {
				t.Error("empty file")
			}
		})
	}
}

// H3's file of boundaries: an index, then its corners between braces.
func TestBoundariesOfH3(t *testing.T) {
	in := samples(t, "bc05r08cells.txt")
	cells := 0
	for in.Scan() {
		c, err := geo.ParseCell(strings.TrimSpace(in.Text()))
		if err != nil {
			t.Fatalf("%q: %v", in.Text(), err)
		}
		corners, err := AppendBoundary(nil, c)
		if err != nil {
			t.Fatal(err)
		}
		in.Scan() // {
		for i := 0; in.Scan() && strings.TrimSpace(in.Text()) != "}"; i++ {
			var p geo.LonLat
			if _, err := fmt.Sscan(in.Text(), &p.Lat, &p.Lon); err != nil {
				t.Fatalf("%q: %v", in.Text(), err)
			}
			if i >= len(corners) || geo.Metres(corners[i], p) > 0.1 {
				t.Errorf("corner %d of %s: %v, want %v", i, c, corners, p)
				break
			}
		}
		cells++
	}
	if cells == 0 {
		t.Error("no cells read")
	}
}

func anywhere(t *rapid.T) geo.LonLat {
	return geo.LonLat{Lon: rapid.Float64Range(-180, 180).Draw(t, "lon"), Lat: rapid.Float64Range(-90, 90).Draw(t, "lat")}
}

// geo.Cell does by bits what the library does by cgo.
func TestBitArithmeticAgreesWithTheLibrary(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		own := rapid.IntRange(0, 15).Draw(t, "own")
		c := CellAt(anywhere(t), own)
		if !c.Valid() || !Valid(c) || c.Resolution() != own {
			t.Fatalf("%s of resolution %d", c, c.Resolution())
		}
		res := rapid.IntRange(0, own).Draw(t, "res")
		parent := c.Parent(res)
		if !Valid(parent) {
			t.Fatalf("parent %s of %s does not exist", parent, c)
		}
		lo, hi := parent.Range(own)
		if c < lo || c > hi {
			t.Fatalf("%s is not between %s and %s of its parent %s", c, lo, hi, parent)
		}
		children, err := Children(parent, min(res+2, 15))
		if err != nil {
			t.Fatal(err)
		}
		for _, child := range children {
			if child.Parent(res) != parent {
				t.Fatalf("child %s of %s has parent %s", child, parent, child.Parent(res))
			}
			if lo, hi := parent.Range(child.Resolution()); child < lo || child > hi {
				t.Fatalf("child %s is not between %s and %s", child, lo, hi)
			}
		}
		if own > 0 { // and the range holds nobody else's
			other := CellAt(anywhere(t), own)
			if other.Parent(res) != parent && other >= lo && other <= hi {
				t.Fatalf("%s lies between %s and %s of %s", other, lo, hi, parent)
			}
		}
	})
}

func TestCoverHoldsEveryPoint(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, res := anywhere(t), rapid.IntRange(3, 9).Draw(t, "res")
		size := rapid.Float64Range(0, 20).Draw(t, "cells wide") * 2 / math.Pow(math.Sqrt(7), float64(res-3))
		a.Lat *= 75.0 / 90
		b := geo.Box{West: a.Lon, South: a.Lat, East: math.Min(180, a.Lon+size), North: math.Min(75, a.Lat+size)}
		cells, err := Cover(b, res)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.IsSorted(cells) {
			t.Fatal("not sorted")
		}
		p := geo.LonLat{Lon: rapid.Float64Range(b.West, b.East).Draw(t, "east"), Lat: rapid.Float64Range(b.South, b.North).Draw(t, "north")}
		if c := CellAt(p, res); !slices.Contains(cells, c) {
			t.Fatalf("%v of %v is in %s, which is not among the %d", p, b, c, len(cells))
		}
	})
}

// What a viewport asks for must not be much more than what it shows.
func TestCoverOfAViewport(t *testing.T) {
	b := geo.Box{West: 106.3, South: 29.4, East: 106.8, North: 29.8}
	cells, err := Cover(b, 8)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range cells {
		corners, err := AppendBoundary(nil, c)
		if err != nil {
			t.Fatal(err)
		}
		box := geo.Box{West: 180, South: 90, East: -180, North: -90}
		for _, p := range corners {
			box = geo.Box{West: min(box.West, p.Lon), South: min(box.South, p.Lat), East: max(box.East, p.Lon), North: max(box.North, p.Lat)}
		}
		if box.West > b.East || b.West > box.East || box.South > b.North || b.South > box.North {
			t.Errorf("%s does not touch the box", c)
		}
	}
	area, err := Area(cells[0])
	if err != nil {
		t.Fatal(err)
	}
	if want := boxArea(b) / area; float64(len(cells)) < want || float64(len(cells)) > 1.2*want {
		t.Errorf("%d cells, want about %.0f", len(cells), want)
	}
}

func TestCoverAcrossTheAntimeridian(t *testing.T) {
	cells, err := Cover(geo.Box{West: 179.5, South: -10, East: -179.5, North: -9}, 6)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []geo.LonLat{{Lon: 179.7, Lat: -9.5}, {Lon: -179.7, Lat: -9.5}, {Lon: 180, Lat: -9.2}} {
		if !slices.Contains(cells, CellAt(p, 6)) {
			t.Errorf("%v is not covered by the %d cells", p, len(cells))
		}
	}
}

func TestCoverOfTheWorld(t *testing.T) {
	world := geo.Box{West: -180, South: -90, East: 180, North: 90}
	cells, err := Cover(world, 0)
	if err != nil || len(cells) != 122 {
		t.Errorf("%d cells of resolution 0, %v, want 122", len(cells), err)
	}
	if cells, err := Cover(world, 9); !errors.Is(err, ErrCover) {
		t.Errorf("%d cells, %v", len(cells), err)
	}
}

func TestRefusals(t *testing.T) {
	for _, p := range []geo.LonLat{{Lon: 181}, {Lat: -91}, {Lon: math.NaN()}, {Lat: math.Inf(1)}} {
		if c := CellAt(p, 9); c != 0 {
			t.Errorf("%v is in %s", p, c)
		}
	}
	if c := CellAt(geo.LonLat{}, 16); c != 0 {
		t.Errorf("resolution 16: %s", c)
	}
	const bad = geo.Cell(0x85283473ffffff0) // digits after the 7s
	if Valid(bad) || Valid(0) || Valid(1<<63) {
		t.Error("an index that does not exist is valid")
	}
	if _, err := Center(0); !errors.Is(err, geo.ErrCell) {
		t.Errorf("centre of nothing: %v", err)
	}
	kept := []geo.LonLat{{Lon: 1}}
	if got, err := AppendBoundary(kept, 0); !errors.Is(err, geo.ErrCell) || len(got) != 1 {
		t.Errorf("boundary of nothing: %v, %v", got, err)
	}
	if _, err := Area(0); !errors.Is(err, geo.ErrCell) {
		t.Errorf("area of nothing: %v", err)
	}
	c := CellAt(geo.LonLat{Lon: 106.5, Lat: 29.5}, 5)
	if _, err := Children(c, 4); !errors.Is(err, ErrResolution) {
		t.Errorf("children coarser: %v", err)
	}
	if _, err := Children(c, 15); !errors.Is(err, ErrCover) {
		t.Errorf("282 million children: %v", err)
	}
	for _, b := range []geo.Box{{South: 2, North: 1}, {West: -181, East: 1}, {East: math.NaN()}, {North: 91}} {
		if _, err := Cover(b, 5); !errors.Is(err, geo.ErrPosition) {
			t.Errorf("%v: %v", b, err)
		}
	}
	if _, err := Cover(geo.Box{}, 16); !errors.Is(err, ErrResolution) {
		t.Errorf("cover at 16: %v", err)
	}
}

func Example() {
	c := CellAt(geo.LonLat{Lon: 106.5516, Lat: 29.563}, StoredResolution)
	fmt.Println(c, c.Parent(7))
	// Output: 8c40197196097ff 874019719ffffff
}

func BenchmarkCellAt(b *testing.B) {
	b.ReportAllocs()
	p := geo.LonLat{Lon: 106.55, Lat: 29.56}
	for b.Loop() {
		if CellAt(p, StoredResolution) == 0 {
			b.Fatal("no cell")
		}
	}
}

func BenchmarkAppendBoundary(b *testing.B) {
	b.ReportAllocs()
	c := CellAt(geo.LonLat{Lon: 106.55, Lat: 29.56}, 8)
	var room []geo.LonLat
	for b.Loop() {
		room, _ = AppendBoundary(room[:0], c)
	}
}

func BenchmarkCoverViewport(b *testing.B) {
	b.ReportAllocs()
	box := geo.Box{West: 106.3, South: 29.4, East: 106.8, North: 29.8}
	n := 0
	for b.Loop() {
		cells, err := Cover(box, 8)
		if err != nil {
			b.Fatal(err)
		}
		n = len(cells)
	}
	b.ReportMetric(float64(n), "cells/op")
}
