package decodetest

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/pkg/sensor"
)

// Sample is what a test knows about a real payload besides its entry in EXPECTED.json.
type Sample struct {
	Settings decode.Settings
	Topic    string            // for a decoder that asks for it
	Serial   string            // of every reading; "*" = the test looks itself
	Time     string            // RFC 3339, of every reading; "" = none, "*" = the test looks itself
	Readings int               // how many in all
	Err      error             // the cause of its refusal
	Differs  map[string]string // properties of EXPECTED.json that do not leave as they stand there, and why
}

// expected is the part of an entry that all formats share; it was made by other hands with other decoders.
type expected struct {
	Properties map[string]json.RawMessage
	Lat, Lon   *float64
}

// Samples decodes every real payload of a directory and compares with EXPECTED.json. It skips the test where the
// samples are not to be had. The readings of each file come back for what only the format knows.
func Samples(t *testing.T, p decode.Protocol, dir string, samples map[string]Sample) map[string][]decode.Reading {
	t.Helper()
	root, entries := Expected(t, dir)
	out := map[string][]decode.Reading{}
	for short, raw := range entries {
		s, ok := samples[short]
		if !ok {
			t.Errorf("%s: the test does not know what it must become", short)
			continue
		}
		var want expected
		_ = json.Unmarshal(raw, &want) // entries of other shapes are for the test itself
		t.Run(short, func(t *testing.T) { out[short] = s.check(t, p, file(t, root, short), want) })
	}
	if len(out) != len(samples) {
		t.Errorf("%d samples in %s, want %d", len(out), dir, len(samples))
	}
	return out
}

// Expected gives the directory of a format's real payloads, and what EXPECTED.json says of each file. It skips the test
// where the samples are not to be had.
func Expected(t *testing.T, dir string) (path string, entries map[string]json.RawMessage) {
	t.Helper()
	root := os.Getenv("SITU_SAMPLES")
	text, err := os.ReadFile(filepath.Join(root, "EXPECTED.json"))
	if root == "" || err != nil {
		t.Skip("not run: no real samples here; set SITU_SAMPLES to their directory")
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	entries = map[string]json.RawMessage{}
	for name, raw := range all {
		if short, ok := strings.CutPrefix(name, dir+"/"); ok {
			entries[short] = raw
		}
	}
	return filepath.Join(root, dir), entries
}

func (s Sample) check(t *testing.T, p decode.Protocol, payload []byte, want expected) []decode.Reading {
	d, err := p.New(s.Settings)
	if err != nil {
		t.Fatal(err)
	}
	readings, err := Invariants(t, OnTopic(d, s.Topic), payload)
	if !errors.Is(err, s.Err) {
		t.Fatalf("error %v, want %v", err, s.Err)
	}
	if len(readings) != s.Readings {
		t.Errorf("%d readings, want %d", len(readings), s.Readings)
	}
	for i := range readings {
		r := &readings[i]
		if r.Err != nil {
			t.Errorf("%s: %v", r.Key, r.Err)
		}
		if s.Serial != "*" && r.Serial != s.Serial {
			t.Errorf("%s: serial %q, want %q", r.Key, r.Serial, s.Serial)
		}
		if got := moment(r.Time); s.Time != "*" && got != utc(t, s.Time) {
			t.Errorf("%s: time %s, want %s", r.Key, got, s.Time)
		}
		if want.Lat != nil && (r.Position.Lat != *want.Lat || r.Position.Lon != *want.Lon) {
			t.Errorf("%s: at %+v, want %v %v", r.Key, r.Position, *want.Lon, *want.Lat)
		}
	}
	for name, property := range want.Properties {
		if s.Differs[name] == "" {
			sameProperty(t, readings, name, property)
		}
	}
	return readings
}

func utc(t *testing.T, text string) string {
	if text == "" {
		return ""
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return moment(at.UnixMilli())
}

// sameProperty looks for a value [number, bool or text, unit, ...]. A reading may name no unit, but not another one.
func sameProperty(t *testing.T, readings []decode.Reading, name string, raw json.RawMessage) {
	var want []any
	if err := json.Unmarshal(raw, &want); err != nil || len(want) < 2 {
		t.Errorf("%s: %s is no property", name, raw)
		return
	}
	i := slices.IndexFunc(readings, func(r decode.Reading) bool { return r.Key == name })
	if i < 0 {
		t.Errorf("no reading %s", name)
		return
	}
	r := readings[i]
	var got any = r.Number
	if r.Text != "" {
		got = r.Text
	}
	if b, ok := want[0].(bool); ok {
		want[0] = map[bool]float64{true: 1}[b]
	}
	if got != want[0] {
		t.Errorf("%s: %v, want %v", name, got, want[0])
	}
	unit, _ := want[1].(string)
	if u, err := sensor.ParseUnit(unit); err == nil {
		unit = u.String()
	}
	if r.Unit != "" && r.Unit != unit {
		t.Errorf("%s: unit %s, want %s", name, r.Unit, unit)
	}
}
