package registry

import (
	"database/sql"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/situ-city/situ/pkg/geo"
	"github.com/situ-city/situ/pkg/sensor"
)

func testPutAndLookUp(t *testing.T, db fresh) {
	path := db(t)
	r := open(t, path)
	given := thing("city/a")
	given.Serial = "88888880000001"
	stored, err := r.PutThing(t.Context(), given, stream("city/a", "pm2_5", "a34004-Rtd"), &sensor.Datastream{Property: "pm10", Unit: "mg/m3"})
	if err != nil {
		t.Fatal(err)
	}
	if stored.Version != 1 || !stored.Placed || stored.Location != given.Original || stored.CRS != geo.WGS84 {
		t.Errorf("stored %+v", stored)
	}
	if given.Placed || given.Version != 0 {
		t.Errorf("the caller's Thing was changed: %+v", given)
	}
	for _, s := range []*Snapshot{r.Snapshot(), open(t, path).Snapshot()} { // from the write, and from the file
		if s.Version() != 3 || s.Things() != 1 || s.Datastreams() != 2 {
			t.Fatalf("version %d, %d things, %d datastreams", s.Version(), s.Things(), s.Datastreams())
		}
		a, ok := s.Thing("city/a")
		if !ok || a.Name != "渝中站" || a.Class != sensor.Government || a.Grade != sensor.Open {
			t.Errorf("thing %+v %v", a, ok)
		}
		if k, ok := s.ThingByKey(sensor.ThingID("city/a").Key()); !ok || k != a {
			t.Errorf("by key %+v %v", k, ok)
		}
		if id, ok := s.Serial("city", "88888880000001"); !ok || id != "city/a" {
			t.Errorf("by serial %q %v", id, ok)
		}
		if id, ok := s.Serial("town", "88888880000001"); ok {
			t.Errorf("another owner's serial finds %q", id)
		}
		if _, ok := s.Thing("city/b"); ok {
			t.Error("finds city/b")
		}
		if d, ok := s.Datastream(TemplateID("city/a", "pm10")); !ok || d.Unit != "mg/m3" || !IsTemplate(d) {
			t.Errorf("template %+v %v", d, ok)
		}
		if d, ok := s.Datastream(stream("city/a", "pm2_5", "a34004-Rtd").ID); !ok || d.Thing != "city/a" || IsTemplate(d) {
			t.Errorf("datastream %+v %v", d, ok)
		}
		if ds := s.DatastreamsOf("city/a"); len(ds) != 2 || ds[0].Property != "pm10" || ds[1].SourceKey != "a34004-Rtd" {
			t.Errorf("datastreams %v", ds)
		}
	}
}

func testPutIsIdempotentAndOptimistic(t *testing.T, db fresh) {
	r := db.openNew(t)
	first, err := r.PutThing(t.Context(), thing("city/a"))
	if err != nil {
		t.Fatal(err)
	}
	again, err := r.PutThing(t.Context(), thing("city/a"))
	if err != nil || again.Version != first.Version || r.Snapshot().Version() != 1 {
		t.Errorf("the same again: version %d, %v", again.Version, err)
	}
	mine, theirs := *first, *first
	mine.Name = "mine"
	if second, err := r.PutThing(t.Context(), &mine); err != nil || second.Version != 2 {
		t.Fatalf("update over version 1: %+v, %v", second, err)
	}
	theirs.Name = "theirs"
	if _, err := r.PutThing(t.Context(), &theirs); !errors.Is(err, ErrVersion) {
		t.Errorf("update over a version that is gone: %v", err)
	}
	unborn := thing("city/unborn")
	unborn.Version = 7
	if _, err := r.PutThing(t.Context(), unborn); !errors.Is(err, ErrVersion) {
		t.Errorf("update of what is not there: %v", err)
	}
}

func testPutIsAllOrNothing(t *testing.T, db fresh) {
	r := db.openNew(t)
	_, err := r.PutThing(t.Context(), thing("city/a"), stream("city/a", "pm10", "pm10"), &sensor.Datastream{})
	var field *FieldError
	if !errors.As(err, &field) || field.Field != "property" {
		t.Fatalf("err %v", err)
	}
	if s := r.Snapshot(); s.Version() != 0 || s.Things() != 0 {
		t.Errorf("left behind: version %d, %d things", s.Version(), s.Things())
	}
	if s, err := r.PutThing(t.Context(), thing("city/a")); err != nil || s.Version != 1 {
		t.Errorf("after a refusal: %+v %v", s, err)
	}
}

