package sensor

import "github.com/situ-city/situ/pkg/geo"

// Stratum is the part of the situation a Thing belongs to when it comes to who may see it: its access grade, with
// the Things of social owners apart. Cells keep their numbers by stratum; a viewer sees the sum over his Scope.
type Stratum uint8

// The strata.
const (
	StratumRestricted Stratum = iota
	StratumConditional
	StratumOpen
	StratumSocial // Things of social owners that did not choose to publish openly
)

// Strata is how many there are.
const Strata = 4

// StratumOf sorts a Thing by class and grade. A social owner who grades a Thing open has chosen to publish it.
func StratumOf(c OwnerClass, g AccessGrade) Stratum {
	switch {
	case g == Open:
		return StratumOpen
	case c == Social:
		return StratumSocial
	case g == Conditional:
		return StratumConditional
	}
	return StratumRestricted
}

// Scope is the set of strata a viewer may see. The zero value sees nothing.
type Scope uint8

// The scopes that need no list.
const (
	ScopeOpen Scope = 1 << StratumOpen
	ScopeAll  Scope = 1<<Strata - 1
)

// Has reports whether the scope includes t.
func (s Scope) Has(t Stratum) bool { return s>>t&1 != 0 }

// CellSummary is the state of one cell in one property: the latest values of the Things in it. A value is fresh
// while it is not older than twice its Datastream's expected interval.
type CellSummary struct {
	Cell   geo.Cell
	N      uint32 // Things with a value; 0 = the cell has become empty
	Fresh  uint32 // of them with a fresh one
	Mean   float64
	Min    float64
	Max    float64
	Worst  float64 // Min or Max, by the property's Worse; like the three before it meaningless when Fresh is 0
	Newest int64   // phenomenonTime of the newest value, Unix ms UTC
}

// PointSummary is one Thing's latest value of one property.
type PointSummary struct {
	ID     ThingID
	Thing  ThingKey
	Place  geo.LonLat
	Class  OwnerClass
	Fresh  bool
	Result float64
	Newest int64 // phenomenonTime, Unix ms UTC
}

// WorstOf picks from a cell's extremes the one to worry about: by Worse, and where both directions are bad the one
// farther from the middle of the plausible range.
func (p *ObservedProperty) WorstOf(lowest, highest float64) float64 {
	switch p.Worse {
	case "low":
		return lowest
	case "both":
		if middle := (p.Min + p.Max) / 2; middle-lowest > highest-middle {
			return lowest
		}
	}
	return highest
}
