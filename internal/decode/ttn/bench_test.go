package ttn

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/situ-city/situ/internal/decode/decodetest"
)

func BenchmarkDecode(b *testing.B) {
	decodetest.Bench(b, Protocol(), "", decodetest.Case(b, Protocol(), "uplink"), 7)
}

// BenchmarkEncodingJSON is the obvious way: into structs, and a map for the decoded payload, without flattening.
func BenchmarkEncodingJSON(b *testing.B) {
	payload := decodetest.Case(b, Protocol(), "uplink")
	b.SetBytes(int64(len(payload)))
	b.ReportAllocs()
	for b.Loop() {
		var up struct {
			IDs struct {
				DevEUI string `json:"dev_eui"`
			} `json:"end_device_ids"`
			Uplink struct {
				Decoded  map[string]any           `json:"decoded_payload"`
				Settings struct{ Time time.Time } `json:"settings"`
				Received time.Time                `json:"received_at"`
			} `json:"uplink_message"`
		}
		if err := json.Unmarshal(payload, &up); err != nil || len(up.Uplink.Decoded) != 6 {
			b.Fatal(up, err)
		}
	}
}
