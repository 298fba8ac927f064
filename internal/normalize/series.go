package normalize

import (
	"math"

	"github.com/situ-city/situ/pkg/sensor"
)

// What one value is judged by in the light of those before it: rate of change, stuck, a wrong unit. docs/quality.md
// explains each with an example. A value is never changed or dropped here, only marked.

const (
	// leastStep is the span over which a rate is judged at least, in ms: noise between two quick readings is no jump.
	leastStep = 60_000
	// mostStep is beyond which the value before says nothing of this one any more.
	mostStep = 3_600_000
	// steps of a property's resolution are never a jump.
	steps = 3
	// leastRepeats is how often a value must have come again, and stillIntervals for how many expected intervals, before
	// it counts as stuck.
	leastRepeats   = 10
	stillIntervals = 10
	// thousand is the factor between a unit and the next prefix; an instrument tells apart at least so many steps of its
	// resolution in a value that would be right with it.
	thousand  = 1000
	hintSteps = 10
	// maxLimits bounds the limits that are shared: a few hundred properties, at some intervals.
	maxLimits = 4096
)

// limits are what values are judged by; zero: not judged. All Datastreams of a property share one, so that of a million
// only what differs is fetched.
type limits struct {
	rate  float64 // plausible change a millisecond
	slack float64 // change that is never a jump
	still int64   // ms for which a value may stay the same
	hint  float64 // the least value for which a wrong unit is considered, after dividing or multiplying
}

// limitsOf gives those of a property (nil = none of the catalogue), of the interval at which a Datastream is expected, and
// what its owner has declared, which goes before.
func (n *Normalizer) limitsOf(p *sensor.ObservedProperty, ds ...*sensor.Datastream) *limits {
	var l limits
	if p != nil {
		l = limits{rate: p.Rate / 1000, slack: steps * p.Resolution, still: p.Still.Milliseconds()}
		if u, err := sensor.ParseUnit(p.Unit); err == nil && !u.Sole() {
			l.hint = hintSteps * p.Resolution
		}
	}
	for _, d := range ds {
		if d != nil && l.still > 0 {
			l.still = max(l.still, stillIntervals*d.Interval.Milliseconds())
		}
	}
	for _, d := range ds {
		if d != nil && d.Rate != nil {
			l.rate = *d.Rate / 1000
		}
		if d != nil && d.StillS != nil {
			l.still = int64(*d.StillS * 1000)
		}
	}
	if l == (limits{}) {
		return nil
	}
	if n.opt.Alone {
		l.rate, l.still = 0, 0
	}
	if shared, ok := n.limits[l]; ok {
		return shared
	}
	if len(n.limits) < maxLimits {
		n.limits[l] = &l
	}
	return &l
}

// series is what is remembered of a Datastream's values, in the order of their phenomenonTime. The zero value has none.
type series struct {
	base, odd     float64 // the newest value that nobody doubts; one since then that jumped
	baseAt, oddAt int64   // 0: none
	last          float64 // value of the run of equal ones
	since, lastAt int64   // when the run began, and its newest
	repeats       int32
}

// judge marks o by what is remembered of s, and remembers o. A value older than the newest, or one at the same time (a
// correction, a repeat), is not judged: a backlog in disorder says nothing of how fast a quantity changes.
func (s *stream) judge(o *sensor.Observation) {
	const doubted = sensor.OutOfRange | sensor.SourceFault | sensor.SourceCalib | sensor.SourceOver
	if s.limits == nil || s.rate == 0 && s.still == 0 || o.Quality&doubted != 0 || o.PhenomenonTime <= s.lastAt {
		return
	}
	if s.rate > 0 && o.Quality&sensor.Moving == 0 && s.jumped(o.Result, o.PhenomenonTime) {
		o.Quality |= sensor.RateOfChange
	}
	if s.still > 0 && s.stuck(o.Result, o.PhenomenonTime) {
		o.Quality |= sensor.Stuck
	}
	s.lastAt = o.PhenomenonTime
}

// jumped tells whether x is further from the newest undoubted value than the property can go. A second value that
// agrees with the one that jumped confirms it: the level has changed. So a spike marks itself and not what follows.
func (s *stream) jumped(x float64, at int64) bool {
	if s.baseAt == 0 || s.near(s.base, s.baseAt, x, at) || s.oddAt != 0 && s.near(s.odd, s.oddAt, x, at) {
		s.base, s.baseAt, s.oddAt = x, at, 0
		return false
	}
	s.odd, s.oddAt = x, at
	return true
}

func (s *stream) near(was float64, wasAt int64, x float64, at int64) bool {
	span := at - wasAt
	return span > mostStep || math.Abs(x-was) <= max(s.slack, s.rate*float64(max(span, leastStep)))
}

// stuck tells whether x has been the same for longer than is natural. The ends of the range are no sign: a saturated
// fog is 100 %, a night has no sun.
func (s *stream) stuck(x float64, at int64) bool {
	gap := at - s.lastAt
	if x != s.last || s.lastAt == 0 || gap > s.still/2 { // nobody knows what happened in between
		s.last, s.since, s.repeats = x, at, 0
		return false
	}
	if s.repeats < math.MaxInt32 {
		s.repeats++
	}
	return s.repeats >= leastRepeats && at-s.since > s.still && x > s.min && x < s.max
}

// unitHint tells whether x, which is outside the range, would be inside with a thousandth or a thousandfold: the usual
// sign of ug for mg, mV for V, W for kW, m for mm.
func (s *stream) unitHint(x float64) bool {
	inside := func(y float64) bool { return y >= s.min && y <= s.max && math.Abs(y) >= s.hint }
	return s.limits != nil && s.hint > 0 && (inside(x/thousand) || inside(x*thousand))
}
