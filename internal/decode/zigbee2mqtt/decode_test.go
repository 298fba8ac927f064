package zigbee2mqtt

import (
	"testing"

	"github.com/situ-city/situ/internal/decode/decodetest"
)

func TestGolden(t *testing.T) { decodetest.Golden(t, Protocol()) }

func TestSamples(t *testing.T) {
	decodetest.Samples(t, Protocol(), "zigbee2mqtt", map[string]decodetest.Sample{
		"climate-1.json":          {Readings: 5},
		"climate-pressure.json":   {Readings: 6},
		"door-contact.json":       {Readings: 4},
		"motion-illuminance.json": {Readings: 7},
	})
}
