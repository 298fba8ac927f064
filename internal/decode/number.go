package decode

import (
	"fmt"
	"math"
	"strconv"
)

// pow10 holds the powers of ten that float64 represents exactly.
var pow10 = [...]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
	1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22}

// Number reads the number at the start of b by the grammar of RFC 8259 section 6. n is how many bytes it takes;
// 0 means that no number starts there. A number beyond float64 has its n and an error that wraps ErrNumber.
// The value is the nearest float64, bit for bit what strconv.ParseFloat gives.
func Number(b []byte) (value float64, n int, err error) {
	s := digits{b: b}
	negative := len(b) > 0 && b[0] == '-'
	if negative {
		s.i = 1
	}
	first := s.i
	whole := s.run()
	if whole == 0 || whole > 1 && b[first] == '0' {
		return 0, 0, nil
	}
	exponent := 0
	if s.i < len(b) && b[s.i] == '.' {
		s.i++
		fraction := s.run()
		if fraction == 0 {
			return 0, 0, nil
		}
		whole, exponent = whole+fraction, -fraction
	}
	if s.i < len(b) && b[s.i]|0x20 == 'e' {
		e, ok := s.exponent()
		if !ok {
			return 0, 0, nil
		}
		exponent += e
	}
	// A mantissa below 2^53 and a power of ten up to 22 are both exact in float64, so one multiplication or
	// division rounds once and correctly (Clinger). 19 digits cannot overflow the mantissa.
	if whole <= 19 && s.mantissa < 1<<53 && exponent >= -22 && exponent <= 22 {
		value = float64(s.mantissa)
		if exponent < 0 {
			value /= pow10[-exponent]
		} else {
			value *= pow10[exponent]
		}
		if negative {
			value = -value
		}
		return value, s.i, nil
	}
	value, err = strconv.ParseFloat(string(b[:s.i]), 64)
	if math.IsInf(value, 0) {
		return 0, s.i, fmt.Errorf("%.40s is beyond float64: %w", string(b[:s.i]), ErrNumber)
	}
	return value, s.i, err
}

// digits walks decimal digits and keeps their number.
type digits struct {
	b        []byte
	i        int
	mantissa uint64
}

// run reads the digits at i and returns how many there were.
func (s *digits) run() int {
	i, m := s.i, s.mantissa
	for i < len(s.b) && s.b[i]-'0' <= 9 {
		m = m*10 + uint64(s.b[i]-'0')
		i++
	}
	n := i - s.i
	s.i, s.mantissa = i, m
	return n
}

// exponent reads e, a sign and digits. It stops counting far outside float64, so that it cannot overflow.
func (s *digits) exponent() (e int, ok bool) {
	s.i++
	negative := false
	if s.i < len(s.b) && (s.b[s.i] == '-' || s.b[s.i] == '+') {
		negative = s.b[s.i] == '-'
		s.i++
	}
	for ; s.i < len(s.b) && s.b[s.i]-'0' <= 9; s.i++ {
		ok = true
		if e < 1e6 {
			e = e*10 + int(s.b[s.i]-'0')
		}
	}
	if negative {
		e = -e
	}
	return e, ok
}
