package geohazard

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/situ-city/situ/internal/decode"
)

func BenchmarkDecode(b *testing.B) {
	for _, n := range []int{1, 20} {
		b.Run(fmt.Sprintf("points%d", n), func(b *testing.B) {
			d := decoder(b, decode.Settings{})
			payload := slope(n)
			var room []decode.Reading
			var err error
			b.SetBytes(int64(len(payload)))
			b.ReportAllocs()
			for b.Loop() {
				if room, err = d.Decode(room[:0], payload); err != nil || len(room) != n*7 {
					b.Fatal(len(room), err)
				}
			}
			b.ReportMetric(float64(n*7)*float64(b.N)/b.Elapsed().Seconds(), "values/s")
		})
	}
}

// BenchmarkEncodingJSON reads the same payload into maps with the standard library, without times, names or units.
func BenchmarkEncodingJSON(b *testing.B) {
	payload := slope(20)
	b.SetBytes(int64(len(payload)))
	b.ReportAllocs()
	for b.Loop() {
		var devices map[string]map[string]map[string]any
		if err := json.Unmarshal(payload, &devices); err != nil || len(devices["SN0001"]) != 60 {
			b.Fatal(len(devices), err)
		}
	}
	b.ReportMetric(140*float64(b.N)/b.Elapsed().Seconds(), "values/s")
}
