package geo_test

import (
	"fmt"

	"github.com/situ-city/situ/pkg/geo"
)

// A place read off a Chinese map, in the datum of GPS.
func ExampleToWGS84() {
	p := geo.ToWGS84(geo.LonLat{Lon: 106.579, Lat: 29.553}, geo.GCJ02)
	fmt.Printf("%.6f %.6f\n", p.Lon, p.Lat)
	// Output: 106.575311 29.555887
}

func ExampleDivisions_At() {
	divisions, err := geo.LoadDivisions()
	if err != nil {
		fmt.Println(err)
		return
	}
	code := divisions.At(geo.LonLat{Lon: 106.5753, Lat: 29.5559})
	district, _ := divisions.Lookup(code)
	fmt.Println(code, district.Name, len(divisions.Towns(code)), "towns")
	// Output: 500103 渝中区 11 towns
}

func ExampleTileAt() {
	t := geo.TileAt(geo.LonLat{Lon: 106.5753, Lat: 29.5559}, 12)
	fmt.Println(t, geo.ResolutionForZoom(t.Z))
	// Output: 12/3260/1695 8
}

func ExampleCell_Parent() {
	c, err := geo.ParseCell("8c40197196097ff")
	if err != nil {
		fmt.Println(err)
		return
	}
	lo, hi := c.Parent(7).Range(12)
	fmt.Println(c.Parent(7), lo <= c && c <= hi)
	// Output: 874019719ffffff true
}
