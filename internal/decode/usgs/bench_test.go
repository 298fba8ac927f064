package usgs

import (
	"encoding/json"
	"testing"

	"github.com/situ-city/situ/internal/decode/decodetest"
)

func BenchmarkDecode(b *testing.B) {
	decodetest.Bench(b, Protocol(), "", decodetest.Case(b, Protocol(), "discharge"), 2)
}

// BenchmarkEncodingJSON is the obvious way, as far as into a map.
func BenchmarkEncodingJSON(b *testing.B) {
	payload := decodetest.Case(b, Protocol(), "discharge")
	b.SetBytes(int64(len(payload)))
	b.ReportAllocs()
	for b.Loop() {
		var m any
		if err := json.Unmarshal(payload, &m); err != nil {
			b.Fatal(err)
		}
	}
}
