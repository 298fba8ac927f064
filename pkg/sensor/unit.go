package sensor

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// ErrUnit: a unit that situ cannot read, or two units that measure different things.
var ErrUnit = errors.New("unit does not fit")

// Unit is a unit of measure of UCUM (the Unified Code for Units of Measure, 2.1, case-sensitive form).
// situ reads UCUM's grammar over the atoms that a city's sensors use, and common other spellings of them.
// The zero value is invalid.
type Unit struct {
	code string
	dim  dimension
	// A value in this unit is value * num/den * 10^exp + add in the base units (m, g, s, A, K, cd, degree of angle).
	// Decimal powers are kept apart so that cm, mg or hPa convert without the noise of binary fractions.
	num, den float64
	exp      int
	add      float64
}

// dimension holds the exponents of the base units. kind sets apart what is measured on a scale of its own:
// pH, turbidity, parts of the explosive limit, decibels.
type dimension struct {
	length, mass, time, current, temperature, luminous, angle int16
	kind                                                      kind
}

type kind uint8

const (
	plain kind = iota
	acidity
	nephelometric
	explosiveLimit
	decibel
	milliwattLevel
)

// String is the UCUM code.
func (u Unit) String() string { return u.code }

// Sole reports whether no other unit measures the same thing in practice (counts, switches, pH, turbidity, decibels), so
// that a source which names no unit can only have meant this one.
func (u Unit) Sole() bool {
	annotated := u.dim == dimension{} && u.exp == 0 && u.num == u.den && strings.HasPrefix(u.code, "{")
	return u.code == "1" || annotated || u.dim.kind != plain
}

// Conversion turns results of one unit into another: y = x*factor + offset.
type Conversion struct {
	factor, offset float64
	needed         bool
}

// Factor and Offset of the conversion; 1 and 0 for a Conversion that changes nothing (the zero value).
func (c Conversion) Factor() float64 {
	if !c.needed {
		return 1
	}
	return c.factor
}

// Offset is what is added after multiplying.
func (c Conversion) Offset() float64 { return c.offset }

// NewConversion prepares the conversion between two units. Its error says which of the two is wrong, or why
// the one cannot become the other.
func NewConversion(from, to string) (Conversion, error) {
	if from == to {
		return Conversion{}, nil // also for a unit this build cannot read: nothing is to be done
	}
	a, err := ParseUnit(from)
	if err != nil {
		return Conversion{}, err
	}
	b, err := ParseUnit(to)
	if err != nil {
		return Conversion{}, err
	}
	return a.To(b)
}

// To prepares the conversion from u to v.
func (u Unit) To(v Unit) (Conversion, error) {
	if u.dim != v.dim || u.num == 0 || v.num == 0 {
		return Conversion{}, fmt.Errorf("%w: %q to %q: %s", ErrUnit, u.code, v.code, whyNot(u, v))
	}
	ratio := (u.num * v.den) / (u.den * v.num)
	c := Conversion{factor: scale10(ratio, u.exp-v.exp), offset: scale10((u.add-v.add)*v.den/v.num, -v.exp)}
	if c.factor == 0 || math.IsInf(c.factor, 0) || math.IsNaN(c.factor) {
		return Conversion{}, fmt.Errorf("%w: %q to %q: the factor is beyond float64", ErrUnit, u.code, v.code)
	}
	c.needed = c.factor != 1 || c.offset != 0
	return c, nil
}

func whyNot(u, v Unit) string {
	parts := func(x Unit) bool { return x.dim == dimension{} }
	density := func(x Unit) bool { return x.dim == dimension{length: -3, mass: 1} }
	switch {
	case parts(u) && density(v), density(u) && parts(v):
		return "parts by volume become mass only with a molar mass, a temperature and a pressure"
	case u.dim.kind == explosiveLimit || v.dim.kind == explosiveLimit:
		return "percent of the lower explosive limit depends on the gas"
	}
	return "they measure different things"
}

// Apply converts one result. Results that were really converted are rounded to 12 significant digits, so that
// 0.1 cm becomes 0.001 m and not 0.0010000000000000002 m: the store keeps exact decimals as whole numbers.
func (c Conversion) Apply(x float64) float64 {
	if !c.needed {
		return x
	}
	product := x * c.factor
	return roundNear(product+c.offset, math.Max(math.Abs(product), math.Abs(c.offset)))
}

// roundNear rounds y to the 12th significant digit of magnitude. With an offset the magnitude is the largest term's:
// 32 [degF] must give 0 Cel, not the 1e-15 that is left of 17.8 - 17.8.
func roundNear(y, magnitude float64) float64 {
	if y == 0 || math.IsInf(y, 0) || y != y {
		return y
	}
	_, e2 := math.Frexp(magnitude)     // magnitude is in [2^(e2-1), 2^e2)
	digits := ((e2 - 1) * 78913) >> 18 // floor of (e2-1)*log10(2), right for every float64
	if digits < 308 && magnitude >= math.Pow10(digits+1) {
		digits++
	}
	k := 11 - digits // decimals to keep
	if k > 22 || k < -22 {
		s := strconv.FormatFloat(y, 'e', 11, 64)
		y, _ = strconv.ParseFloat(s, 64) // our own print: cannot fail
		return y
	}
	p := math.Pow10(max(k, -k))
	if k >= 0 {
		y = math.RoundToEven(y*p) / p // both exact: one correctly rounded division
	} else {
		y = math.RoundToEven(y/p) * p
	}
	return y + 0 // no negative zero
}

// scale10 is x * 10^n, by division where that is the exact way.
func scale10(x float64, n int) float64 {
	if n < 0 {
		return x / math.Pow10(-n)
	}
	return x * math.Pow10(n)
}
