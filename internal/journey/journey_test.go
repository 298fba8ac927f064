package journey

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/tools/txtar"

	"github.com/situ-city/situ/internal/embedded/engine/enginetest"
	"github.com/situ-city/situ/internal/registry"
	"github.com/situ-city/situ/internal/spool"
	"github.com/situ-city/situ/pkg/geo"
	"github.com/situ-city/situ/pkg/sensor"
)

var update = flag.Bool("update", false, "rewrite testdata/journey")

func TestMain(m *testing.M) { os.Exit(enginetest.Run(m)) }

// arrival is the gateway's clock in every journey.
var arrival = time.Date(2026, 3, 1, 8, 0, 0, 250e6, time.FixedZone("CST", 8*3600))

// journey is one file: what is given, and step by step what becomes of it.
type journey struct {
	*testing.T
	given map[string]string // topic, payload, perhaps things.csv and situ.yaml
	out   []txtar.File

	catalogue *sensor.Catalogue
	divisions *geo.Divisions
	registry  *registry.Registry
	spools    map[sensor.Lane]*spool.Spool
	messages  map[sensor.Lane]*sensor.Message // after normalize
	batches   map[sensor.Lane]*sensor.Batch   // as the bus gives them
}

// given are the sections that people write; all others are made, and stand in the order of the journey.
var (
	given = []string{"topic", "situ.yaml", "things.csv", "payload"}
	order = append(slices.Clone(given), "reading.json", "observation.json", "record.hex", "bus.key", "bus.headers", "bus.columns",
		"row.tsv", "row.deadletter.json", "history.json", "cell.json", "tile.json")
)

func TestJourney(t *testing.T) {
	files, err := filepath.Glob("../../testdata/journey/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no journeys: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			old, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			j := &journey{T: t, given: map[string]string{}, messages: map[sensor.Lane]*sensor.Message{}, batches: map[sensor.Lane]*sensor.Batch{}}
			want := map[string]string{}
			for _, f := range old.Files {
				want[f.Name] = string(f.Data)
				j.given[f.Name] = strings.TrimSuffix(string(f.Data), "\n")
			}
			for _, name := range given {
				if text, ok := want[name]; ok {
					j.out = append(j.out, txtar.File{Name: name, Data: []byte(text)})
				}
			}
			j.open()
			j.front()
			j.bus()
			j.live()
			t.Run("stored", func(t *testing.T) { // the only steps that need the engine
				j.T = t
				j.stored()
			})
			compare(t, file, old, j.out, want)
		})
	}
}

// compare holds what was made against the file, or rewrites it. Without the engine its sections stay as they were.
func compare(t *testing.T, file string, old *txtar.Archive, made []txtar.File, want map[string]string) {
	t.Helper()
	seen := map[string]bool{}
	for _, f := range made {
		seen[f.Name] = true
		if !*update && string(f.Data) != want[f.Name] {
			t.Errorf("%s, section %s:\n%s\nthe file has\n%s\n(go test -update rewrites it)", filepath.Base(file), f.Name, f.Data, want[f.Name])
		}
	}
	for _, f := range old.Files {
		if !seen[f.Name] {
			if !strings.HasPrefix(f.Name, "row.") && !strings.HasPrefix(f.Name, "history.") {
				t.Errorf("section %s is not made any more", f.Name)
			}
			made = append(made, f)
		}
	}
	if *update {
		slices.SortStableFunc(made, func(a, b txtar.File) int { return slices.Index(order, a.Name) - slices.Index(order, b.Name) })
		if err := os.WriteFile(file, txtar.Format(&txtar.Archive{Comment: old.Comment, Files: made}), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// text makes a section.
func (j *journey) text(name, s string) {
	j.out = append(j.out, txtar.File{Name: name, Data: []byte(strings.TrimSuffix(s, "\n") + "\n")})
}

// json makes a section of a value's JSON.
func (j *journey) json(name string, v any) {
	j.Helper()
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	j.check(e.Encode(v))
	j.text(name, b.String())
}

func (j *journey) check(err error) {
	j.Helper()
	if err != nil {
		j.Fatal(err)
	}
}

// lanes are those that the message used.
func (j *journey) lanes() (list []sensor.Lane) {
	for _, l := range []sensor.Lane{sensor.Live, sensor.Backfill} {
		if j.messages[l] != nil {
			list = append(list, l)
		}
	}
	return list
}

// clock writes an instant of Unix milliseconds as people read it.
func clock(ms int64) string { return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z") }
