package sensorcommunity

import (
	"testing"

	"github.com/situ-city/situ/internal/decode/decodetest"
)

func TestGolden(t *testing.T) { decodetest.Golden(t, Protocol()) }

func TestSamples(t *testing.T) {
	decodetest.Samples(t, Protocol(), "sensor-community", map[string]decodetest.Sample{
		"api-v1-sensor-39300.json":                     {Serial: "39300", Time: "2020-10-18T15:16:17Z", Readings: 2},
		"custom-api-nrz-2017-090.json":                 {Serial: "esp8266-3394227", Readings: 8},
		"custom-api-nrz-2020-133-bmp280.json":          {Serial: "esp8266-14907210", Readings: 9},
		"hackair.json":                                 {Readings: 5},
		"luftdaten-nrz-2016-058-signal-with-unit.json": {Readings: 6},
		"push-pin1-nrz-2016-028.json":                  {Readings: 5},
		"push-pin7-nrz-2016-028.json":                  {Readings: 5},
	})
}
