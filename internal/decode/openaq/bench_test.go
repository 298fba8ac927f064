package openaq

import (
	"encoding/json"
	"testing"

	"github.com/situ-city/situ/internal/decode/decodetest"
)

func BenchmarkDecode(b *testing.B) {
	decodetest.Bench(b, Protocol(), "", decodetest.Case(b, Protocol(), "v2"), 1)
}

// BenchmarkEncodingJSON is the obvious way, as far as into a map.
func BenchmarkEncodingJSON(b *testing.B) {
	payload := decodetest.Case(b, Protocol(), "v2")
	b.SetBytes(int64(len(payload)))
	b.ReportAllocs()
	for b.Loop() {
		var m any
		if err := json.Unmarshal(payload, &m); err != nil {
			b.Fatal(err)
		}
	}
}
