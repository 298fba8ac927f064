package meshtastic

import (
	"testing"

	"github.com/situ-city/situ/internal/decode/decodetest"
)

func TestGolden(t *testing.T) { decodetest.Golden(t, Protocol()) }

func TestSamples(t *testing.T) {
	decodetest.Samples(t, Protocol(), "meshtastic", map[string]decodetest.Sample{
		"position-coarsened.json": {Serial: "!ea8f8630", Time: "2025-06-10T05:55:14Z", Readings: 1},
		"telemetry-2024-01.json":  {Serial: "!e3998527", Time: "2024-01-22T02:39:28Z", Readings: 4},
	})
}
