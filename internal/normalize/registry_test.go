package normalize_test

import (
	"path/filepath"
	"testing"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/internal/normalize"
	"github.com/situ-city/situ/internal/registry"
	"github.com/situ-city/situ/pkg/geo"
	"github.com/situ-city/situ/pkg/sensor"
)

// With the real registry: what an owner declares takes effect, what a message declares comes back known, and once it is
// known nothing is declared again.
func TestWithTheRegistry(t *testing.T) {
	ctx := t.Context()
	r, err := registry.Open(ctx, filepath.Join(t.TempDir(), "registry.db"), registry.Options{Catalogue: catalogue(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	gcj := geo.LonLat{Lon: 106.579, Lat: 29.553}
	if _, err := r.PutThing(ctx, &sensor.Thing{ID: "eco/a1", Placed: true, CRS: geo.GCJ02, Original: gcj, Serial: "MN1"},
		&sensor.Datastream{Thing: "eco/a1", Property: "so2", Unit: "ug/m3"}); err != nil {
		t.Fatal(err)
	}
	n := normalize.New(normalize.Options{Catalogue: catalogue(t), AutoRegister: true, Ledger: func() normalize.Ledger { return r.Snapshot() }})
	var live, back sensor.Message
	send := func(src normalize.Source, readings ...decode.Reading) normalize.Outcome {
		live.Reset()
		back.Reset()
		live.Arrival = arrival
		return n.Normalize(&src, readings, nil, &live, &back)
	}
	frame := []decode.Reading{hj("a21026", "Rtd", sensor.Instant, 58), hj("a01006", "Rtd", sensor.Instant, 98.6), hj("a21026", "Cou", sensor.Sum, 3)}
	for _, src := range []normalize.Source{on("eco/-", "hj212"), on("me/shed", "hj212")} {
		src := src
		o := send(src, frame...)
		if o.Observations != 3 || o.Declared < 3 {
			t.Fatalf("%s: %+v, %+v", src.Thing, o, live.DeadLetters)
		}
		first := append([]sensor.Observation(nil), live.Observations...)
		if _, err := r.Declare(ctx, live.Declarations); err != nil {
			t.Fatal(err)
		}
		if o = send(src, frame...); o.Observations != 3 || o.Declared != 0 {
			t.Errorf("%s, once known: %+v", src.Thing, o)
		}
		for i, got := range live.Observations {
			if got.Datastream != first[i].Datastream || got.Result != first[i].Result || got.Property != first[i].Property {
				t.Errorf("%s: %+v, before it was known %+v", src.Thing, got, first[i])
			}
			if d, ok := r.Snapshot().Datastream(got.Datastream); !ok || d.SourceKey != frame[i].Key {
				t.Errorf("%s: Datastream %s in the ledger is %+v", src.Thing, got.Datastream, d)
			}
		}
	}
	send(on("eco/-", "hj212"), frame...)
	if so2, hpa := live.Observations[0], live.Observations[1]; so2.Result != 58 || hpa.Result != 986 {
		t.Errorf("so2 %v (declared in ug/m3), pressure %v (kPa by the standard)", so2.Result, hpa.Result)
	}
	if p, ok := live.Observations[0].Position(); !ok || geo.Metres(p, geo.ToWGS84(gcj, geo.GCJ02)) > 0.02 {
		t.Errorf("place %v", p)
	}
}
