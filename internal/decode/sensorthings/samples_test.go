package sensorthings

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/internal/decode/decodetest"
)

// want is what EXPECTED.json says of each file; the Thing is a registry record and holds nothing to store.
var want = map[string][]decode.Reading{
	"geosas-data-array.json": {
		{Key: "Datastreams(1)", Number: 90, Time: 1484302800000}, {Key: "Datastreams(1)", Number: 91, Time: 1484302860000},
		{Key: "Datastreams(1)", Number: 92, Time: 1484302920000}},
	"mqtt-observation-typo.json": {{Key: "result", Number: 72}},
	"taiwan-observations-page.json": {
		{Key: "Datastreams(1)", Number: 11.92, Time: 1616245648000}, {Key: "Datastreams(1)", Number: 11.08, Time: 1616245409000}},
	"taiwan-thing.json": {},
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
		got, err := decodetest.Invariants(t, decoder(t, decode.Settings{Strict: true}), payload)
		w := want[filepath.Base(file)]
		if err != nil || len(got) != len(w) {
			t.Errorf("%s: %+v, %v", file, got, err)
			continue
		}
		for i, r := range got {
			if w[i].Property = w[i].Key; r != w[i] {
				t.Errorf("%s: %+v, want %+v", file, r, w[i])
			}
		}
	}
}
