// Package decodetest is what the tests of all protocols share: golden cases and the invariants of a Decoder.
//
// A case is a directory testdata/payloads/<protocol>/<case>/ at the root of the repository:
//
//	about.txt      one sentence: which quirk the case is about
//	payload        the bytes
//	topic          the topic of the PUBLISH, if the protocol needs it
//	earlier-N      payloads that came before, with earlier-N.topic, if the protocol remembers
//	settings.json  decode.Settings, if not the protocol's usual
//	readings.json  what comes out; -update rewrites it, its diff is then reviewed like code
package decodetest

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/pkg/sensor"
)

var update = flag.Bool("update", false, "rewrite readings.json of the golden cases")

// outcome is the golden file: all that Decode said.
type outcome struct {
	Readings []reading     `json:"readings,omitempty"`
	Empty    sensor.Reason `json:"empty,omitempty"`
	Error    string        `json:"error,omitempty"`
	Reason   sensor.Reason `json:"reason,omitempty"`
}

// reading is a decode.Reading as people read it.
type reading struct {
	Thing      string        `json:"thing,omitempty"`
	Serial     string        `json:"serial,omitempty"`
	Key        string        `json:"key,omitempty"`
	Property   string        `json:"property,omitempty"`
	Statistic  string        `json:"statistic,omitempty"` // unless instant
	Time       string        `json:"time,omitempty"`
	From       int64         `json:"from_arrival_ms,omitempty"`
	ResultTime string        `json:"result_time,omitempty"`
	Number     *float64      `json:"number,omitempty"`
	Text       string        `json:"text,omitempty"`
	Unit       string        `json:"unit,omitempty"`
	Lon        *float64      `json:"lon,omitempty"`
	Lat        *float64      `json:"lat,omitempty"`
	Quality    string        `json:"quality,omitempty"` // unless good
	Error      string        `json:"error,omitempty"`
	Reason     sensor.Reason `json:"reason,omitempty"`
}

// Golden decodes every case of the protocol and compares with its readings.json.
func Golden(t *testing.T, p decode.Protocol) {
	t.Helper()
	dirs := cases(t, p)
	if len(dirs) == 0 {
		t.Fatalf("no cases in %s", root(p))
	}
	for _, dir := range dirs {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			if about, err := os.ReadFile(filepath.Join(dir, "about.txt")); err != nil || len(bytes.TrimSpace(about)) == 0 {
				t.Errorf("about.txt must say what the case is about: %v", err)
			}
			golden(t, p, dir)
		})
	}
}

// Each calls f with every case of the protocol: fresh makes a decoder as the case wants it, before its payload.
func Each(t *testing.T, p decode.Protocol, f func(name string, fresh func() decode.Decoder, payload []byte)) {
	t.Helper()
	for _, dir := range cases(t, p) {
		f(filepath.Base(dir), func() decode.Decoder { return fresh(t, p, dir) }, file(t, dir, "payload"))
	}
}

// fresh makes a decoder with the settings of a case, its topic, and what came before.
func fresh(t *testing.T, p decode.Protocol, dir string) decode.Decoder {
	var settings decode.Settings
	if _, err := os.Stat(filepath.Join(dir, "settings.json")); err == nil {
		if err := json.Unmarshal(file(t, dir, "settings.json"), &settings); err != nil {
			t.Fatal(err)
		}
	}
	d, err := p.New(settings)
	if err != nil {
		t.Fatal(err)
	}
	return on(t, d, dir)
}

func golden(t *testing.T, p decode.Protocol, dir string) {
	payload := file(t, dir, "payload")
	d := fresh(t, p, dir)
	Invariants(t, d, payload)
	got := &bytes.Buffer{}
	enc := json.NewEncoder(got)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(outcomeOf(d, payload)); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "readings.json")
	if *update {
		if err := os.WriteFile(path, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if want := file(t, dir, "readings.json"); !bytes.Equal(want, got.Bytes()) {
		t.Errorf("%s differs (-update rewrites it)\ngot:\n%s\nwant:\n%s", path, got, want)
	}
}

// topical is a decoder together with the topic of a case.
type topical struct {
	decode.Decoder
	topic string
}

func (d topical) Decode(dst []decode.Reading, payload []byte) ([]decode.Reading, error) {
	return decode.DecodeOn(d.Decoder, dst, d.topic, payload)
}

// Empty implements decode.Emptier.
func (d topical) Empty() sensor.Reason {
	if e, ok := d.Decoder.(decode.Emptier); ok {
		return e.Empty()
	}
	return ""
}

// on gives the decoder what came before, and the topic.
func on(t *testing.T, d decode.Decoder, dir string) decode.Decoder {
	for n := 1; ; n++ {
		name := fmt.Sprintf("earlier-%d", n)
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			break
		}
		topic := strings.TrimSpace(string(file(t, dir, name+".topic")))
		if _, err := decode.DecodeOn(d, nil, topic, file(t, dir, name)); err != nil {
			t.Fatal(name, err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "topic")); err != nil {
		return d
	}
	return topical{d, strings.TrimSpace(string(file(t, dir, "topic")))}
}

// Seeds gives the payloads of all cases that are not there for their size, for fuzzing to begin with.
func Seeds(tb testing.TB, p decode.Protocol) [][]byte {
	var seeds [][]byte
	for _, dir := range cases(tb, p) {
		if payload := file(tb, dir, "payload"); len(payload) <= 4096 {
			seeds = append(seeds, payload)
		}
	}
	return seeds
}

func root(p decode.Protocol) string {
	return filepath.Join("..", "..", "..", "testdata", "payloads", p.Name)
}

func cases(tb testing.TB, p decode.Protocol) []string {
	entries, err := filepath.Glob(filepath.Join(root(p), "*", "payload"))
	if err != nil {
		tb.Fatal(err)
	}
	for i, e := range entries {
		entries[i] = filepath.Dir(e)
	}
	return entries
}

func file(tb testing.TB, dir, name string) []byte {
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func outcomeOf(d decode.Decoder, payload []byte) (o outcome) {
	readings, err := d.Decode(nil, payload)
	if err != nil {
		o.Error, o.Reason = err.Error(), decode.ReasonOf(err)
		return o
	}
	if e, ok := d.(decode.Emptier); ok && len(readings) == 0 {
		o.Empty = e.Empty()
	}
	for _, r := range readings {
		o.Readings = append(o.Readings, readingOf(r))
	}
	return o
}

func readingOf(r decode.Reading) reading {
	g := reading{
		Thing: string(r.Thing), Serial: r.Serial, Key: r.Key, Property: r.Property, Text: r.Text, Unit: r.Unit,
		Time: moment(r.Time), From: r.FromArrival, ResultTime: moment(r.ResultTime),
	}
	if r.Err != nil {
		g.Error, g.Reason = r.Err.Error(), decode.ReasonOf(r.Err)
	} else if r.Text == "" {
		g.Number = &r.Number
	}
	if r.Statistic != sensor.Instant {
		g.Statistic = r.Statistic.String()
	}
	if r.HasPosition {
		g.Lon, g.Lat = &r.Position.Lon, &r.Position.Lat
	}
	if r.Quality != 0 {
		g.Quality = r.Quality.String()
	}
	return g
}

func moment(ms int64) string {
	if ms == 0 {
		return ""
	}
	return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z07:00")
}
