package eaflood

import (
	"testing"

	"github.com/situ-city/situ/internal/decode/decodetest"
)

func TestGolden(t *testing.T) { decodetest.Golden(t, Protocol()) }

func TestSamples(t *testing.T) {
	got := decodetest.Samples(t, Protocol(), "ea-flood", map[string]decodetest.Sample{
		"station-690142.json": {Serial: "690142", Time: "2015-12-07T10:15:00Z", Readings: 1},
	})
	if r := got["station-690142.json"][0]; r.Key != "level/Stage" || r.Number != 0.233 || r.Unit != "m" {
		t.Errorf("%+v", r)
	}
}
