package doc

import (
	"strings"

	"github.com/tidwall/gjson"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/pkg/geo"
)

// Place looks among an object's own members for a longitude and a latitude by their usual names, which become the
// position in Base. It reports whether there is such a pair: its two members are then no values (IsPlace). A pair that
// is no place leaves as a Reading with Err, since nobody could say where the Thing was.
func (w *Walk) Place(object gjson.Result) bool {
	var lon, lat gjson.Result
	for m := w.Members(object); m.Next(); {
		switch placeOf(m.Name()) {
		case 'o':
			lon = m.Value()
		case 'a':
			lat = m.Value()
		}
	}
	if !lon.Exists() || !lat.Exists() {
		return false
	}
	w.At(lon, lat)
	return true
}

// maxWithin bounds how deep PlaceWithin looks.
const maxWithin = 4

// PlaceWithin is Place, but where an object has no pair of its own the first that stands in an object inside it counts
// (gps_1: {latitude, longitude}, as decoders of LoRaWAN frames have it). InPlace then tells its members by flattened name.
func (w *Walk) PlaceWithin(object gjson.Result) bool {
	if !object.IsObject() {
		return false
	}
	return w.Place(object) || w.within(w.Members(object), maxWithin)
}

func (w *Walk) within(m Members, depth int) bool {
	for depth > 0 && m.Next() {
		v := m.Value()
		if !v.IsObject() {
			continue
		}
		var lon, lat gjson.Result
		for inner := m.Members(); inner.Next(); {
			switch placeOf(inner.Name()) {
			case 'o':
				lon = inner.Value()
			case 'a':
				lat = inner.Value()
			}
		}
		if lon.Exists() && lat.Exists() {
			w.At(lon, lat)
			return true
		}
		if w.within(m.Members(), depth-1) {
			return true
		}
	}
	return false
}

// InPlace is IsPlace for the last part of a flattened name.
func InPlace(name string) bool { return IsPlace(name[strings.LastIndexByte(name, '.')+1:]) }

// At puts a position into Base, or adds a Reading with Err if the two are none. Both null leaves Base as it is.
func (w *Walk) At(lon, lat gjson.Result) {
	p, ok, err := Position(lon, lat)
	if err != nil {
		w.Refuse("lon,lat", lon, err)
	} else if ok {
		w.Base.Position, w.Base.HasPosition = p, true
	}
}

// Fix adds the value that stands for the position in Base: 1, or 0 where there is none, or 0, 0 for it.
func (w *Walk) Fix() {
	x := 0.0
	if w.Base.HasPosition && w.Base.Position != (geo.LonLat{}) {
		x = 1
	}
	w.Number(decode.PositionFix, x, "")
}

// IsPlace reports whether a name is one that Place looks for.
func IsPlace(name string) bool { return placeOf(name) != 0 }

// placeOf gives 'o' for a longitude's name and 'a' for a latitude's.
func placeOf(name string) byte {
	if len(name) < 3 || len(name) > 9 || name[0]|0x20 != 'l' {
		return 0
	}
	switch strings.ToLower(name) {
	case "lon", "lng", "long", "longitude":
		return 'o'
	case "lat", "latitude":
		return 'a'
	}
	return 0
}
