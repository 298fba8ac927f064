package ttn

import (
	"testing"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/internal/decode/decodetest"
)

func TestGolden(t *testing.T) { decodetest.Golden(t, Protocol()) }

func TestSamples(t *testing.T) {
	decodetest.Samples(t, Protocol(), "ttn-v3", map[string]decodetest.Sample{
		"dragino-lht52-device-status.json": {Serial: "A8404146C184579B", Time: "2022-08-29T08:54:11.913059949Z", Readings: 5},
		"dragino-lht65.json":               {Serial: "A8404163F1834C84", Time: "2021-11-11T08:33:34.909192Z", Readings: 6},
	})
}

func TestSettings(t *testing.T) {
	if _, err := New(decode.Settings{Zone: "Middle/Earth"}); err == nil {
		t.Error("an unknown zone passed")
	}
}
