package ngsild

import (
	"encoding/json"
	"testing"

	"github.com/situ-city/situ/internal/decode"
)

var usual = []byte(`{"id":"urn:ngsi-ld:AirQualityObserved:a1","type":"AirQualityObserved","dateObserved":{"type":"Property","value":"2026-01-01T00:00:00Z"},"no2":{"type":"Property","value":69,"unitCode":"GQ"},"temperature":{"type":"Property","value":12.5,"unitCode":"CEL"},"location":{"type":"GeoProperty","value":{"type":"Point","coordinates":[106.55,29.56]}}}`)

func BenchmarkDecode(b *testing.B) {
	d := decoder(b, decode.Settings{})
	var room []decode.Reading
	var err error
	b.SetBytes(int64(len(usual)))
	b.ReportAllocs()
	for b.Loop() {
		if room, err = d.Decode(room[:0], usual); err != nil || len(room) != 2 {
			b.Fatal(len(room), err)
		}
	}
	b.ReportMetric(2*float64(b.N)/b.Elapsed().Seconds(), "values/s")
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
	b.ReportMetric(2*float64(b.N)/b.Elapsed().Seconds(), "values/s")
}