func testRefusals(t *testing.T, db fresh) {
	r := db.openNew(t)
	holder := thing("city/holder")
	holder.Serial = "MN1"
	if _, err := r.PutThing(t.Context(), holder); err != nil {
		t.Fatal(err)
	}
	with := func(change func(*sensor.Thing)) *sensor.Thing { x := thing("city/x"); change(x); return x }
	for name, c := range map[string]struct {
		thing *sensor.Thing
		want  string
	}{
		"id":      {with(func(x *sensor.Thing) { x.ID = "city" }), "not a Thing id"},
		"serial":  {with(func(x *sensor.Thing) { x.Serial = "MN1" }), `serial "MN1" is borne by city/holder`},
		"swapped": {with(func(x *sensor.Thing) { x.Original = geo.LonLat{Lon: 29.5, Lat: 106.5} }), "look swapped; write lon 106.5, lat 29.5"},
		"outside": {with(func(x *sensor.Thing) { x.Original = geo.LonLat{Lon: 206.5, Lat: 29.5} }), "outside the world"},
		"both":    {with(func(x *sensor.Thing) { x.Original = geo.LonLat{Lon: 206.5, Lat: 99.5} }), "lat: 99.5 is outside the world"},
		"no fix":  {with(func(x *sensor.Thing) { x.Original, x.Placed = geo.LonLat{}, true }), "lon: 0, 0 is a place in the Gulf of Guinea"},
		"long":    {with(func(x *sensor.Thing) { x.Name = strings.Repeat("长", 100) }), "name: 300 bytes long; at most 256"},
		"control": {with(func(x *sensor.Thing) { x.Address = "a\nb" }), "address: holds a control character"},
		"utf8":    {with(func(x *sensor.Thing) { x.Name = "\xff" }), "name: not UTF-8"},
		"scenes":  {with(func(x *sensor.Thing) { x.Scenes = make([]string, 17) }), "scenes: 17 tags"},
	} {
		if _, err := r.PutThing(t.Context(), c.thing); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q in it", name, err, c.want)
		}
	}
	if _, err := r.PutDatastream(t.Context(), stream("city/nobody", "pm10", "")); !errors.Is(err, ErrThing) {
		t.Errorf("datastream of an unknown Thing: %v", err)
	}
	wrong := stream("city/holder", "pm10", "")
	wrong.ID++
	if _, err := r.PutDatastream(t.Context(), wrong); err == nil || !strings.Contains(err.Error(), "make it") {
		t.Errorf("datastream with a wrong id: %v", err)
	}
	if v := r.Snapshot().Version(); v != 1 {
		t.Errorf("refusals made changes: version %d", v)
	}
}

// A retired Thing frees its serial: the device that replaces it bears the same MN.
func testSerialMovesToTheSuccessor(t *testing.T, db fresh) {
	r := db.openNew(t)
	put := func(x *sensor.Thing) error { _, err := r.PutThing(t.Context(), x); return err }
	old, next := thing("city/old"), thing("city/new")
	old.Serial, next.Serial = "MN1", "MN1"
	if err := put(old); err != nil {
		t.Fatal(err)
	}
	if err := put(next); !errors.Is(err, ErrSerialTaken) {
		t.Fatalf("taken serial: %v", err)
	}
	old.Retired = true
	if err := errors.Join(put(old), put(next)); err != nil {
		t.Fatal(err)
	}
	if id, _ := r.Snapshot().Serial("city", "MN1"); id != "city/new" {
		t.Errorf("serial finds %q", id)
	}
	old.Retired = false
	if err := put(old); !errors.Is(err, ErrSerialTaken) {
		t.Errorf("back into service: %v", err)
	}
	next.Serial = "MN2"
	if err := errors.Join(put(next), put(old)); err != nil {
		t.Error(err)
	}
	if id, _ := r.Snapshot().Serial("city", "MN1"); id != "city/old" {
		t.Errorf("serial finds %q", id)
	}
}

