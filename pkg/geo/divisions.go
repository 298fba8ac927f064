package geo

import (
	"bytes"
	"compress/gzip"
	"embed"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
)

// ErrDivisions: the embedded outlines or names cannot be read.
var ErrDivisions = errors.New("divisions cannot be read")

//go:embed data/districts.geojson.gz data/divisions.csv.gz
var divisionFiles embed.FS

// Division is one administrative division.
type Division struct {
	Code   DivisionCode
	Name   string
	Tier   Tier
	Parent DivisionCode
	Center *LonLat // a point inside; nil where no outline is known (towns)
}

// MarshalJSON gives {code, name, tier, parent, center: [lon, lat]} (docs/api.md, /v1/divisions).
func (d Division) MarshalJSON() ([]byte, error) {
	out := struct {
		Code   DivisionCode `json:"code"`
		Name   string       `json:"name"`
		Tier   Tier         `json:"tier"`
		Parent DivisionCode `json:"parent,omitempty"`
		Center []float64    `json:"center,omitempty"`
	}{Code: d.Code, Name: d.Name, Tier: d.Tier, Parent: d.Parent}
	if d.Center != nil {
		out.Center = []float64{d.Center.Lon, d.Center.Lat}
	}
	return json.Marshal(out)
}

// String is "province", "city", "district", "town", or "unknown".
func (t Tier) String() string {
	if int(t) < len(tierNames) {
		return tierNames[t]
	}
	return tierNames[0]
}

var tierNames = [...]string{"unknown", "province", "city", "district", "town"}

// MarshalText implements encoding.TextMarshaler.
func (t Tier) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// Divisions are the divisions of Chongqing: the province, its 38 districts and counties with outlines, and 1,031
// towns and sub-districts by name (no outlines of towns are to be had). They never change after loading, so any
// number of goroutines may use them. See data/ATTRIBUTION.md.
type Divisions struct {
	all      []Division // by code
	byCode   map[DivisionCode]*Division
	byName   map[string][]*Division
	outlines outlineIndex
	geojson  []byte
}

// LoadDivisions reads the embedded files, in about 30 ms.
func LoadDivisions() (*Divisions, error) {
	outlines, err := unzip("data/districts.geojson.gz")
	if err != nil {
		return nil, err
	}
	names, err := unzip("data/divisions.csv.gz")
	if err != nil {
		return nil, err
	}
	d := &Divisions{byCode: make(map[DivisionCode]*Division), byName: make(map[string][]*Division), geojson: outlines}
	if err := d.readNames(names); err != nil {
		return nil, fmt.Errorf("%w: names: %w", ErrDivisions, err)
	}
	if err := d.readOutlines(outlines); err != nil {
		return nil, fmt.Errorf("%w: outlines: %w", ErrDivisions, err)
	}
	return d, nil
}

func unzip(name string) ([]byte, error) {
	z, err := divisionFiles.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDivisions, err)
	}
	r, err := gzip.NewReader(bytes.NewReader(z))
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrDivisions, name, err)
	}
	b, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrDivisions, name, err)
	}
	return b, nil
}

func (d *Divisions) readNames(text []byte) error {
	rows, err := csv.NewReader(bytes.NewReader(text)).ReadAll()
	if err != nil {
		return err
	}
	for _, row := range rows[1:] { // level, code, name, parent_code
		code, err := ParseDivisionCode(row[1])
		if err != nil {
			return err
		}
		parent, err := ParseDivisionCode(row[3])
		if err != nil {
			return err
		}
		d.all = append(d.all, Division{Code: code, Name: row[2], Tier: code.Tier(), Parent: parent})
	}
	slices.SortFunc(d.all, func(a, b Division) int { return int(a.Code) - int(b.Code) })
	for i := range d.all {
		v := &d.all[i]
		d.byCode[v.Code] = v
		d.byName[v.Name] = append(d.byName[v.Name], v)
	}
	return nil
}

