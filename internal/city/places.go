package city

import (
	"errors"
	"math"

	"github.com/situ-city/situ/pkg/geo"
)

// places are the invented town centres: seeded random points inside the town's district.
type places struct {
	div   *geo.Divisions
	towns []town
	total float64 // of weights
}

type town struct {
	code   geo.DivisionCode
	center geo.LonLat
	weight float64 // how many people live there, in no unit
}

// core are the nine central districts of Chongqing, where most of the Things stand.
var core = map[geo.DivisionCode]float64{500103: 9, 500104: 6, 500105: 7, 500106: 7, 500107: 7, 500108: 6, 500109: 4, 500112: 6, 500113: 4}

var errNoDivisions = errors.New("the city needs the administrative divisions, and there are none")

func newPlaces(seed uint64, div *geo.Divisions) (*places, error) {
	p := &places{div: div}
	for _, d := range div.Districts() {
		weight := core[d.Code]
		if weight == 0 {
			weight = 0.8
		}
		towns := div.Towns(d.Code)
		for i, t := range towns {
			center, ok := inside(mix(seed^uint64(t.Code)), div, d.Code)
			if !ok {
				continue
			}
			w := weight / float64(len(towns))
			if i == 0 {
				w *= 3 // the seat of the district
			}
			p.towns = append(p.towns, town{t.Code, center, w})
			p.total += w
		}
	}
	if len(p.towns) == 0 {
		return nil, errNoDivisions
	}
	return p, nil
}

// inside tries points around the district's middle, farther out each time, until one lies in it.
func inside(own uint64, div *geo.Divisions, d geo.DivisionCode) (geo.LonLat, bool) {
	middle, ok := div.Center(d)
	for i := uint64(0); ok && i < 200; i++ {
		reach := 0.35 * unit(own, 0, i)
		p := geo.LonLat{
			Lon: middle.Lon + reach*(2*unit(own, 1, i)-1),
			Lat: middle.Lat + reach*(2*unit(own, 2, i)-1),
		}
		if div.At(p) == d {
			return p, true
		}
	}
	return middle, ok
}

// pick gives a place near a town's centre; spread 1 follows the weights, 0 takes every town alike.
func (p *places) pick(own uint64, spread float64) (geo.LonLat, geo.DivisionCode) {
	x := unit(own, 3, 0)
	t := &p.towns[int(x*float64(len(p.towns)))%len(p.towns)]
	if unit(own, 4, 0) < spread {
		x *= p.total
		for i := range p.towns {
			t = &p.towns[i]
			if x -= t.weight; x < 0 {
				break
			}
		}
	}
	for i := range uint64(20) {
		q := geo.LonLat{
			Lon: t.center.Lon + 0.012*bell(own, 5, i)/math.Cos(t.center.Lat*math.Pi/180),
			Lat: t.center.Lat + 0.012*bell(own, 6, i),
		}
		if p.div.At(q) == t.code.District() {
			return q, t.code
		}
	}
	return t.center, t.code
}