func testPlace(t *testing.T, db fresh) {
	o := testOptions(t)
	divisions, err := geo.LoadDivisions()
	if err != nil {
		t.Fatal(err)
	}
	o.Divisions, o.CellAt = divisions, func(geo.LonLat) geo.Cell { return 0x8c40e9a1b2c3dff }
	r, err := Open(t.Context(), db(t), o)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	put := func(x *sensor.Thing) *sensor.Thing {
		t.Helper()
		s, err := r.PutThing(t.Context(), x)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	yuzhong, jiangbei := geo.LonLat{Lon: 106.562, Lat: 29.556}, geo.LonLat{Lon: 106.574, Lat: 29.606}

	given := thing("city/a")
	given.Original, given.CRS, given.Cell = yuzhong, geo.GCJ02, 99
	a := put(given)
	if a.Original != yuzhong || a.CRS != geo.GCJ02 || a.Location != geo.ToWGS84(yuzhong, geo.GCJ02) || a.Division != 500103 || a.Cell != 0x8c40e9a1b2c3dff {
		t.Errorf("%+v", a)
	}
	if again := put(a); again != a { // what was stored, given back, changes nothing
		t.Errorf("%+v", again)
	}
	moved := *a
	moved.Original = jiangbei
	if a = put(&moved); a.Division != 500105 {
		t.Errorf("moved, the district that came by itself stays: %+v", a)
	}
	town := thing("city/town")
	town.Original, town.Division = yuzhong, 500103001
	town = put(town)
	moved = *town
	moved.Original = jiangbei
	if s := put(&moved); s.Division != 500103001 {
		t.Errorf("moved, the declared town is gone: %+v", s)
	}
	if s := put(&sensor.Thing{ID: "city/b", CRS: geo.BD09, Cell: 99}); s.Placed || s.Cell != 0 || s.CRS != 0 {
		t.Errorf("without a place: %+v", s)
	}
	if s := put(&sensor.Thing{ID: "city/abroad", Location: geo.LonLat{Lon: -118, Lat: 34}}); !s.Placed || s.Original != s.Location || s.Division != 0 {
		t.Errorf("abroad: %+v", s)
	}
}

func testDeclaredUnits(t *testing.T, db fresh) {
	r := db.openNew(t)
	if _, err := r.PutThing(t.Context(), thing("city/a")); err != nil {
		t.Fatal(err)
	}
	d, err := r.PutDatastream(t.Context(), &sensor.Datastream{Thing: "city/a", Property: "pm10", Unit: "毫克/立方米"})
	if err != nil || d.Unit != "mg/m3" {
		t.Errorf("%+v %v", d, err)
	}
	for _, c := range []struct{ property, unit, want string }{
		{"pm10", "furlong", `unit: "furlong" is not a unit situ knows`}, {"pm10", "Cel", "unit: Cel cannot be converted to ug/m3"}, {"pm99", "", `property: "pm99" is not in the catalogue`},
	} {
		_, err := r.PutDatastream(t.Context(), &sensor.Datastream{Thing: "city/a", Property: sensor.PropertyCode(c.property), Unit: c.unit})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s in %s: %v", c.property, c.unit, err)
		}
	}
}

func testDeclare(t *testing.T, db fresh) {
	path := db(t)
	r := open(t, path)
	if _, err := r.PutThing(t.Context(), thing("city/owned"), &sensor.Datastream{Property: "pm10", Unit: "mg/m3", Interval: time.Minute}); err != nil {
		t.Fatal(err)
	}
	batch := []sensor.Declaration{
		{Thing: &sensor.Thing{ID: "city/owned", Name: "not so"}, Datastream: stream("city/owned", "pm10", "PM10")},
		{Thing: &sensor.Thing{ID: "city/new"}, Datastream: stream("city/new", "", "wobble")},
		{Datastream: stream("city/new", "pm2_5", "pm2_5")},
		{Datastream: stream("city/alone", "pm2_5", "pm2_5")}, // brings its Thing with it
		{Thing: &sensor.Thing{ID: "no id"}},
		{Datastream: &sensor.Datastream{Thing: "city/new", Property: "pm1", ID: 5}},
		{Thing: &sensor.Thing{ID: "city/new"}, Datastream: stream("city/new", "", "wobble")},
	}
	for i, want := range []int{6, 0} {
		if n, err := r.Declare(t.Context(), batch); err != nil || n != want {
			t.Fatalf("call %d: %d new, %v; want %d", i, n, err, want)
		}
	}
	s := open(t, path).Snapshot()
	if x, _ := s.Thing("city/owned"); x.Name != "渝中站" || x.Auto {
		t.Errorf("declared Thing was overwritten: %+v", x)
	}
	if x, ok := s.Thing("city/alone"); !ok || !x.Auto || x.Grade != sensor.Restricted {
		t.Errorf("brought Thing: %+v", x)
	}
	d, ok := s.Datastream(stream("city/owned", "pm10", "PM10").ID)
	if !ok || !d.Auto || d.Unit != "mg/m3" || d.Interval != time.Minute {
		t.Errorf("did not take after its template: %+v", d)
	}
	if s.Version() != 8 {
		t.Errorf("version %d", s.Version())
	}
}

