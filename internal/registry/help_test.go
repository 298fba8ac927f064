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
	return Options{Clock: func() time.Time { return testTime }, Catalogue: catalogue, Logger: slog.New(slog.DiscardHandler)}
}

func open(t testing.TB, path string) *Registry {
	t.Helper()
	r, err := Open(t.Context(), path, testOptions(t))
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

func openNew(t testing.TB) *Registry {
	t.Helper()
	return open(t, filepath.Join(t.TempDir(), "registry.db"))
}

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
