package normalize

import (
	"fmt"
	"math"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/pkg/geo"
	"github.com/situ-city/situ/pkg/sensor"
)

// placed is the position that the last reading of the message had; its neighbours usually have the same.
type placed struct {
	known    bool
	from     geo.LonLat // the payload's numbers
	lon, lat int32
	moving   bool
}

// A payload whose swapped position is this near to the registered place, and whose own is this far, is swapped.
const (
	swappedWithin = 5_000.0
	swappedBeyond = 100_000.0
)

// position places the observation, and declares the Thing while the ledger does not know it or its place.
func (n *Normalizer) position(o *sensor.Observation, t *thing, r *decode.Reading) *refusal {
	if !r.HasPosition || r.Position == (geo.LonLat{}) {
		if r.HasPosition {
			n.outcome.NoFix++
		}
		o.Lon, o.Lat = t.lon, t.lat
		if t.entry != nil {
			o.Cell = t.entry.Cell
		}
		if t.entry == nil && n.due(t.declared) {
			n.declareThing(t, r.Serial, geo.LonLat{}, geo.WGS84, geo.LonLat{}, false)
		}
		return nil
	}
	if !n.place.known || n.place.from != r.Position {
		if why := n.locate(t, r); why != nil {
			return why
		}
	}
	o.Lon, o.Lat = n.place.lon, n.place.lat
	if n.place.moving {
		o.Quality |= sensor.Moving
	}
	return nil
}

// locate works out where the payload says the Thing is.
func (n *Normalizer) locate(t *thing, r *decode.Reading) *refusal {
	crs := n.src.CRS
	if crs == geo.WGS84 && t.entry != nil {
		crs = t.entry.CRS
	}
	if !r.Position.Valid() {
		return outside(r.Position)
	}
	p := geo.ToWGS84(r.Position, crs)
	moving := false
	if e := t.entry; e != nil && e.Placed {
		if away := geo.Metres(p, e.Location); away > movingMetres {
			moving = true
			if why := swapped(r.Position, crs, e.Location, away); why != nil {
				return why
			}
		}
	}
	n.place = placed{known: true, from: r.Position, moving: moving}
	n.place.lon, n.place.lat = p.E7()
	if e := t.entry; (e == nil || e.Auto && !e.Placed) && n.due(t.declared) {
		n.declareThing(t, r.Serial, r.Position, crs, p, true)
	}
	return nil
}

func outside(p geo.LonLat) *refusal {
	if turned := (geo.LonLat{Lon: p.Lat, Lat: p.Lon}); turned.Valid() {
		return &refusal{sensor.ReasonPosition, fmt.Sprintf(
			"lat %v is beyond 90 degrees, but lon %v, lat %v is a place: longitude and latitude look swapped; send lon %v, lat %v",
			p.Lat, turned.Lon, turned.Lat, turned.Lon, turned.Lat)}
	}
	return &refusal{sensor.ReasonPosition, fmt.Sprintf(
		"lon %v, lat %v is outside the world; send degrees, lon -180 to 180, lat -90 to 90 (not degrees and minutes, not metres)", p.Lon, p.Lat)}
}

// swapped refuses a position that is a valid place far from the Thing's registered one while its two numbers,
// exchanged, stand right beside it. (In China west of 90 degrees both orders are places on the Earth.)
func swapped(p geo.LonLat, crs geo.CRS, registered geo.LonLat, away float64) *refusal {
	turned := geo.LonLat{Lon: p.Lat, Lat: p.Lon}
	if away < swappedBeyond || !turned.Valid() {
		return nil
	}
	near := geo.Metres(geo.ToWGS84(turned, crs), registered)
	if near > swappedWithin {
		return nil
	}
	return &refusal{sensor.ReasonPosition, fmt.Sprintf(
		"lon %v, lat %v is %.0f km from the registered place, but exchanged it is %.0f m from it: longitude and latitude look swapped; send lon %v, lat %v",
		p.Lon, p.Lat, away/1000, near, turned.Lon, turned.Lat)}
}

var nan = math.NaN()
