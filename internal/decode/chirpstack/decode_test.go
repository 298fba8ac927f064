package chirpstack

import (
	"testing"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/internal/decode/decodetest"
)

func TestGolden(t *testing.T) { decodetest.Golden(t, Protocol()) }

func TestSamples(t *testing.T) {
	decodetest.Samples(t, Protocol(), "chirpstack", map[string]decodetest.Sample{
		"v3-dragino-ldds75.json": {Serial: "a840414d6182e088", Time: "2021-08-15T12:06:41.391514Z", Readings: 3},
		"v4-dragino-lht52.json": {Serial: "a840415711866a85", Time: "2024-02-29T16:01:18.118252739Z", Readings: 4,
			Differs: map[string]string{"TempC_DS": "no probe is connected: no temperature"}},
	})
}

// An uplink in the steady state costs the one copy of its payload.
func TestAllocations(t *testing.T) {
	d, err := New(decode.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	payload := decodetest.Case(t, Protocol(), "v4-uplink")
	room, err := d.Decode(nil, payload)
	if err != nil || len(room) != 5 {
		t.Fatal(room, err)
	}
	if n := testing.AllocsPerRun(100, func() { room, _ = d.Decode(room[:0], payload) }); n > 1 {
		t.Errorf("%v allocations a payload", n)
	}
}
