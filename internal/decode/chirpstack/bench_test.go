package chirpstack

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/situ-city/situ/internal/decode/decodetest"
)

func BenchmarkDecode(b *testing.B) {
	for name, n := range map[string]int{"v4-uplink": 5, "v3-uplink": 2} {
		b.Run(name, func(b *testing.B) { decodetest.Bench(b, Protocol(), "", decodetest.Case(b, Protocol(), name), n) })
	}
}

// BenchmarkEncodingJSON is the obvious way: into a struct, the object into a map, without flattening.
func BenchmarkEncodingJSON(b *testing.B) {
	payload := decodetest.Case(b, Protocol(), "v4-uplink")
	b.SetBytes(int64(len(payload)))
	b.ReportAllocs()
	for b.Loop() {
		var up struct {
			Time       time.Time
			DeviceInfo struct{ DevEui string }
			Object     map[string]any
			RxInfo     []struct{ NsTime time.Time }
		}
		if err := json.Unmarshal(payload, &up); err != nil || len(up.Object) != 5 {
			b.Fatal(up, err)
		}
	}
}
