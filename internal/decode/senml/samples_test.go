package senml

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/internal/decode/decodetest"
)

// resolved is a record as RFC 8428 section 4.6 resolves it, made by other hands; relative times became absolute ones.
type resolved struct {
	N, U, VS string
	T        float64
	V        *float64
	VB       *bool
	VD       string
}

func samples(t *testing.T) []string {
	t.Helper()
	dir := os.Getenv("SITU_SAMPLES")
	files, err := filepath.Glob(filepath.Join(dir, "senml", "*"))
	if err != nil || dir == "" || len(files) == 0 {
		t.Skip("not run: no real samples here; set SITU_SAMPLES to their directory")
	}
	return files
}

func TestSamples(t *testing.T) {
	n := 0
	for _, file := range samples(t) {
		if strings.HasSuffix(file, ".resolved.json") {
			continue
		}
		n++
		t.Run(filepath.Base(file), func(t *testing.T) {
			payload, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			p := JSON()
			if filepath.Ext(file) == ".cbor" {
				p = CBOR()
			}
			got, err := decodetest.Invariants(t, decoder(t, p, decode.Settings{Strict: true}), payload)
			if err != nil {
				t.Fatal(err)
			}
			text, err := os.ReadFile(strings.TrimSuffix(file, filepath.Ext(file)) + ".resolved.json")
			if err != nil {
				t.Fatal(err)
			}
			var want []resolved
			if err := json.Unmarshal(text, &want); err != nil {
				t.Fatal(err)
			}
			compare(t, got, want)
		})
	}
	if n < 8 {
		t.Errorf("only %d packs", n)
	}
}

// compare: lon and lat are the position of the others here; the resolved form of example 7 leaves out its vd, which is
// the last record.
func compare(t *testing.T, got []decode.Reading, want []resolved) {
	places := map[float64][2]float64{}
	var values []resolved
	for _, w := range want {
		at := places[w.T]
		switch w.U {
		case "lon":
			at[0] = *w.V
		case "lat":
			at[1] = *w.V
		default:
			values = append(values, w)
			continue
		}
		places[w.T] = at
	}
	if len(got) == len(values)+1 && got[len(values)].Text == "aGkgCg" {
		got = got[:len(values)]
	}
	if len(got) != len(values) {
		t.Fatalf("%d values, want %d: %+v", len(got), len(values), got)
	}
	for i, w := range values {
		r := got[i]
		separator := w.N[min(len(r.Serial), len(w.N)-1):][:1]
		name := r.Serial + separator + r.Key
		if r.Serial == w.N { // the device alone: named by its unit
			name = r.Serial
			if r.Key != w.U {
				t.Errorf("key %q of %q", r.Key, w.U)
			}
		}
		number, words := 0.0, w.VS
		switch {
		case w.V != nil:
			number = *w.V
		case w.VB != nil && *w.VB:
			number = 1
		}
		unit := ""
		if w.U != "" {
			unit = units[w.U]
		}
		if name != w.N || r.Number != number || r.Text != words || r.Unit != unit || r.Err != nil {
			t.Errorf("%+v, want %+v", r, w)
		}
		if at := r.Time; at != 0 && fmt.Sprintf("%.3f", w.T) != fmt.Sprintf("%.3f", float64(at)/1000) || at == 0 && r.FromArrival != 0 {
			t.Errorf("time %d, want %v", at, w.T)
		}
		if p, ok := places[w.T]; ok != r.HasPosition || ok && (p[0] != r.Position.Lon || p[1] != r.Position.Lat) {
			t.Errorf("at %+v, want %v", r.Position, p)
		}
	}
}
