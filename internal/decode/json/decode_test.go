package json

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/internal/decode/decodetest"
	"github.com/situ-city/situ/pkg/sensor"
)

func TestGolden(t *testing.T) { decodetest.Golden(t, Protocol()) }

func decoder(tb testing.TB, s decode.Settings) *Decoder {
	tb.Helper()
	d, err := New(s)
	if err != nil {
		tb.Fatal(err)
	}
	return d
}

func TestTimes(t *testing.T) {
	tokyo, err := time.LoadLocation("Asia/Tokyo")
	if err != nil {
		t.Skip("no time zone database: ", err)
	}
	const noon = 1767240000000 // 2026-01-01T04:00:00Z, noon in Chongqing
	for _, c := range []struct {
		text string
		zone *time.Location
		want int64 // 0: refused
	}{
		{"2026-01-01T04:00:00Z", nil, noon},
		{"2026-01-01t04:00:00z", nil, noon},
		{"2026-01-01 12:00:00+08:00", nil, noon},
		{"2026-01-01T12:00:00+0800", nil, noon},
		{"2025-12-31T23:30:00-04:30", nil, noon},
		{"2026-01-01T04:00:00.1Z", nil, noon + 100},
		{"2026-01-01T04:00:00.0019999Z", nil, noon + 1},
		{"2026-01-01T13:00:00", tokyo, noon},
		{"2026-01-01T04:00:00Z", tokyo, noon},
		{"2016-12-31T23:59:60Z", nil, 1483228800000}, // a leap second
		{"2024-02-29T00:00:00Z", nil, 1709164800000},
		{"0001-01-01T00:00:00Z", nil, -62135596800000},
		{"2026-01-01T13:00:00", nil, 0},
		{"2026-01-01T04:00:00+08", nil, 0},
		{"2026-01-01T04:00:00+8:00", nil, 0},
		{"2026-01-01T04:00:00+24:00", nil, 0},
		{"2026-01-01T04:00:00ZZ", nil, 0},
		{"2026-01-01T04:00:00.Z", nil, 0},
		{"2026-01-01T04:00Z", nil, 0},
		{"2026-01-01", nil, 0},
		{"2026-1-1T04:00:00Z", nil, 0},
		{"2026-13-01T04:00:00Z", nil, 0},
		{"2100-02-29T04:00:00Z", nil, 0},
		{"2026-01-01T24:00:00Z", nil, 0},
		{"2026-01-01T04:00:61Z", nil, 0},
		{"1970-01-01T08:00:00+08:00", nil, 0},
		{"noon", nil, 0},
	} {
		got, err := decode.ParseTime([]byte(c.text), c.zone)
		if got != c.want || (err != nil) != (c.want == 0) {
			t.Errorf("%s: %d, %v, want %d", c.text, got, err, c.want)
		}
		if err != nil && !errors.Is(err, decode.ErrTime) {
			t.Errorf("%s: %v is not ErrTime", c.text, err)
		}
	}
}

func TestEpochUnits(t *testing.T) {
	for _, c := range []struct {
		v    float64
		want int64
	}{
		{1767240000, 1767240000000}, {1767240000000, 1767240000000}, {1767240000000000, 1767240000000},
		{99999999999, 99999999999000}, {1e11, 1e11}, {1e14 - 1, 1e14 - 1}, {1e14, 1e11}, {1e17, 0}, {1e300, 0},
		{0, 0}, {0.0001, 0}, {-1, -1000}, {-1e18, 0},
	} {
		if got, ok := decode.Epoch(c.v); got != c.want || ok != (c.want != 0) {
			t.Errorf("%v: %d %t, want %d", c.v, got, ok, c.want)
		}
	}
}

// A megabyte of values is refused, and so quickly that it cannot be used to keep a gateway busy.
func TestMegabyte(t *testing.T) {
	d := decoder(t, decode.Settings{})
	for name, payload := range map[string]string{
		"values":  "{" + strings.Repeat(`"a":1,`, 1<<20/6) + `"b":1}`,
		"objects": "[" + strings.Repeat(`{"a":1},`, 1<<20/8) + `{}]`,
		"times":   "{" + strings.Repeat(`"t":"x",`, 1<<20/8) + `"b":1}`,
		"one":     `{"a":"` + strings.Repeat("x", 1<<20) + `"}`,
		"digits":  `{"a":` + strings.Repeat("9", 1<<20) + `}`,
		"name":    `{"` + strings.Repeat("x", 1<<20) + `":1}`,
		"blanks":  strings.Repeat(" ", 1<<20) + "{}",
		"nested":  strings.Repeat(`{"`+strings.Repeat("x", 1<<18)+`":`, 4) + "1}}}}",
	} {
		begin := time.Now()
		got, err := decodetest.Invariants(t, d, []byte(payload))
		if took := time.Since(begin); took > 20*time.Second {
			t.Errorf("%s took %v", name, took)
		}
		if name == "objects" && !errors.Is(err, decode.ErrBound) {
			t.Errorf("%s: %v", name, err)
		}
		if name == "times" && !errors.Is(err, decode.ErrTime) {
			t.Errorf("%s: %v", name, err)
		}
		if name != "objects" && name != "times" && (err != nil || len(got) > 2) {
			t.Errorf("%s: %d readings, %v", name, len(got), err)
		}
	}
	if got, err := d.Decode(nil, usual); err != nil || len(got) != 2 {
		t.Errorf("the next payload: %v, %v", got, err)
	}
}

// Names that never repeat must not grow the decoder without end, nor confuse what it remembers.
func TestNamesAreForgotten(t *testing.T) {
	d := decoder(t, decode.Settings{})
	for i := range 5 * maxKeys {
		got, err := d.Decode(nil, fmt.Appendf(nil, `{"n%d":%d,"same":1}`, i, i))
		if err != nil || len(got) != 2 || got[0].Key != fmt.Sprintf("n%d", i) || got[1].Key != "same" {
			t.Fatal(got, err)
		}
	}
	if len(d.keys.m) > maxKeys+2 {
		t.Errorf("%d names kept", len(d.keys.m))
	}
}

// A name cut short for its length must not be taken for the honest name it was cut to.
func TestStumpIsNotItsName(t *testing.T) {
	d := decoder(t, decode.Settings{})
	honest := strings.Repeat("n", MaxKey)
	for range 3 {
		if got, err := d.Decode(nil, []byte(`{"`+honest+`x":1}`)); err != nil || got[0].Err == nil {
			t.Fatal(got, err)
		}
		if got, err := d.Decode(nil, []byte(`{"`+honest+`":1}`)); err != nil || got[0].Err != nil {
			t.Fatal(got, err)
		}
	}
}

func TestSettings(t *testing.T) {
	for _, s := range []decode.Settings{{Zone: "Middle/Earth"}, {Encoding: "EBCDIC"}} {
		if _, err := Protocol().New(s); err == nil {
			t.Errorf("%+v passed", s)
		}
	}
	if d := decoder(t, decode.Settings{}); d.Empty() != sensor.ReasonNoValues {
		t.Error(d.Empty())
	}
}

func TestNoAllocation(t *testing.T) {
	d := decoder(t, decode.Settings{})
	payload := []byte(`{"t":"2026-01-01T08:00:00.250+08:00","lon":106.5,"lat":29.5,"air":{"pm2_5":35.2,"\u006f3":88},"door":true,"state":"ok"}`)
	var room []decode.Reading
	if n := testing.AllocsPerRun(100, func() { room, _ = d.Decode(room[:0], payload) }); n != 0 {
		t.Errorf("%v allocations a payload", n)
	}
}
