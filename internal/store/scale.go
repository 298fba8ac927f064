package store

import (
	"math"

	"github.com/situ-city/situ/pkg/sensor"
)

// maxDecimals bounds the column decimals; noDecimals says that result_float holds the result.
const (
	maxDecimals = 9
	noDecimals  = int8(-1)
)

var powersOfTen = [maxDecimals + 1]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9}

// scaledAt gives the whole number n with float64(n) / 10^d == v, bit for bit, if there is one of 32 bits. The division
// is the one that the column `result` makes when it is read, so what is true here is true there. -0, NaN and the
// infinities have none.
func scaledAt(v float64, d int8) (int32, bool) {
	p := powersOfTen[d]
	x := math.RoundToEven(v * p)
	if !(x >= math.MinInt32 && x <= math.MaxInt32) { // NaN fails both
		return 0, false
	}
	n := int32(x)
	return n, math.Float64bits(float64(n)/p) == math.Float64bits(v)
}

// scaler remembers how many decimals each Datastream's results have. One number of decimals for all results of a
// Datastream keeps them close to each other as whole numbers, which is what Delta compresses; and it is nearly always
// the right first guess. Datastreams share hints when the low bits of their ids agree: a wrong hint costs time, or a
// few bits, never a value.
type scaler struct {
	hints [1 << 16]int8
}

// scale gives the columns decimals and result_scaled, or noDecimals when v must be stored as it is.
func (s *scaler) scale(id sensor.DatastreamID, v float64) (decimals int8, n int32) {
	hint := &s.hints[uint16(id)]
	if n, ok := scaledAt(v, *hint); ok {
		return *hint, n
	}
	for d := *hint + 1; d <= maxDecimals; d++ {
		if n, ok := scaledAt(v, d); ok {
			*hint = d
			return d, n
		}
	}
	for d := *hint - 1; d >= 0; d-- { // too large for so many decimals
		if n, ok := scaledAt(v, d); ok {
			*hint = d
			return d, n
		}
	}
	return noDecimals, 0
}
