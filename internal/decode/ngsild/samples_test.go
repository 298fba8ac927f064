package ngsild

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/internal/decode/decodetest"
	"github.com/situ-city/situ/pkg/geo"
)

// want is what EXPECTED.json says of each file. Of the hour of NoiseLevelObserved its end counts. The coordinates of
// WaterObserved are exchanged, and both orders are places: only the registered place tells, which is normalize's rule.
// A time without zone is read in the zone of the settings, here UTC.
var want = map[string]struct {
	at     string
	place  geo.LonLat
	values map[string]string
}{
	"env-AirQualityObserved-example-normalized.jsonld": {"2016-03-15T11:00:00Z", geo.LonLat{Lon: -3.712247222222222, Lat: 40.423852777777775},
		map[string]string{"co": "500 mg/m3", "no": "45 ug/m3", "no2": "69 ug/m3", "nox": "139 ug/m3", "so2": "11 ug/m3", "temperature": "12.2 "}},
	"env-AirQualityObserved-example.json": {"2016-03-15T11:00:00Z", geo.LonLat{Lon: -3.712247222222222, Lat: 40.423852777777775},
		map[string]string{"co": "500 ", "relativeHumidity": "0.54 ", "pressure": "1.1 "}},
	"env-FloodMonitoring-example.jsonld": {"2020-09-16T08:00:00Z", geo.LonLat{},
		map[string]string{"currentLevel": "0.98 ", "measuredDistance": "3.22 ", "referenceLevel": "4.2 "}},
	"env-NoiseLevelObserved-example-normalized.jsonld": {"2016-12-28T12:00:00Z", geo.LonLat{Lon: -2.698, Lat: 42.8491},
		map[string]string{"LAS": "91.6 ", "LAeq": "67.8 ", "LAeq_d": "65.4 ", "LAmax": "94.5 "}},
	"env-WaterObserved-example-normalized.jsonld": {"2020-03-17T08:45:00.209Z", geo.LonLat{Lon: 43.66481, Lat: 7.196545},
		map[string]string{"flow": "12 ", "height": "3.52 "}},
}

func TestSamples(t *testing.T) {
	dir := os.Getenv("SITU_SAMPLES")
	files, err := filepath.Glob(filepath.Join(dir, protocol, "*"))
	if err != nil || dir == "" || len(files) == 0 {
		t.Skip("not run: no real samples here; set SITU_SAMPLES to their directory")
	}
	if len(files) != len(want) {
		t.Errorf("%d files, %d known here", len(files), len(want))
	}
	for _, file := range files {
		payload, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		got, err := decodetest.Invariants(t, decoder(t, decode.Settings{Zone: "UTC"}), payload)
		if err != nil {
			t.Fatal(file, err)
		}
		w := want[filepath.Base(file)]
		at, err := time.Parse(time.RFC3339, w.at)
		if err != nil {
			t.Fatal(err)
		}
		found := 0
		for _, r := range got {
			if r.Err != nil || r.Time != at.UnixMilli() || r.Position != w.place || r.HasPosition != (w.place != geo.LonLat{}) {
				t.Errorf("%s: %+v", file, r)
			}
			if v, ok := w.values[r.Key]; ok {
				found++
				if have := fmt.Sprintf("%v %s", r.Number, r.Unit); have != v {
					t.Errorf("%s: %s is %q, want %q", file, r.Key, have, v)
				}
			}
		}
		if found != len(w.values) {
			t.Errorf("%s: %d of %d values in %+v", file, found, len(w.values), got)
		}
	}
}
