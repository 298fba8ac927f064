package registry

import (
	"fmt"
	"strings"

	"github.com/situ-city/situ/pkg/sensor"
)

// nearest proposes the property whose code is at most two letters from name: " (did you mean pm2_5?)" or "".
func nearest(catalogue *sensor.Catalogue, name string) string {
	name = strings.ToLower(name)
	best, least := "", 3
	for _, p := range catalogue.All() {
		for _, known := range append([]string{string(p.Code)}, p.Aliases...) {
			if d := distance(name, known); d < least && d < len(known)-1 {
				best, least = string(p.Code), d
			}
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(" (did you mean %s?)", best)
}

// distance is the Levenshtein distance of two short texts, by byte; 99 for long ones.
func distance(a, b string) int {
	if len(a) > 40 || len(b) > 40 {
		return 99
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j+1]+1, row[j]+1)
		}
	}
	return row[len(b)]
}