// outline is one feature of districts.geojson.
type outline struct {
	Properties struct {
		Code       string     `json:"code"`
		Center     [2]float64 `json:"center"`
		FormerCode string     `json:"former_code"`
		FormerName string     `json:"former_name"`
	} `json:"properties"`
	Geometry struct {
		Type        string          `json:"type"`
		Coordinates json.RawMessage `json:"coordinates"`
	} `json:"geometry"`
}

func (d *Divisions) readOutlines(text []byte) error {
	var in struct {
		Features []outline `json:"features"`
	}
	if err := json.Unmarshal(text, &in); err != nil {
		return err
	}
	var shapes []shape
	for i := range in.Features {
		f := &in.Features[i]
		code, err := ParseDivisionCode(f.Properties.Code)
		if err != nil {
			return err
		}
		v, ok := d.byCode[code]
		if !ok {
			return fmt.Errorf("outline of %s, which has no name", code)
		}
		v.Center = &LonLat{Lon: f.Properties.Center[0], Lat: f.Properties.Center[1]}
		if err := d.addFormer(f, v); err != nil {
			return err
		}
		s, err := newShape(code, f.Geometry.Type, f.Geometry.Coordinates)
		if err != nil {
			return fmt.Errorf("outline of %s: %w", code, err)
		}
		shapes = append(shapes, s)
	}
	d.outlines = newOutlineIndex(shapes)
	return nil
}

// addFormer lets a division be found by the code and name it had before.
func (d *Divisions) addFormer(f *outline, v *Division) error {
	if f.Properties.FormerCode == "" {
		return nil
	}
	former, err := ParseDivisionCode(f.Properties.FormerCode)
	if err != nil {
		return err
	}
	d.byCode[former] = v
	d.byName[f.Properties.FormerName] = append(d.byName[f.Properties.FormerName], v)
	return nil
}

// At gives the code of the district that p (WGS 84) lies in, zero when in none. It does not allocate.
func (d *Divisions) At(p LonLat) DivisionCode { return d.outlines.at(p) }

// Lookup finds a division by its code. Districts that were renumbered are found by their former code too, and
// come back with today's.
func (d *Divisions) Lookup(code DivisionCode) (Division, bool) {
	v, ok := d.byCode[code]
	if !ok {
		return Division{}, false
	}
	return *v, true
}

// ByName finds divisions by their full name (today's, or a district's former one). Towns share names, so there may
// be several, by rising code.
func (d *Divisions) ByName(name string) []Division { return copies(d.byName[name]) }

// All lists every division by rising code: the province, the two formal cities, districts, towns.
func (d *Divisions) All() []Division { return slices.Clone(d.all) }

// Districts lists the districts and counties by rising code.
func (d *Divisions) Districts() []Division {
	return slices.DeleteFunc(d.All(), func(v Division) bool { return v.Tier != TierDistrict })
}

// Towns lists the towns and sub-districts of a district by rising code.
func (d *Divisions) Towns(district DivisionCode) []Division {
	return slices.DeleteFunc(d.All(), func(v Division) bool { return v.Tier != TierTown || v.Parent != district })
}

// Center gives a point inside the division: its own label point, or its district's for a town.
func (d *Divisions) Center(code DivisionCode) (LonLat, bool) {
	v, ok := d.byCode[code]
	if ok && v.Center == nil && v.Tier == TierTown {
		v, ok = d.byCode[v.Parent]
	}
	if !ok || v.Center == nil {
		return LonLat{}, false
	}
	return *v.Center, true
}

// Bounds is the box around all outlines.
func (d *Divisions) Bounds() Box { return d.outlines.bounds }

// GeoJSON is a FeatureCollection of the districts' outlines with properties code, name and center.
// The bytes are shared: callers do not change them.
func (d *Divisions) GeoJSON() []byte { return d.geojson }

func copies(in []*Division) []Division {
	out := make([]Division, 0, len(in))
	for _, v := range in {
		out = append(out, *v)
	}
	return out
}
