package registry

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/situ-city/situ/pkg/geo"
	"github.com/situ-city/situ/pkg/sensor"
)

// tables compares what SQL says is true now with a snapshot.
func tables(ctx context.Context, db *sql.DB, s *Snapshot) error {
	things, streams := 0, 0
	rows, err := db.QueryContext(ctx, `SELECT t.id, t.serial, c.kind, c.number, c.doc FROM things t JOIN changes c ON c.number = t.change
		UNION ALL SELECT '', NULL, c.kind, c.number, c.doc FROM datastreams d JOIN changes c ON c.number = d.change`)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var id, doc string
		var serial sql.NullString
		var kind int
		var number uint64
		if err := rows.Scan(&id, &serial, &kind, &number, &doc); err != nil {
			return err
		}
		if kind == kindThing {
			var want sensor.Thing
			things++
			got, ok := s.Thing(sensor.ThingID(id))
			if err := json.Unmarshal([]byte(doc), &want); err != nil || !ok || !reflect.DeepEqual(got, &want) || got.Version != number {
				return fmt.Errorf("SQL says %s, the snapshot %+v (%w)", doc, got, errors.Join(err))
			}
			if serial.Valid != bearsSerial(got) || serial.Valid && serial.String != got.Serial {
				return fmt.Errorf("serial column %v of %+v", serial, got)
			}
			continue
		}
		var want sensor.Datastream
		streams++
		err := json.Unmarshal([]byte(doc), &want)
		got, ok := s.Datastream(want.ID)
		if err != nil || !ok || !reflect.DeepEqual(got, &want) || got.Version != number {
			return fmt.Errorf("SQL says %s, the snapshot %+v (%w)", doc, got, errors.Join(err))
		}
	}
	if things != s.Things() || streams != s.Datastreams() {
		return fmt.Errorf("SQL has %d Things and %d Datastreams, the snapshot %d and %d", things, streams, s.Things(), s.Datastreams())
	}
	return rows.Err()
}

var (
	someIDs        = rapid.SampledFrom([]sensor.ThingID{"a/1", "a/2", "a/3", "b/1", "b/2", "站/一"})
	someSerials    = rapid.SampledFrom([]string{"", "MN1", "MN2", "MN3"})
	someProperties = rapid.SampledFrom([]sensor.PropertyCode{"pm10", "pm2_5", "o3"})
	someKeys       = rapid.SampledFrom([]string{"", "x", "a34002-Rtd", "温度"})
	someUnits      = rapid.SampledFrom([]string{"", "ug/m3", "mg/m3"})
	someStatistics = rapid.SampledFrom([]sensor.Statistic{sensor.Instant, sensor.Average, sensor.Sum})
)

func drawThing(t *rapid.T) *sensor.Thing {
	x := &sensor.Thing{
		ID: someIDs.Draw(t, "id"), Serial: someSerials.Draw(t, "serial"), Retired: rapid.Bool().Draw(t, "retired"),
		Name: rapid.SampledFrom([]string{"", "one", "名 <&>\u2028"}).Draw(t, "name"),
	}
	if rapid.Bool().Draw(t, "placed") {
		x.Original = geo.LonLat{Lon: rapid.Float64Range(-180, 180).Draw(t, "lon"), Lat: rapid.Float64Range(-90, 90).Draw(t, "lat")}
		x.CRS = rapid.SampledFrom([]geo.CRS{geo.WGS84, geo.CGCS2000, geo.GCJ02, geo.BD09}).Draw(t, "crs")
	}
	return x
}

func drawStream(t *rapid.T) *sensor.Datastream {
	d := &sensor.Datastream{Thing: someIDs.Draw(t, "thing"), Property: someProperties.Draw(t, "property"),
		SourceKey: someKeys.Draw(t, "key"), Statistic: someStatistics.Draw(t, "statistic"), Unit: someUnits.Draw(t, "unit")}
	d.ID = sensor.NewDatastreamID(d.Thing, d.Property, d.Statistic, d.SourceKey)
	return d
}

