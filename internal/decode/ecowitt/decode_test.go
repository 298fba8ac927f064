package ecowitt

import (
	"testing"

	"github.com/situ-city/situ/internal/decode/decodetest"
)

func TestGolden(t *testing.T) { decodetest.Golden(t, Protocol()) }

func TestSamples(t *testing.T) {
	decodetest.Samples(t, Protocol(), "ecowitt", map[string]decodetest.Sample{
		"gw1000-indoor.form": {Serial: "*", Time: "2019-12-29T16:27:27Z", Readings: 4},
	})
}
