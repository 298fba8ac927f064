package senml

import (
	"errors"
	"fmt"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/pkg/geo"
)

// axis tells the two coordinates, which are records of their own with the units lon and lat.
type axis uint8

const (
	noAxis axis = iota
	lon
	lat
)

func axisOf(symbol []byte) axis {
	switch string(symbol) {
	case "lon":
		return lon
	case "lat":
		return lat
	}
	return noAxis
}

// place is where a device was at a time.
type place struct {
	lon, lat decode.Reading
	has      [3]bool // by axis
	used     bool
	err      error
}

func (p *place) any() *decode.Reading {
	if p.has[lon] {
		return &p.lon
	}
	return &p.lat
}

func same(a, b *decode.Reading) bool {
	return a.Time == b.Time && a.FromArrival == b.FromArrival && a.Serial == b.Serial
}

// place keeps a coordinate until its pack is read. false: there is no room; the caller then says so.
func (p *pack) place(a axis, r decode.Reading) bool {
	if n := len(p.places); n > 0 && !p.places[n-1].has[a] && same(p.places[n-1].any(), &r) {
		p.places[n-1].put(a, r)
		return true
	}
	if len(p.out)-p.first+2*len(p.places) >= decode.MaxReadings {
		return false
	}
	p.places = append(p.places, place{})
	p.places[len(p.places)-1].put(a, r)
	return true
}

func (p *place) put(a axis, r decode.Reading) {
	p.has[a] = true
	if a == lon {
		p.lon = r
	} else {
		p.lat = r
	}
}

var (
	errOther   = errors.New("one coordinate without the other")
	errLonely  = fmt.Errorf("%w: %w", errOther, decode.ErrPosition)
	errOutside = fmt.Errorf("lon or lat: %w", decode.ErrPosition)
)

// locate gives the places to the values of the same device and time. Places that nothing else was measured at leave as
// values themselves: a tracker's.
func (p *pack) locate() bool {
	if len(p.places) == 0 {
		return true
	}
	for i := range p.places {
		p.places[i].judge()
	}
	hint := 0
	for i := p.first; i < len(p.out); i++ {
		r := &p.out[i]
		if j, ok := p.at(r, hint); ok {
			hint = j
			p.places[j].used = true
			p.give(r, &p.places[j])
		}
	}
	for i := range p.places {
		if at := &p.places[i]; !at.used && !p.leave(at) {
			return false
		}
	}
	return true
}

func (p *place) judge() {
	switch {
	case !p.has[lon] || !p.has[lat]:
		p.err = errLonely
	case !(geo.LonLat{Lon: p.lon.Number, Lat: p.lat.Number}).Valid():
		p.err = errOutside
	}
}

// at finds the place of a reading. Packs keep their order, so it is usually the last one found or the next.
func (p *pack) at(r *decode.Reading, hint int) (int, bool) {
	for j := range p.places {
		k := hint + j
		if k >= len(p.places) {
			k -= len(p.places)
		}
		if same(p.places[k].any(), r) {
			return k, true
		}
	}
	return 0, false
}

// give places a reading; where that is not to be had, nobody could say where its value holds.
func (p *pack) give(r *decode.Reading, at *place) {
	switch {
	case r.Err != nil:
	case at.err != nil:
		*r = decode.Reading{Serial: r.Serial, Key: r.Key, Property: r.Property,
			Err: &decode.Error{Protocol: p.protocol, Offset: -1, Field: "lon,lat", Err: at.err}}
	default:
		r.Position, r.HasPosition = geo.LonLat{Lon: at.lon.Number, Lat: at.lat.Number}, true
	}
}

func (p *pack) leave(at *place) bool {
	for _, a := range [...]axis{lon, lat} {
		r := at.lon
		if a == lat {
			r = at.lat
		}
		if !at.has[a] {
			continue
		}
		p.give(&r, at)
		if len(p.out)-p.first >= decode.MaxReadings {
			return p.fail(-1, "", fmt.Errorf("more than %d values: %w", decode.MaxReadings, decode.ErrBound))
		}
		p.out = append(p.out, r)
	}
	return true
}