// Whatever is done in whatever order: snapshot, SQL, the file opened again, the feed played from its start, and the
// snapshot file all say the same; an owner's word is never undone by a reading's; a version names one state.
func testModel(outer *testing.T, db fresh) {
	o := testOptions(outer)
	rapid.Check(outer, func(t *rapid.T) {
		dir, err := os.MkdirTemp("", "registry")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		ctx, path := context.Background(), db(outer)
		r, err := Open(ctx, path, o)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { r.Close() }() // the one that is open then
		if !IsPostgres(path) {
			if _, err := r.write.Exec("PRAGMA synchronous = OFF"); err != nil { // power loss is not this test's matter
				t.Fatal(err)
			}
		}
		actions := map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				x, before := drawThing(t), r.Snapshot()
				stored, err := r.PutThing(ctx, x, &sensor.Datastream{Property: someProperties.Draw(t, "property"), Unit: someUnits.Draw(t, "unit")})
				if err != nil {
					if !errors.Is(err, ErrSerialTaken) || r.Snapshot() != before {
						t.Fatal(err)
					}
					return
				}
				if got, ok := r.Snapshot().Thing(x.ID); !ok || got.Version != stored.Version || got.Auto || got.Name != x.Name || got.Serial != x.Serial {
					t.Fatalf("put %+v, found %+v", x, got)
				}
			},
			"stream": func(t *rapid.T) {
				d := drawStream(t)
				_, known := r.Snapshot().Thing(d.Thing)
				stored, err := r.PutDatastream(ctx, d)
				if (err == nil) != known {
					t.Fatalf("Thing known %v, %v", known, err)
				}
				if known && (stored.Unit != d.Unit || stored.Auto) {
					t.Fatalf("put %+v, stored %+v", d, stored)
				}
			},
			"declare": func(t *rapid.T) {
				before := r.Snapshot()
				fresh, err := r.Declare(ctx, []sensor.Declaration{{Thing: drawThing(t), Datastream: drawStream(t)}, {Datastream: drawStream(t)}})
				s := r.Snapshot()
				if err != nil || fresh != s.Things()-before.Things()+s.Datastreams()-before.Datastreams() {
					t.Fatalf("%d fresh, %v", fresh, err)
				}
				for x := range before.ThingsFrom(0) {
					if now, _ := s.Thing(x.ID); !x.Auto && now.Version != x.Version {
						t.Fatalf("declared Thing %+v became %+v", x, now)
					}
				}
				for d := range before.DatastreamsFrom(0) {
					if now, _ := s.Datastream(d.ID); !d.Auto && now.Version != d.Version {
						t.Fatalf("declared Datastream %+v became %+v", d, now)
					}
				}
			},
			"reopen": func(t *rapid.T) {
				before := r.Snapshot()
				if err := r.Close(); err != nil {
					t.Fatal(err)
				}
				if r, err = Open(ctx, path, o); err != nil {
					t.Fatal(err)
				}
				sameSnapshots(t, before, r.Snapshot())
			},
		}
		names := slices.Sorted(maps.Keys(actions))
		most := 14 // few: under the race detector SQLite takes its time
		if IsPostgres(path) {
			most = 4 // and opening anew takes longer there
		}
		for range rapid.IntRange(1, most).Draw(t, "steps") {
			actions[rapid.SampledFrom(names).Draw(t, "do")](t)
		}
		s := r.Snapshot()
		if err := tables(ctx, r.read, s); err != nil {
			t.Fatal(err)
		}
		played := emptySnapshot(s.id).draft()
		last := uint64(0)
		if err := readChanges(ctx, r.read, 0, -1, func(c Change) error {
			if c.Number != last+1 {
				t.Fatalf("change %d after %d", c.Number, last)
			}
			last = c.Number
			return played.apply(c)
		}); err != nil {
			t.Fatal(err)
		}
		sameSnapshots(t, s, played.finish(last))
		file := filepath.Join(dir, "snapshot")
		if err := WriteSnapshot(file, s); err != nil {
			t.Fatal(err)
		}
		back, err := LoadSnapshot(file)
		if err != nil {
			t.Fatal(err)
		}
		sameSnapshots(t, s, back)
	})
}

func sameSnapshots(t *rapid.T, a, b *Snapshot) {
	t.Helper()
	if a.version != b.version || a.id != b.id || a.Things() != b.Things() || a.Datastreams() != b.Datastreams() || a.serials.n != b.serials.n {
		t.Fatalf("version %d with %d, %d, %d; version %d with %d, %d, %d", a.version, a.Things(), a.Datastreams(), a.serials.n,
			b.version, b.Things(), b.Datastreams(), b.serials.n)
	}
	for x := range a.ThingsFrom(0) {
		y, ok := b.Thing(x.ID)
		if !ok || !reflect.DeepEqual(x, y) || !reflect.DeepEqual(a.DatastreamsOf(x.ID), b.DatastreamsOf(x.ID)) {
			t.Fatalf("%+v\n%+v", x, y)
		}
		id, found := b.Serial(x.ID.Owner(), x.Serial)
		if bearsSerial(x) && (!found || id != x.ID) {
			t.Fatalf("serial of %+v finds %q", x, id)
		}
	}
}
