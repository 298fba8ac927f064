package sensorthings

import (
	"encoding/json"
	"testing"

	"github.com/situ-city/situ/internal/decode"
)

var usual = []byte(`{"phenomenonTime":"2026-01-01T00:00:00Z","resultTime":null,"result":35.2,"Datastream":{"@iot.id":1,"unitOfMeasurement":{"name":"microgram per cubic metre","symbol":"ug/m3"},"ObservedProperty":{"name":"PM2.5"}}}`)

func BenchmarkDecode(b *testing.B) {
	d := decoder(b, decode.Settings{})
	var room []decode.Reading
	var err error
	b.SetBytes(int64(len(usual)))
	b.ReportAllocs()
	for b.Loop() {
		if room, err = d.Decode(room[:0], usual); err != nil || len(room) != 1 {
			b.Fatal(len(room), err)
		}
	}
	b.ReportMetric(1*float64(b.N)/b.Elapsed().Seconds(), "values/s")
}

// BenchmarkLibrary reads the same payload into a map with encoding/json, and looks at nothing.
func BenchmarkLibrary(b *testing.B) {
	b.SetBytes(int64(len(usual)))
	b.ReportAllocs()
	for b.Loop() {
		var m map[string]any
		if err := json.Unmarshal(usual, &m); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(1*float64(b.N)/b.Elapsed().Seconds(), "values/s")
}
