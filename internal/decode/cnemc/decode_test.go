package cnemc

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/internal/decode/decodetest"
	"github.com/situ-city/situ/pkg/sensor"
)

func TestGolden(t *testing.T) { decodetest.Golden(t, Protocol()) }

func TestSettings(t *testing.T) {
	for _, s := range []decode.Settings{{Zone: "Middle/Earth"}, {Encoding: "EBCDIC"}} {
		if _, err := Protocol().New(s); err == nil {
			t.Errorf("%+v passed", s)
		}
	}
}

func decoder(tb testing.TB, s decode.Settings) *Decoder {
	tb.Helper()
	d, err := New(s)
	if err != nil {
		tb.Fatal(err)
	}
	return d
}

// The pollutants are in the catalogue, in units that can be counted in its own.
func TestColumnsInTheCatalogue(t *testing.T) {
	catalogue, err := sensor.LoadCatalogue()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range columns {
		if c.use != asNumber {
			continue
		}
		m, ok := catalogue.Mean(protocol, c.name)
		if !ok {
			t.Errorf("%s is not in the catalogue", c.name)
			continue
		}
		if _, err := sensor.NewConversion(c.unit, m.Property.Unit); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestMoments(t *testing.T) {
	zone := decoder(t, decode.Settings{}).zone
	for text, want := range map[string]int64{
		"2026-01-01T08:00:00": 1767225600000, "2026-01-01 08:00:00": 1767225600000, "2026/1/1 8:00": 1767225600000,
		"2026-1-1 8:00:30": 1767225630000, "2026-01-01T00:00:00Z": 1767225600000, "2026-01-01T08:00:00+08:00": 1767225600000,
		"": 0, "2026-01-01": 0, "2026-01-01 08": 0, "8:00": 0, "2026-13-01 08:00": 0, "20260101080000": 0, "2026-01-01 08:00:": 0,
		"26-1-1 8:00": 0, "2026-01-01 08:00:00:00": 0,
	} {
		if got, ok := moment([]byte(text), zone); got != want || ok != (want != 0) {
			t.Errorf("%q: %d, %t; want %d", text, got, ok, want)
		}
	}
}

func TestMegabyte(t *testing.T) {
	d := decoder(t, decode.Settings{})
	for name, payload := range map[string]string{
		"quotes": "timepoint,stationcode\n" + strings.Repeat(`"`, 1<<20), "commas": "timepoint,stationcode\n" + strings.Repeat(",", 1<<20),
		"lines": "timepoint,stationcode\n" + strings.Repeat("\r", 1<<20), "gb": "timepoint,stationcode\n" + strings.Repeat("\xd6\xd8", 1<<19),
		"rows": "timepoint,stationcode\n" + strings.Repeat(",\n", 1<<19),
	} {
		begin := time.Now()
		_, _ = decodetest.Invariants(t, d, []byte(payload))
		if took := time.Since(begin); took > 20*time.Second {
			t.Errorf("%s took %v", name, took)
		}
	}
}

// nation is n stations of an hour.
func nation(n int) []byte {
	b := Append(nil, "timepoint", "stationcode", "longitude", "latitude", "area", "positionname", "primarypollutant", "aqi", "pm10", "pm10_24h",
		"pm2_5", "pm2_5_24h", "o3", "o3_24h", "o3_8h", "o3_8h_24h", "no2", "no2_24h", "so2", "so2_24h", "co", "co_24h")
	for i := range n {
		b = Append(b, "2026-01-01T08:00:00", "9"+string(rune('0'+i/100%10))+string(rune('0'+i/10%10))+string(rune('0'+i%10))+"A", "106.5512", "29.5630",
			"某市", "某处", "", "57", "64", "60", "40", "38", "46", "50", "44", "40", "39", "35", "2", "3", "1.4", "1.1")
	}
	return b
}

func TestNoAllocation(t *testing.T) {
	d := decoder(t, decode.Settings{})
	payload := nation(20)
	var room []decode.Reading
	if n := testing.AllocsPerRun(100, func() { room, _ = d.Decode(room[:0], payload) }); n != 0 || len(room) != 300 {
		t.Errorf("%v allocations for %d readings", n, len(room))
	}
}

// TestSamples: every station and pollutant of the real files, against what other hands read in them.
func TestSamples(t *testing.T) {
	dir := os.Getenv("SITU_SAMPLES")
	text, err := os.ReadFile(filepath.Join(dir, "EXPECTED.json"))
	if dir == "" || err != nil {
		t.Skip("not run: no real samples here; set SITU_SAMPLES to their directory")
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	type file struct {
		Rows       int
		EmptyCells int `json:"empty_cells"`
		Stations   map[string]map[string]any
		TimeUTC    string `json:"time_utc"`
		Units      map[string]string
	}
	var utf8 file
	if err := json.Unmarshal(all["cnemc-hourly/2022-01-04T12-chongqing-and-west.csv"], &utf8); err != nil {
		t.Fatal(err)
	}
	at, err := time.Parse(time.RFC3339, utf8.TimeUTC)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for name, raw := range all {
		short, ok := strings.CutPrefix(name, "cnemc-hourly/")
		if !ok {
			continue
		}
		n++
		var want file
		if err := json.Unmarshal(raw, &want); err != nil {
			t.Fatal(err)
		}
		payload, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		readings, err := decodetest.Invariants(t, decoder(t, decode.Settings{}), payload)
		if err != nil {
			t.Fatal(short, err)
		}
		got := map[string]map[string]decode.Reading{}
		for _, r := range readings {
			if got[r.Serial] == nil {
				got[r.Serial] = map[string]decode.Reading{}
			}
			got[r.Serial][r.Key] = r
			if r.Err != nil || r.Time != at.UnixMilli() {
				t.Errorf("%s: %+v", short, r)
			}
		}
		if len(got) != want.Rows {
			t.Errorf("%s: %d stations, want %d", short, len(got), want.Rows)
		}
		for code, values := range utf8.Stations { // the other file holds some of the same
			mine, ok := got[code]
			if !ok {
				continue
			}
			for key, v := range values {
				unit, measured := utf8.Units[key]
				r, there := mine[key]
				switch {
				case !measured:
				case v == nil && there, v != nil && (!there || r.Number != v || r.Unit != unit):
					t.Errorf("%s %s %s: %+v, want %v %s", short, code, key, r, v, unit)
				case there && (r.Position.Lon != values["lon"] || r.Position.Lat != values["lat"]):
					t.Errorf("%s %s: at %+v", short, code, r.Position)
				}
			}
		}
	}
	if n < 2 {
		t.Errorf("only %d files in EXPECTED.json", n)
	}
}
