package tasmota

import (
	"testing"

	"github.com/situ-city/situ/internal/decode/decodetest"
)

func TestGolden(t *testing.T) { decodetest.Golden(t, Protocol()) }

func TestSamples(t *testing.T) {
	decodetest.Samples(t, Protocol(), "tasmota", map[string]decodetest.Sample{
		// no sample names a zone: China holds
		"STATUS8.json":                       {Time: "*", Readings: 9},
		"tele-SENSOR-energy.json":            {Time: "2023-05-19T20:52:56+08:00", Readings: 10},
		"tele-SENSOR-switch-and-energy.json": {Time: "2023-04-04T17:01:33+08:00", Readings: 11},
		"zigbee-bridge.json":                 {Serial: "0x5480", Readings: 2},
	})
}
