package usgs

import (
	"testing"

	"github.com/situ-city/situ/internal/decode/decodetest"
	"github.com/situ-city/situ/pkg/sensor"
)

func TestGolden(t *testing.T) { decodetest.Golden(t, Protocol()) }

func TestSamples(t *testing.T) {
	got := decodetest.Samples(t, Protocol(), "usgs", map[string]decodetest.Sample{
		"nwis-iv-mock.json":     {Serial: "*", Time: "2018-01-24T00:00:00Z", Readings: 2},
		"waterservices-iv.json": {Serial: "*", Time: "*", Readings: 20},
	})
	for i, want := range []struct {
		serial, key, unit string
		first             float64
		lon               float64
	}{
		{"01491000", "00060", "[ft_i]3/s", 974, -75.7858056}, {"01491000", "00065", "[ft_i]", 6.48, -75.7858056},
		{"01645000", "00060", "[ft_i]3/s", 474, -77.33577778}, {"01645000", "00065", "[ft_i]", 3.13, -77.33577778},
	} {
		r := got["waterservices-iv.json"][5*i]
		if r.Serial != want.serial || r.Key != want.key || r.Unit != want.unit || r.Number != want.first || r.Position.Lon != want.lon ||
			r.Time != 1550120400000 || r.Quality != 0 || r.Statistic != sensor.Instant {
			t.Errorf("%+v, want %+v", r, want)
		}
	}
	for i, want := range []string{"03339000", "05447500"} {
		if r := got["nwis-iv-mock.json"][i]; r.Serial != want || r.Key != "00060" || r.Number != float64(i+1) || r.Statistic != sensor.Average {
			t.Errorf("%+v, want %s", r, want)
		}
	}
}
