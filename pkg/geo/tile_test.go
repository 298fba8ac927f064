package geo

import (
	"errors"
	"math"
	"testing"

	"pgregory.net/rapid"
)

func TestTileAt(t *testing.T) {
	for _, tc := range []struct {
		lon, lat float64
		z        uint8
		want     string
	}{
		{0, 0, 0, "0/0/0"}, {-180, 85.06, 1, "1/0/0"}, {180, -90, 1, "1/1/1"}, {0, 0, 1, "1/1/1"},
		{106.5516, 29.563, 10, "10/815/423"}, {106.5516, 29.563, 15, "15/26082/13565"}, {180, -90, 24, "24/16777215/16777215"},
	} {
		if got := TileAt(LonLat{Lon: tc.lon, Lat: tc.lat}, tc.z); got.String() != tc.want {
			t.Errorf("%v, %v at %d: %s, want %s", tc.lon, tc.lat, tc.z, got, tc.want)
		}
	}
}

func TestTileBounds(t *testing.T) {
	b := Tile{}.Bounds()
	if b.West != -180 || b.East != 180 || math.Abs(b.North-maxMercatorLat) > 1e-9 || math.Abs(b.South+maxMercatorLat) > 1e-9 {
		t.Errorf("the world is %v", b)
	}
	rapid.Check(t, func(t *rapid.T) {
		z := uint8(rapid.IntRange(0, MaxZoom).Draw(t, "z"))
		p := LonLat{Lon: rapid.Float64Range(-180, 180).Draw(t, "lon"), Lat: rapid.Float64Range(-85, 85).Draw(t, "lat")}
		tile := TileAt(p, z)
		if !tile.Valid() {
			t.Fatalf("%v at %d: %s", p, z, tile)
		}
		if b := tile.Bounds(); p.Lon < b.West-1e-9 || p.Lon > b.East+1e-9 || p.Lat < b.South-1e-9 || p.Lat > b.North+1e-9 {
			t.Fatalf("%v is not in %v of %s", p, b, tile)
		}
		if x, y := tile.Fraction(p); x < -1e-9 || x > 1+1e-9 || y < -1e-6 || y > 1+1e-6 {
			t.Fatalf("%v stands at %v, %v of %s", p, x, y, tile)
		}
		if again, err := ParseTile(tile.String()); err != nil || again != tile {
			t.Fatalf("%s reads as %s, %v", tile, again, err)
		}
		x, y := Mercator(p)
		if q := FromMercator(x, y); math.Abs(q.Lon-p.Lon) > 1e-9 || math.Abs(q.Lat-p.Lat) > 1e-9 {
			t.Fatalf("%v comes back as %v", p, q)
		}
	})
}

func TestParseTileRefuses(t *testing.T) {
	for _, s := range []string{"", "1/2", "1/2/0", "1/0/2", "25/0/0", "-1/0/0", "a/b/c", "1/0/0/0", "0/0/33554431", "999999999999/0/0"} {
		if tile, err := ParseTile(s); !errors.Is(err, ErrTile) {
			t.Errorf("%q: %v, %v", s, tile, err)
		}
	}
}

func TestResolutionForZoom(t *testing.T) {
	want := []int{5, 5, 5, 5, 5, 5, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 9}
	for z, r := range want {
		if got := ResolutionForZoom(uint8(z)); got != r {
			t.Errorf("zoom %d: %d, want %d", z, got, r)
		}
	}
}
