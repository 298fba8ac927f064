package store

import (
	"encoding/csv"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// rulesVersion stands beside every judgement. It rises when a rule or a figure of schema/judgements.csv changes.
const rulesVersion = 1

// judgeRules are the figures of schema/judgements.csv, which has the reasons too.
type judgeRules struct {
	hourInterval, dayInterval, tolerance float64 // missing
	resolution, others, deviation, crowd float64 // neighbour
	properties                           []string
	spreads, shares                      []float64 // of properties: in their unit, and of the median
}

// loadJudgeRules reads the text of judgements.csv.
func loadJudgeRules(text string) (r judgeRules, err error) {
	rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil {
		return r, fmt.Errorf("read judgements.csv: %w", err)
	}
	into := map[string]*float64{"missing/hour_interval": &r.hourInterval, "missing/day_interval": &r.dayInterval, "missing/tolerance": &r.tolerance,
		"neighbour/resolution": &r.resolution, "neighbour/others": &r.others, "neighbour/deviation": &r.deviation, "neighbour/crowd": &r.crowd}
	for i, row := range rows[1:] {
		value, err := strconv.ParseFloat(row[3], 64)
		if err != nil || !(value > 0) || math.IsInf(value, 0) {
			return r, fmt.Errorf("judgements.csv, line %d: %q is no figure", i+2, row[3])
		}
		key := row[0] + "/" + row[2]
		switch n := len(r.properties); {
		case key == "neighbour/spread" && row[1] != "":
			r.properties, r.spreads, r.shares = append(r.properties, row[1]), append(r.spreads, value), append(r.shares, 0)
			continue
		case key == "neighbour/share" && n > 0 && row[1] == r.properties[n-1]:
			r.shares[n-1] = value
			continue
		}
		if into[key] == nil {
			return r, fmt.Errorf("judgements.csv, line %d: no rule has %s", i+2, key)
		}
		*into[key] = value
		delete(into, key)
	}
	if len(into) > 0 {
		return r, fmt.Errorf("judgements.csv: %d figures are not there", len(into))
	}
	return r, nil
}
