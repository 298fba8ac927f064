package geo

import (
	"encoding/json"
	"os"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

var loadOnce = sync.OnceValues(LoadDivisions)

func divisions(t testing.TB) *Divisions {
	t.Helper()
	d, err := loadOnce()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestStationsLieInTheirDistricts(t *testing.T) {
	text, err := os.ReadFile(samples(t, "geo/station-in-district.json"))
	if err != nil {
		t.Fatal(err)
	}
	var stations map[string]struct {
		Name     string
		Lon, Lat float64
		District string
	}
	if err := json.Unmarshal(text, &stations); err != nil || len(stations) != 13 {
		t.Fatalf("%d stations, %v", len(stations), err)
	}
	d := divisions(t)
	for id, s := range stations {
		v, _ := d.Lookup(d.At(LonLat{Lon: s.Lon, Lat: s.Lat}))
		if v.Name != s.District {
			t.Errorf("%s %s lies in %q, want %s", id, s.Name, v.Name, s.District)
		}
	}
}

func TestAt(t *testing.T) {
	d := divisions(t)
	for _, tc := range []struct {
		lon, lat float64
		want     DivisionCode
	}{
		{106.5516, 29.5630, 500103}, {107.80, 30.67, 500155}, {107.75, 29.32, 500156}, {108.39, 31.16, 500154},
		{104.07, 30.67, 0}, {0, 0, 0}, {-180, -90, 0}, {180, 90, 0}, {105.2899, 30.0, 0},
	} {
		if got := d.At(LonLat{Lon: tc.lon, Lat: tc.lat}); got != tc.want {
			t.Errorf("%v, %v: %s, want %s", tc.lon, tc.lat, got, tc.want)
		}
	}
}

func TestCentersLieInTheirDistricts(t *testing.T) {
	d := divisions(t)
	districts := d.Districts()
	if len(districts) != 38 {
		t.Fatalf("%d districts", len(districts))
	}
	for _, v := range districts {
		c, ok := d.Center(v.Code)
		if !ok || d.At(c) != v.Code {
			t.Errorf("%s %s: centre %v lies in %s", v.Code, v.Name, c, d.At(c))
		}
	}
}

// The grid must answer as the plain test of every outline would.
func TestAtAgreesWithAllEdges(t *testing.T) {
	d := divisions(t)
	var vertices []LonLat
	for i := range d.outlines.shapes {
		for _, r := range d.outlines.shapes[i].rings {
			vertices = append(vertices, r...)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		p := LonLat{Lon: rapid.Float64Range(105.2, 110.3).Draw(t, "lon"), Lat: rapid.Float64Range(28.0, 32.3).Draw(t, "lat")}
		if rapid.Bool().Draw(t, "near a vertex") {
			v := rapid.SampledFrom(vertices).Draw(t, "vertex")
			off := rapid.SampledFrom([]float64{0, 1e-9, -1e-9, 1e-4, -1e-4, 0.01})
			p = LonLat{Lon: v.Lon + off.Draw(t, "east"), Lat: v.Lat + off.Draw(t, "north")}
		}
		var want DivisionCode
		for i := range d.outlines.shapes {
			if everyEdge(&d.outlines.shapes[i], p) {
				want = d.outlines.shapes[i].code
				break
			}
		}
		if got := d.At(p); got != want {
			t.Fatalf("%v: %s, want %s", p, got, want)
		}
	})
}

func everyEdge(s *shape, p LonLat) bool {
	inside := false
	s.edges(func(e edge) {
		if (e.a.Lat > p.Lat) != (e.b.Lat > p.Lat) && p.Lon < e.a.Lon+(p.Lat-e.a.Lat)/(e.b.Lat-e.a.Lat)*(e.b.Lon-e.a.Lon) {
			inside = !inside
		}
	})
	return inside
}

func TestDivisionsByCodeAndName(t *testing.T) {
	d := divisions(t)
	if n := len(d.All()); n != 1+2+38+1031 {
		t.Errorf("%d divisions", n)
	}
	for _, tc := range []struct {
		code DivisionCode
		want string
		tier Tier
	}{
		{50, "重庆市", TierProvince}, {5001, "市辖区", TierCity}, {500103, "渝中区", TierDistrict}, {500101001, "高笋塘街道", TierTown},
		{500228, "梁平区", TierDistrict}, {500232, "武隆区", TierDistrict}, // former codes
	} {
		v, ok := d.Lookup(tc.code)
		if !ok || v.Name != tc.want || v.Tier != tc.tier {
			t.Errorf("%d: %+v, want %s", tc.code, v, tc.want)
		}
	}
	if v, ok := d.Lookup(999999); ok {
		t.Errorf("999999 is %+v", v)
	}
	if v, _ := d.Lookup(500228); v.Code != 500155 {
		t.Errorf("500228 is %s today, want 500155", v.Code)
	}
	if v := d.ByName("兴隆镇"); len(v) != 4 {
		t.Errorf("%d towns of that name, want 4", len(v))
	}
	if v := d.ByName("武隆县"); len(v) != 1 || v[0].Code != 500156 {
		t.Errorf("a former name finds %v", v)
	}
	if v := d.ByName("nowhere"); len(v) != 0 {
		t.Errorf("nowhere: %v", v)
	}
	towns := 0
	for _, v := range d.Districts() {
		towns += len(d.Towns(v.Code))
	}
	if towns != 1031 {
		t.Errorf("%d towns in districts", towns)
	}
	if c, ok := d.Center(500101001); !ok || d.At(c) != 500101 {
		t.Errorf("a town's centre is %v, want its district's", c)
	}
	if _, ok := d.Center(50); ok {
		t.Error("the province has no outline of its own")
	}
}

func TestGeoJSONForTheMap(t *testing.T) {
	var in struct {
		Type     string
		Features []struct {
			Properties struct{ Code, Name string }
		}
	}
	d := divisions(t)
	if err := json.Unmarshal(d.GeoJSON(), &in); err != nil || in.Type != "FeatureCollection" || len(in.Features) != 38 {
		t.Fatalf("%s of %d, %v", in.Type, len(in.Features), err)
	}
	for _, f := range in.Features {
		code, _ := ParseDivisionCode(f.Properties.Code)
		if v, ok := d.Lookup(code); !ok || v.Name != f.Properties.Name || v.Code != code {
			t.Errorf("outline %s %s is %+v", f.Properties.Code, f.Properties.Name, v)
		}
	}
}

func TestDivisionJSON(t *testing.T) {
	d := divisions(t)
	v, _ := d.Lookup(500103)
	b, err := json.Marshal(v)
	if want := `{"code":"500103","name":"渝中区","tier":"district","parent":"5001","center":[106.56288,29.556742]}`; err != nil || string(b) != want {
		t.Errorf("%s, %v, want %s", b, err, want)
	}
	v, _ = d.Lookup(50)
	if b, _ = json.Marshal(v); strings.Contains(string(b), "center") || strings.Contains(string(b), "parent") {
		t.Errorf("%s", b)
	}
}

func TestOutlineRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"geometry": `{"features":[{"properties":{"code":"500103"},"geometry":{"type":"Point","coordinates":[1,2]}}]}`,
		"no name":  `{"features":[{"properties":{"code":"500999"},"geometry":{"type":"Polygon","coordinates":[]}}]}`,
		"code":     `{"features":[{"properties":{"code":"x"},"geometry":{"type":"Polygon","coordinates":[]}}]}`,
		"former":   `{"features":[{"properties":{"code":"500103","former_code":"x"},"geometry":{"type":"Polygon","coordinates":[]}}]}`,
		"grammar":  `{`,
	} {
		d := &Divisions{byCode: map[DivisionCode]*Division{500103: {}}, byName: map[string][]*Division{}}
		if err := d.readOutlines([]byte(text)); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

func BenchmarkLoadDivisions(b *testing.B) {
	for b.Loop() {
		if _, err := LoadDivisions(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAt(b *testing.B) {
	d := divisions(b)
	places := map[string]LonLat{
		"inside": {Lon: 108.38, Lat: 30.80}, "border": {Lon: 106.56288, Lat: 29.556742}, "outside": {Lon: 2, Lat: 48},
	}
	for name, p := range places {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				d.At(p)
			}
		})
	}
}
