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

func BenchmarkScan(b *testing.B) {
	for _, name := range []string{"v4-uplink", "v3-uplink"} {
		b.Run(name, func(b *testing.B) { decodetest.BenchScan(b, decodetest.Case(b, Protocol(), name)) })
	}
}

// BenchmarkEncodingJSON is the obvious way: into a struct, the object into a map, without flattening.
func BenchmarkEncodingJSON(b *testing.B) {
	for name, n := range map[string]int{"v4-uplink": 5, "v3-uplink": 2} {
		b.Run(name, func(b *testing.B) {
			payload := decodetest.Case(b, Protocol(), name)
			b.SetBytes(int64(len(payload)))
			b.ReportAllocs()
			for b.Loop() {
				var up struct {
					Time       time.Time
					DeviceInfo struct{ DevEui string }
					DevEUI     []byte
					Object     map[string]any
					ObjectJSON string
					RxInfo     []struct{ Time, NsTime time.Time }
				}
				err := json.Unmarshal(payload, &up)
				if err == nil && up.ObjectJSON != "" {
					err = json.Unmarshal([]byte(up.ObjectJSON), &up.Object)
				}
				if err != nil || len(up.Object) != n {
					b.Fatal(up, err)
				}
			}
		})
	}
}
