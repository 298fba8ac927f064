package store

import (
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/situ-city/situ/pkg/sensor"
)

// unscale is what the column `result` computes.
func unscale(decimals int8, n int32, f float64) float64 {
	if decimals < 0 {
		return f
	}
	return float64(n) / powersOfTen[decimals]
}

// awkward are results that a careless encoding changes.
var awkward = []float64{
	0, math.Copysign(0, -1), 1, -1, 0.1, 0.2, 0.1 + 0.2, 1.0 / 3, 18.5, -273.15, 35.4, 2147483647, 2147483648, -2147483648,
	-2147483649, 214748364.7, 214748364.8, 0.000000001, 2.147483647, 2.147483648, 1e-10, 1e9, 1e15, 1e300, 1e-300,
	math.MaxFloat64, math.SmallestNonzeroFloat64, math.Inf(1), math.Inf(-1), math.NaN(),
	math.Float64frombits(0x7ff8000000000123), 4503599627370497.5, 9007199254740993, 0.5, 1.005, 8.0e-9,
}

func TestScaleGivesTheBitsBack(t *testing.T) {
	var s scaler
	for range 2 { // the second time with hints of the first
		for i, v := range awkward {
			d, n := s.scale(sensor.DatastreamID(i%3), v)
			if got := unscale(d, n, v); math.Float64bits(got) != math.Float64bits(v) {
				t.Errorf("%v: stored as %d e-%d, comes back as %v", v, n, d, got)
			}
		}
	}
}

func TestScaleProperty(t *testing.T) {
	var s scaler
	rapid.Check(t, func(t *rapid.T) {
		v := rapid.OneOf(
			rapid.Float64(),
			rapid.Map(rapid.Uint64(), math.Float64frombits),
			rapid.Custom(func(t *rapid.T) float64 {
				return float64(rapid.Int64Range(-1<<40, 1<<40).Draw(t, "n")) / powersOfTen[rapid.IntRange(0, 9).Draw(t, "d")]
			}),
		).Draw(t, "v")
		id := sensor.DatastreamID(rapid.Uint64Range(0, 4).Draw(t, "id"))
		d, n := s.scale(id, v)
		if got := unscale(d, n, v); math.Float64bits(got) != math.Float64bits(v) {
			t.Fatalf("%v: stored as %d e-%d, comes back as %v", v, n, d, got)
		}
	})
}

func TestScaleTakesTheWholeNumberWhereThereIsOne(t *testing.T) {
	for _, c := range []struct {
		v float64
		d int8
		n int32
	}{{18.5, 1, 185}, {-0.07, 2, -7}, {1013, 0, 1013}, {0, 0, 0}, {0.123456789, 9, 123456789}, {1e300, -1, 0}} {
		var s scaler
		if d, n := s.scale(7, c.v); d != c.d || n != c.n {
			t.Errorf("%v: %d e-%d, want %d e-%d", c.v, n, d, c.n, c.d)
		}
	}
}

func TestScaleKeepsOneNumberOfDecimalsPerDatastream(t *testing.T) {
	var s scaler
	s.scale(7, 18.5)
	if d, n := s.scale(7, 19); d != 1 || n != 190 {
		t.Errorf("19 after 18.5: %d e-%d, want 190 e-1", n, d)
	}
	if d, n := s.scale(8, 19); d != 0 || n != 19 {
		t.Errorf("19 of another Datastream: %d e-%d, want 19 e-0", n, d)
	}
}

func BenchmarkScale(b *testing.B) {
	var s scaler
	values := make([]float64, 1024)
	for i := range values {
		values[i] = float64(i) / 10
	}
	for i := 0; b.Loop(); i++ {
		s.scale(sensor.DatastreamID(i*2654435761), values[i%1024])
	}
}
