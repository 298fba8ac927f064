package registry

import (
	"github.com/situ-city/situ/pkg/geo"
	"github.com/situ-city/situ/pkg/sensor"
)

// place fills Location and Cell from what the owner said, or clears them; it gives a Division where none was declared.
// A declared one stands, also where the outline says otherwise: outlines are coarse, and towns have none. A district's
// former code becomes today's.
func (r *Registry) place(t *sensor.Thing) {
	if t.Original == (geo.LonLat{}) && t.Location != (geo.LonLat{}) {
		t.Original, t.CRS = t.Location, geo.WGS84
	}
	t.Placed = t.Placed || t.Original != (geo.LonLat{})
	t.Location, t.Cell = geo.LonLat{}, 0
	if r.opt.Divisions != nil && t.Division != 0 {
		if d, known := r.opt.Divisions.Lookup(t.Division); known {
			t.Division = d.Code
		}
	}
	if !t.Placed {
		t.CRS = 0
		return
	}
	t.Location = geo.ToWGS84(t.Original, t.CRS)
	if r.opt.Divisions != nil && t.Division == 0 {
		t.Division = r.opt.Divisions.At(t.Location)
	}
	if r.opt.CellAt != nil {
		t.Cell = r.opt.CellAt(t.Location)
	}
}

// releaseDivision lets a Thing that moves take the district of its new place, if the one it has came from its old
// place by itself. A declared town, or a district that was declared against the outline, stays.
func (r *Registry) releaseDivision(old, next *sensor.Thing) {
	moved := old.Original != next.Original && (next.Original != geo.LonLat{}) || old.CRS != next.CRS
	if r.opt.Divisions != nil && moved && old.Placed && next.Division == old.Division &&
		r.opt.Divisions.At(old.Location) == old.Division {
		next.Division = 0
	}
}
