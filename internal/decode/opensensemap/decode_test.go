package opensensemap

import (
	"testing"

	"github.com/situ-city/situ/internal/decode/decodetest"
)

func TestGolden(t *testing.T) { decodetest.Golden(t, Protocol()) }

func TestSamples(t *testing.T) {
	decodetest.Samples(t, Protocol(), "opensensemap", map[string]decodetest.Sample{
		"box-with-last-measurements.json": {Time: "2020-10-17T10:49:51.627Z", Readings: 5},
	})
}
