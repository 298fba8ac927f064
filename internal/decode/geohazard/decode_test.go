package geohazard

import (
	"fmt"
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

func TestCodes(t *testing.T) {
	for code, want := range map[string]string{
		"L1_LF_1": "LF", "L3_YL_12": "YL", "S1_ZT_1": "ZT", "L2_SYX_1": "SYX", "L1_LF": "-", "L1_LF_": "-", "LF_1": "-", "l1_lf_1": "-",
		"L1_LF_x": "-", "": "-", "L1__1_12": "-", "L1_LF_123456789": "LF", "L1_LF_1234567890123": "-",
	} {
		k, ok := kindOf(code)
		if !ok {
			k.letters = "-"
		}
		if k.letters != want {
			t.Errorf("%q: %s, want %s", code, k.letters, want)
		}
	}
}

// What the catalogue takes a name for can be counted in the unit it is given here, and the commonest are known.
func TestNamesInTheCatalogue(t *testing.T) {
	catalogue, err := sensor.LoadCatalogue()
	if err != nil {
		t.Fatal(err)
	}
	check := func(name, unit string) {
		m, ok := catalogue.Mean(protocol, name)
		if !ok || unit == "" {
			return
		}
		if _, err := sensor.NewConversion(unit, m.Property.Unit); err != nil {
			t.Errorf("%s is taken for %s: %v", name, m.Property.Code, err)
		}
	}
	for _, k := range kinds {
		check(k.letters, k.unit)
	}
	for name, unit := range units {
		check(name, unit)
	}
	for name, want := range map[string]sensor.PropertyCode{
		"LF": "crack", "QJ": "tilt", "YL": "rainfall", "gpsTotalX": "gnss_east", "NW": "mud_level", "angle": "tilt", "HS": "soil_moisture",
	} {
		if m, ok := catalogue.Mean(protocol, name); !ok || m.Property.Code != want {
			t.Errorf("%s is taken for %+v, want %s", name, m.Property, want)
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

// slope is a report of a device with n points of all its sensors.
func slope(n int) []byte {
	var points []Point
	for i := range n {
		at := time.Date(2026, 1, 1, 0, i, 0, 0, time.UTC)
		no := fmt.Sprint(i + 1)
		points = append(points,
			Point{Code: "L1_LF_" + no, At: at, Values: []float64{10.86}},
			Point{Code: "L1_QJ_" + no, At: at, Names: []string{"X", "Y", "Z", "angle"}, Values: []float64{-0.03, 1.25, 88.5, 1.5}},
			Point{Code: "L3_YL_" + no, At: at, Names: []string{"value", "totalValue"}, Values: []float64{0.5, 120}})
	}
	return Append(nil, "SN0001", points)
}

func TestAppend(t *testing.T) {
	got, err := decodetest.Invariants(t, decoder(t, decode.Settings{Strict: true}), slope(2))
	if err != nil || len(got) != 14 {
		t.Fatalf("%d readings, %v", len(got), err)
	}
	last := got[13]
	if last.Serial != "SN0001" || last.Key != "L3_YL_2.totalValue" || last.Property != "totalValue" || last.Number != 120 || last.Unit != "mm" {
		t.Errorf("%+v", last)
	}
}