// The owner's word comes later than the first readings: the Datastreams that readings declared take it over.
func testTemplatePassesOn(t *testing.T, db fresh) {
	r := db.openNew(t)
	own := stream("city/a", "pm10", "own")
	own.Unit = "g/m3"
	auto := []*sensor.Datastream{stream("city/a", "pm10", "x"), stream("city/a", "pm10", "y"), stream("city/a", "pm1", "z"),
		{Thing: "city/a", Property: "pm10", Statistic: sensor.Sum, SourceKey: "x-Cou"}}
	auto[3].ID = sensor.NewDatastreamID("city/a", "pm10", sensor.Sum, "x-Cou")
	for _, d := range auto {
		if _, err := r.Declare(t.Context(), []sensor.Declaration{{Datastream: d}}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := r.PutDatastream(t.Context(), own); err != nil {
		t.Fatal(err)
	}
	for _, unit := range []string{"mg/m3", "ug/m3"} {
		if _, err := r.PutDatastream(t.Context(), &sensor.Datastream{Thing: "city/a", Property: "pm10", Unit: unit}); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			d    *sensor.Datastream
			want string
		}{{auto[0], unit}, {auto[1], unit}, {auto[2], ""}, {auto[3], ""}, {own, "g/m3"}} {
			if d, _ := r.Snapshot().Datastream(c.d.ID); d.Unit != c.want {
				t.Errorf("after template %s: %s has unit %q, want %q", unit, d.SourceKey, d.Unit, c.want)
			}
		}
	}
}

func testDeclareLearnsAPosition(t *testing.T, db fresh) {
	r := db.openNew(t)
	at := geo.LonLat{Lon: 106, Lat: 29}
	for _, d := range []sensor.Thing{{ID: "city/a"}, {ID: "city/a", Placed: true, Original: at}, {ID: "city/a", Placed: true, Original: geo.LonLat{Lon: 1, Lat: 1}}} {
		if _, err := r.Declare(t.Context(), []sensor.Declaration{{Thing: &d}}); err != nil {
			t.Fatal(err)
		}
	}
	if x, _ := r.Snapshot().Thing("city/a"); x.Location != at || !x.Auto || x.Version != 2 {
		t.Errorf("%+v", x)
	}
	// An owner's Thing without a position is the owner's word too.
	if _, err := r.PutThing(t.Context(), &sensor.Thing{ID: "city/b"}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Declare(t.Context(), []sensor.Declaration{{Thing: &sensor.Thing{ID: "city/b", Placed: true, Original: at}}}); err != nil {
		t.Fatal(err)
	}
	if x, _ := r.Snapshot().Thing("city/b"); x.Placed || x.Auto {
		t.Errorf("an owner's Thing was placed by a reading: %+v", x)
	}
}

func testBoundOnDatastreams(t *testing.T, db fresh) {
	r := db.openNew(t)
	var many []sensor.Declaration
	for i := range MaxDatastreams + 10 {
		many = append(many, sensor.Declaration{Datastream: stream("city/a", "", strings.Repeat("k", i%100)+string(rune('一'+i)))})
	}
	if n, err := r.Declare(t.Context(), many); err != nil || n != MaxDatastreams+1 {
		t.Errorf("%d new, %v", n, err)
	}
}

func testChangesFeed(t *testing.T, db fresh) {
	r := db.openNew(t)
	if n, err := r.Declare(t.Context(), declarations(20)); err != nil || n != 60 {
		t.Fatal(n, err)
	}
	var since, last uint64
	for {
		page, next, err := r.Changes(t.Context(), since, 7)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range page {
			if c.Number != last+1 || !c.At.Equal(testTime) || (c.Thing == nil) == (c.Datastream == nil) {
				t.Fatalf("change %+v after %d", c, last)
			}
			if last = c.Number; c.Thing != nil && c.Thing.Version != last || c.Datastream != nil && c.Datastream.Version != last {
				t.Errorf("change %d carries another version", last)
			}
		}
		if next == since {
			break
		}
		since = next
	}
	if last != 60 {
		t.Errorf("last change %d", last)
	}
	page, err := r.Page(t.Context(), 59, 0)
	if err != nil {
		t.Fatal(err)
	}
	text, _ := json.Marshal(page)
	want := `{"registry":"` + r.ID() + `","head":60,"changes":[{"number":60,"at":"2026-03-01T04:05:06.789Z","datastream":{"id":"`
	if !strings.HasPrefix(string(text), want) || len(r.ID()) != 32 {
		t.Errorf("page %s", text)
	}
	page, _ = r.Page(t.Context(), 60, 0)
	if text, _ := json.Marshal(page); !strings.HasSuffix(string(text), `"head":60,"changes":[],"next":60}`) {
		t.Errorf("empty page %s", text)
	}
}

func testSupersededWakes(t *testing.T, db fresh) {
	r := db.openNew(t)
	s := r.Snapshot()
	select {
	case <-s.Superseded():
		t.Fatal("superseded before anything happened")
	default:
	}
	if _, err := r.PutThing(t.Context(), thing("city/a")); err != nil {
		t.Fatal(err)
	}
	select {
	case <-s.Superseded():
	default:
		t.Error("not woken")
	}
	if _, ok := s.Thing("city/a"); ok {
		t.Error("an old snapshot changed")
	}
}

func TestOpenRefuses(t *testing.T) {
	raw := func(path string, statements ...string) {
		db, err := sql.Open("sqlite", path)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		for _, s := range statements {
			if _, err := db.Exec(s); err != nil {
				t.Fatal(err)
			}
		}
	}
	prepare := map[string]func(path string){
		"newer": func(p string) {
			r, err := Open(t.Context(), p, Options{})
			if err != nil {
				t.Fatal(err)
			}
			r.Close()
			raw(p, "PRAGMA user_version = 99")
		},
		"foreign": func(p string) { raw(p, "CREATE TABLE songs (name TEXT)") },
		"text":    func(p string) { os.WriteFile(p, []byte(strings.Repeat("no database\n", 100)), 0o600) },
		"corrupt": func(p string) {
			r, err := Open(t.Context(), p, Options{})
			if err == nil {
				_, err = r.PutThing(t.Context(), thing("city/a"))
			}
			if err != nil {
				t.Fatal(err)
			}
			r.Close()
			raw(p, "DELETE FROM things")
		},
		"nonsense": func(p string) {
			r, err := Open(t.Context(), p, Options{})
			if err == nil {
				_, err = r.PutThing(t.Context(), thing("city/a"))
			}
			if err != nil {
				t.Fatal(err)
			}
			r.Close()
			raw(p, "UPDATE changes SET doc = '{'")
		},
		"directory": func(p string) { os.Mkdir(p, 0o700) },
	}
	for name, want := range map[string]string{
		"newer": "schema 99, this build knows up to 1", "foreign": "not a situ registry", "text": "not a database",
		"corrupt": "tables hold 0 Things", "nonsense": "change 1: the registry contradicts itself", "directory": "open registry",
	} {
		path := filepath.Join(t.TempDir(), name+".db")
		prepare[name](path)
		r, err := Open(t.Context(), path, Options{})
		if err == nil {
			r.Close()
			t.Errorf("%s: opened", name)
		} else if !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
}

// Names that mean something in a URI are only names.
func TestOpenStrangePaths(t *testing.T) {
	for _, name := range []string{"a?mode=ro", "登记 簿.db", "100%41#x.db", "a&b=c;d.db"} {
		path := filepath.Join(t.TempDir(), name)
		r := open(t, path)
		if _, err := r.PutThing(t.Context(), thing("city/a")); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := os.Stat(path); err != nil {
			t.Error(err)
		}
	}
}

func TestSettingsOfTheFile(t *testing.T) {
	r := openNew(t)
	var mode string
	var sync, busy int
	err := errors.Join(r.write.QueryRow("PRAGMA journal_mode").Scan(&mode), r.write.QueryRow("PRAGMA synchronous").Scan(&sync),
		r.write.QueryRow("PRAGMA busy_timeout").Scan(&busy))
	if err != nil || mode != "wal" || sync != 2 || busy != 10000 {
		t.Errorf("journal %s, synchronous %d, busy timeout %d, %v", mode, sync, busy, err)
	}
}
