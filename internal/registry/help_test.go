package registry

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/situ-city/situ/pkg/geo"
	"github.com/situ-city/situ/pkg/sensor"
)

var testTime = time.Date(2026, 3, 1, 4, 5, 6, 789_000_000, time.UTC)

func testOptions(t testing.TB) Options {
	t.Helper()
	catalogue, err := sensor.LoadCatalogue()
	if err != nil {
		t.Fatal(err)
	}
	models, err := sensor.LoadModels(catalogue)
	if err != nil {
		t.Fatal(err)
	}
	return Options{Models: models, Clock: func() time.Time { return testTime }, Catalogue: catalogue, Logger: slog.New(slog.DiscardHandler)}
}

func open(t testing.TB, address string) *Registry {
	t.Helper()
	return openWith(t, address, testOptions(t))
}

func openWith(t testing.TB, address string, o Options) *Registry {
	t.Helper()
	r, err := Open(t.Context(), address, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// fresh makes a new database of one kind, and gives its address.
type fresh func(t testing.TB) string

// newFile is fresh on SQLite.
func newFile(t testing.TB) string {
	t.Helper()
	return filepath.Join(t.TempDir(), "registry.db")
}

func (db fresh) openNew(t testing.TB) *Registry {
	t.Helper()
	return open(t, db(t))
}

// openFull is a registry with catalogue and divisions, as cmd/query opens it.
func (db fresh) openFull(t testing.TB) *Registry {
	t.Helper()
	o := testOptions(t)
	divisions, err := geo.LoadDivisions()
	if err != nil {
		t.Fatal(err)
	}
	o.Divisions = divisions
	return openWith(t, db(t), o)
}

func openNew(t testing.TB) *Registry { t.Helper(); return fresh(newFile).openNew(t) }

func openFull(t testing.TB) *Registry { t.Helper(); return fresh(newFile).openFull(t) }

func thing(id sensor.ThingID) *sensor.Thing {
	return &sensor.Thing{ID: id, Name: "渝中站", Class: sensor.Government, Grade: sensor.Open, Original: geo.LonLat{Lon: 106.55, Lat: 29.56}}
}

func stream(id sensor.ThingID, p sensor.PropertyCode, key string) *sensor.Datastream {
	return &sensor.Datastream{ID: sensor.NewDatastreamID(id, p, sensor.Instant, key), Thing: id, Property: p, SourceKey: key}
}

// declarations makes n auto-registered Things with two Datastreams each.
func declarations(n int) []sensor.Declaration {
	var all []sensor.Declaration
	for i := range n {
		id := sensor.ThingID(fmt.Sprintf("city/station-%07d", i))
		all = append(all,
			sensor.Declaration{Thing: &sensor.Thing{ID: id, Auto: true}, Datastream: stream(id, "pm2_5", "pm2_5")},
			sensor.Declaration{Datastream: stream(id, "pm10", "pm10")})
	}
	return all
}
