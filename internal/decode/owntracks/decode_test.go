package owntracks

import (
	"testing"

	"github.com/situ-city/situ/internal/decode/decodetest"
)

func TestGolden(t *testing.T) { decodetest.Golden(t, Protocol()) }

func TestSamples(t *testing.T) {
	decodetest.Samples(t, Protocol(), "owntracks", map[string]decodetest.Sample{
		"location-eiffel.json": {Topic: "owntracks/jane/phone", Serial: "jane/phone", Time: "2015-09-11T15:13:33Z", Readings: 2},
	})
}
