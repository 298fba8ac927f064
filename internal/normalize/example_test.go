package normalize_test

import (
	"fmt"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/internal/normalize"
	"github.com/situ-city/situ/pkg/geo"
	"github.com/situ-city/situ/pkg/sensor"
)

// A water level of an owner who measures in centimetres on a GCJ-02 map.
func Example() {
	catalogue, err := sensor.LoadCatalogue()
	if err != nil {
		fmt.Println(err)
		return
	}
	gcj := geo.LonLat{Lon: 106.579, Lat: 29.553}
	ledger := &book{}
	ledger.put(&sensor.Thing{ID: "water/cuntan", Placed: true, CRS: geo.GCJ02, Original: gcj, Location: geo.ToWGS84(gcj, geo.GCJ02)},
		&sensor.Datastream{Property: "water_level", SourceKey: "sw", Unit: "cm"})
	n := normalize.New(normalize.Options{Catalogue: catalogue, Ledger: func() normalize.Ledger { return ledger }})

	source := normalize.Source{Topic: "situ/v1/water/cuntan/json", Protocol: "json", Thing: "water/cuntan"}
	live, backfill := sensor.Message{Arrival: 1767254400000}, sensor.Message{}
	n.Normalize(&source, []decode.Reading{{Key: "sw", Property: "sw", Number: 16023, Time: 1767254390000}}, nil, &live, &backfill)
	o := live.Observations[0]
	p, _ := o.Position()
	fmt.Printf("%v m at %.5f, %.5f, %s\n", o.Result, p.Lon, p.Lat, o.Quality)
	// Output: 160.23 m at 106.57531, 29.55589, good
}
