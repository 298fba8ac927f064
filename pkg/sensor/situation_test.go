package sensor

import "testing"

func TestStratumOf(t *testing.T) {
	for _, c := range []struct {
		class OwnerClass
		grade AccessGrade
		want  Stratum
	}{
		{Government, Open, StratumOpen}, {Enterprise, Conditional, StratumConditional}, {Government, Restricted, StratumRestricted},
		{Social, Restricted, StratumSocial}, {Social, Conditional, StratumSocial},
		{Social, Open, StratumOpen},          // chosen by its owner
		{ClassUnknown, 0, StratumRestricted}, // forgetting opens nothing
		{OwnerClass(9), AccessGrade(9), StratumRestricted},
	} {
		if got := StratumOf(c.class, c.grade); got != c.want {
			t.Errorf("%v %v: %d, want %d", c.class, c.grade, got, c.want)
		}
	}
}

func TestScope(t *testing.T) {
	for s := range Stratum(Strata) {
		if Scope(0).Has(s) || !ScopeAll.Has(s) || ScopeOpen.Has(s) != (s == StratumOpen) {
			t.Errorf("stratum %d", s)
		}
	}
}

func TestWorstOf(t *testing.T) {
	for _, c := range []struct {
		worse           string
		lowest, highest float64
		want            float64
	}{
		{"high", -5, 5, 5}, {"low", -5, 5, -5},
		{"both", -5, 6, 6}, {"both", -7, 6, -7}, {"both", 1, 2, 2}, {"both", -2, -1, -2}, {"", 1, 2, 2},
	} {
		p := &ObservedProperty{Worse: c.worse, Min: -10, Max: 10}
		if got := p.WorstOf(c.lowest, c.highest); got != c.want {
			t.Errorf("%q of %v and %v: %v, want %v", c.worse, c.lowest, c.highest, got, c.want)
		}
	}
}
