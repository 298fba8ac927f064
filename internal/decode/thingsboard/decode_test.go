package thingsboard

import (
	"testing"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/internal/decode/decodetest"
)

func TestGolden(t *testing.T) { decodetest.Golden(t, Protocol()) }

func TestSamples(t *testing.T) {
	got := decodetest.Samples(t, Protocol(), "thingsboard", map[string]decodetest.Sample{
		"telemetry-plain.json":     {Readings: 9, Differs: map[string]string{"key5": "nested: leaves flattened"}},
		"telemetry-ts-values.json": {Time: "2021-10-20T06:44:47Z", Readings: 2},
		"telemetry-array.json":     {Time: "*", Readings: 4},
		"gateway-telemetry.json":   {Serial: "*", Time: "*", Readings: 36},
		"telemetry-malformed.json": {Err: decode.ErrMalformed},
	})
	list := got["telemetry-array.json"]
	for i, want := range []struct {
		ms    int64
		key   string
		value float64
	}{{1634712287000, "temperature", 26}, {1634712287000, "humidity", 87}, {1634712588000, "temperature", 25}, {1634712588000, "humidity", 88}} {
		if r := list[i]; r.Time != want.ms || r.Key != want.key || r.Number != want.value {
			t.Errorf("%+v, want %+v", r, want)
		}
	}
	for i, r := range got["gateway-telemetry.json"] {
		serial, ms := [2]string{"Device A", "Device B"}[i/18], int64(i/9%2+1)*10000
		if r.Serial != serial || r.Time != ms {
			t.Errorf("%d: %+v, want %s at %d", i, r, serial, ms)
		}
	}
}
