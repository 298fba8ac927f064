package openaq

import (
	"testing"

	"github.com/situ-city/situ/internal/decode/decodetest"
)

func TestGolden(t *testing.T) { decodetest.Golden(t, Protocol()) }

func TestSamples(t *testing.T) {
	decodetest.Samples(t, Protocol(), "openaq", map[string]decodetest.Sample{
		"v2-measurement-mumbai.json": {Serial: "8039", Time: "2024-02-10T04:30:00Z", Readings: 1},
	})
}
